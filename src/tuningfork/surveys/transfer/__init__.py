"""Everything that leaves this machine: retries, limits, verification, and the cache of what has come."""

"""The published catalogue and the accounting of every source."""

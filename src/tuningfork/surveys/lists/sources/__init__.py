"""The list of sources, from wherever the configuration takes it."""

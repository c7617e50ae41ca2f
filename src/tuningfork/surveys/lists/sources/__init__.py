"""Lists of sources, wherever the configuration takes them from."""

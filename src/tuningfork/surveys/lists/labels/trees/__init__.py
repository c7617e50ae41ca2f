"""Decision trees of citizen science, one file each, and what their answers mean."""

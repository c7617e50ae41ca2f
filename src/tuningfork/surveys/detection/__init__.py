"""Detection of sources on the tiles."""

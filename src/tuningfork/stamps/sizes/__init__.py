"""The sizes of galaxies."""

"""Euclid: the mosaics and the catalogue of the MER pipeline."""

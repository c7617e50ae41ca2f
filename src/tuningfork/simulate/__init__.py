"""Galaxies and skies rendered with GalSim, and the votes that people would give them."""

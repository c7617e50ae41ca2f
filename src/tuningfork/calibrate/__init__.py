"""Calibrations learned from held-out galaxies: small typed JSON files that the measuring stages read."""

"""Simulated galaxies: their kind, their components and their true parameters."""

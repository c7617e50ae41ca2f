"""Votes and measurements matched with the stamps of their galaxies."""

"""Volunteer votes and measured galaxies, matched with the stamps of a survey."""

"""Measurements over every source: votes, structure, bars."""

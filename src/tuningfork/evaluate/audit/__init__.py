"""Audit of labels: likely errors among votes, and what they depend on beyond the truth."""

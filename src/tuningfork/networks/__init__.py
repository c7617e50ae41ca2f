"""Encoders, heads, losses and the model file."""

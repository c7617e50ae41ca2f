"""Audit of the votes: likely errors, and dependences of the bar fraction on image quality."""

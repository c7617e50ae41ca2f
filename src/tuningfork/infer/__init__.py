"""Inference: every network is applied once to every stamp, in several orientations, and the answers are stored."""

"""Drawing the light of a galaxy."""

"""How the light of a galaxy is drawn."""

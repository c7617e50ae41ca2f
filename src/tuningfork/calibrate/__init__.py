"""What held-out galaxies teach the recipes: small typed JSON files that the stages read."""

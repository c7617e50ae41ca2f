"""Vote fractions: the recipe and the stage."""

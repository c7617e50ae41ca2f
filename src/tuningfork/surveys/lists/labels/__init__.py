"""Tables of volunteers' votes and of measured galaxies."""

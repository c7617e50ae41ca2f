"""Lists of labels: votes of volunteers and measured galaxies."""

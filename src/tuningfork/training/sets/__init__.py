"""Training sets: drawn, read and balanced."""

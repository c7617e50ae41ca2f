"""Training sets, the loop, checkpoints and metrics."""

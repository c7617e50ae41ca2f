"""Which image of a file is which: the sky in a band, its variance, weight or mask."""

"""Galaxy morphology catalogues from the imaging of a whole survey."""

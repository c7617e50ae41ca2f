"""JPEG and PNG pictures of galaxies: read, measured, calibrated, shown."""

"""SDSS: its catalogue and frames."""

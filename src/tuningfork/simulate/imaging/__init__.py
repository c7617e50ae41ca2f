"""The effects of telescope and sky: PSF, noise and observing conditions."""

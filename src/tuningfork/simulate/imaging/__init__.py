"""How a telescope sees it: PSF, noise and conditions."""

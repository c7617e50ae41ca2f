"""Small images of one galaxy for tests."""

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS


def header_at(ra: float, dec: float, width: int, height: int, scale: float = 0.4) -> fits.Header:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [(width + 1) / 2, (height + 1) / 2]
    wcs.wcs.cdelt = [-scale / 3600, scale / 3600]
    return wcs.to_header()


def pixels(width: int = 81, height: int = 61, sky: float = 10.0, seed: int = 1) -> np.ndarray:
    """Return an image with a galaxy at the centre, on a sky of level `sky` and noise 0.1."""
    rows, columns = np.indices((height, width))
    distance = (columns - (width - 1) / 2) ** 2 + (rows - (height - 1) / 2) ** 2
    noise = np.random.default_rng(seed).normal(0, 0.1, (height, width))
    return (20 * np.exp(-distance / 18) + noise + sky).astype(np.float32)

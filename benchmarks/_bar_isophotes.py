"""Bar lengths from photutils' isophotes, by the criteria of the literature."""

import warnings
from collections.abc import Sequence

import numpy as np
from _bar_mocks import PIXEL_SCALE, PSF_FWHM, Mock
from _structure_start import moments
from photutils.isophote import Ellipse, EllipseGeometry

CRITERIA = ("maximum ellipticity", "ellipticity drop", "position-angle turn")
DROP, TURN = 0.15, 10.0
"""Fall of the ellipticity below its maximum; change of the position angle from that at the maximum (deg)."""
START, LARGEST = 12.0, 62.0
"""Semi-major axes (px) of the first and of the largest ellipse."""


def isophote_lengths(galaxies: Sequence[Mock]) -> np.ndarray:
    """Return full lengths (N, 3) in px by each of `CRITERIA`; NaN where the fit or the criterion fails."""
    return np.array([_lengths(galaxy.image) for galaxy in galaxies])


def _lengths(image: np.ndarray) -> np.ndarray:
    fwhm = PSF_FWHM / PIXEL_SCALE
    start = moments(image, np.zeros(image.shape, dtype=bool), fwhm)
    middle = image.shape[0] // 2
    geometry = EllipseGeometry(
        x0=middle + start["x"],
        y0=middle + start["y"],
        sma=START,
        eps=1 - start["axis_ratio"],
        pa=np.deg2rad(start["position_angle"] + 90) % np.pi,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Ellipse(image, geometry).fit_image(maxsma=LARGEST)
    if len(found) == 0:
        return np.full(len(CRITERIA), np.nan)
    keep = (found.sma > fwhm) & np.isfinite(found.eps)
    sma, ellipticity, angle = found.sma[keep], found.eps[keep], np.rad2deg(found.pa[keep])
    if len(sma) < 3:
        return np.full(len(CRITERIA), np.nan)
    top = int(np.argmax(ellipticity))
    turned = np.abs((angle - angle[top] + 90) % 180 - 90)
    outside = np.arange(len(sma)) > top
    ends = [outside & (ellipticity < ellipticity[top] - DROP), outside & (turned > TURN)]
    return 2 * np.array([sma[top], *(sma[np.argmax(end)] if end.any() else np.nan for end in ends)])

"""Images of the PSF: what is accepted as one, its centre, its width, and how it is put on other pixels."""

from dataclasses import dataclass

import numpy as np

from tuningfork.core.errors import InputError
from tuningfork.simulate.imaging.moffat import fit_moffat

WIDTHS = (7, 513)
"""Narrowest and widest image that is accepted (px)."""
KEPT_WIDTH = 101
"""Width of the central part that is kept (px)."""
FITTED_WIDTH = 61
"""Width of the part to which a Moffat profile is fitted (px)."""
MAX_EDGE_SHARE = 0.1
"""Largest share of the sum that the image would hold if it were as bright everywhere as along its edge."""
MIN_CENTRE_SHARE = 0.25
"""Distance of the star from the nearest edge, as a share of the width, below which its image counts as cut off."""
CENTRINGS = 4
"""Most times that an image is put on other pixels to bring the star to the centre of one."""
SAME_CENTRE = 1e-3
"""Offset from the centre of a pixel below which the pixels are used as they are (px)."""


@dataclass(frozen=True)
class StarImage:
    """An image of the PSF, which contains the response of the pixels; the same everywhere on the image of the sky.

    Attributes
    ----------
    pixels : ndarray
        float32 (P, P), P odd, of sum one; the star is at the centre of the pixel [P // 2, P // 2].
    fwhm, beta : float
        Full width at half maximum (px) and exponent of the Moffat profile, without the response of the pixels.
    """

    pixels: np.ndarray
    fwhm: float
    beta: float

    @classmethod
    def of(cls, pixels: np.ndarray) -> "StarImage":
        """Return an image of the PSF, centred and with sum one.

        The centre is that of a Moffat fit, so that neither an even number of pixels nor a star that is off the centre
        of its image moves the galaxies.

        Parameters
        ----------
        pixels : ndarray
            (H, W), a star without sky, on the pixels of the image of the sky.

        Raises
        ------
        InputError
            If it is no image of a PSF; the message says why.
        """
        pixels = checked(pixels)
        row, column = (int(place) for place in np.unravel_index(pixels.argmax(), pixels.shape))
        near = min(row + 0.5, column + 0.5, pixels.shape[0] - row - 0.5, pixels.shape[1] - column - 0.5)
        if near < MIN_CENTRE_SHARE * min(pixels.shape):
            raise InputError(f"its brightest pixel is {near - 0.5:g} px from the edge; expected a star in the middle")
        half = FITTED_WIDTH // 2
        first = max(row - half, 0), max(column - half, 0)
        middle = pixels[first[0] : row + half + 1, first[1] : column + half + 1]
        fit = fit_moffat(middle)
        if not fit.converged or max(abs(fit.x), abs(fit.y)) > 1:
            raise InputError("no Moffat profile fits it; expected one star")
        width = min(min(pixels.shape), KEPT_WIDTH)
        place, edge = np.array([column + fit.x, row + fit.y]), max(width - 1 + width % 2 - FITTED_WIDTH, 0) // 2
        for _ in range(CENTRINGS):
            centred = resampled(pixels, (place[0], place[1]), width - 1 + width % 2)
            # Measured anew, because width and place of a PSF that is no Moffat profile, or that is narrower than two
            # pixels, depend on its place within a pixel.
            fit = fit_moffat(centred[edge : len(centred) - edge, edge : len(centred) - edge])
            if max(abs(fit.x), abs(fit.y)) < SAME_CENTRE:
                break
            place += fit.x, fit.y
        return cls(normalised(centred), fit.fwhm, fit.beta)


def checked(pixels: np.ndarray) -> np.ndarray:
    """Return the pixels of an image of the PSF, if they can be that.

    Parameters
    ----------
    pixels : ndarray
        Of any shape.

    Returns
    -------
    ndarray
        float64 (H, W).

    Raises
    ------
    InputError
        If they are of another shape or size, not all finite, without a positive sum, or bright along the edge.
    """
    pixels = np.asarray(pixels, dtype=float)
    if pixels.ndim != 2 or not all(WIDTHS[0] <= size <= WIDTHS[1] for size in pixels.shape):
        raise InputError(f"its shape is {pixels.shape}; expected one image of {WIDTHS[0]} to {WIDTHS[1]} pixels a side")
    if not np.isfinite(pixels).all():
        raise InputError("some of its pixels are not finite")
    total = pixels.sum()
    if total <= 0:
        raise InputError(f"the sum of its pixels is {total:g}; expected a positive one")
    edge = np.median(np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]]))
    if abs(edge) * pixels.size > MAX_EDGE_SHARE * total:
        raise InputError(
            f"its edge is not dark (median {edge:.3g}, mean of the image {total / pixels.size:.3g}); subtract the sky, "
            "or give a wider image"
        )
    return pixels


def resampled(pixels: np.ndarray, centre: tuple[float, float], width: int, step: float = 1.0) -> np.ndarray:
    """Return an image on pixels `step` of its own pixels apart, by interpolation that is exact below Nyquist's frequency.

    Parameters
    ----------
    pixels : ndarray
        (H, W).
    centre : tuple of float
        Column and row of the star.
    width : int
        Width P of the result, odd; the star is at the centre of its pixel [P // 2, P // 2].
    step : float

    Returns
    -------
    ndarray
        (P, P), the brightness at the centres of the pixels; zero beyond the image.
    """
    offset = (np.arange(width) - width // 2) * step
    across, along = (_weights(place + offset, size) for place, size in zip(centre, pixels.shape[::-1], strict=True))
    return np.asarray(along @ pixels @ across.T)


def _weights(places: np.ndarray, size: int) -> np.ndarray:
    """Return the weights (P, size) of the pixels in the values at some places (px)."""
    nearest = np.rint(places)
    places = np.where(np.abs(places - nearest) < SAME_CENTRE, nearest, places)
    inside = (places > -1) & (places < size)
    return np.sinc(places[:, None] - np.arange(size)) * inside[:, None]


def normalised(pixels: np.ndarray) -> np.ndarray:
    """Return an image with sum one.

    Parameters
    ----------
    pixels : ndarray
        (H, W).

    Returns
    -------
    ndarray
        float32 (H, W).
    """
    return (pixels / pixels.sum()).astype(np.float32)

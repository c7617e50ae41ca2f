"""Whether an image shows light where a list of sources says so.

Around each of the brighter, smaller sources the image is smoothed with a Gaussian of the source's own width, and
divided by what the source's magnitude lets expect at the centre; values are limited to the range from 0 (no light) to
1 (as expected, or more). The mean of these maps over the sources is a map of how well the list fits the image after a
shift. A right WCS has a high mean at no shift, a shifted one elsewhere, and a turned, mirrored or foreign one nowhere.
As no source counts for more than 1, stars, large neighbours and crowding weigh as little as missing entries. Shifts
and turns that are not much wider than the sources show in the places of the nearest peaks.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tuningfork.sky.coordinates import directions, jacobian, to_pixels
from tuningfork.surveys.base import Image

SIGNIFICANT, ALL_TOGETHER = 10.0, 30.0
"""Expected signal-to-noise ratio of a source that is looked at, and of all of them together."""
MOST, ENOUGH, STRIPS = 50, 20, 4
"""Most sources that are looked at, number after which no further strip of rows is read, most strips that are read."""
LARGEST_RADIUS, UNKNOWN_RADIUS = 5.0, 2.0
"""Largest half-light radius (arcsec) of a source that is looked at, and the one taken where it is unknown."""
REACH, SEARCH = 18.0, 10.0
"""Half of the width of what is read around a source, and the largest shift that is looked for (arcsec)."""
TOLERANCE = 1.5
"""Shift (arcsec) that is no fault of the coordinates: galaxies' catalogue positions, colours and centres differ."""
FAINT = 0.35
"""Mean map below which the sources show no light at their places."""
POOR, BETTER = 0.65, 0.25
"""Mean map below which another shift is considered, and by how much that must fit better."""
NEAREST = 6.0
"""Distance (arcsec) within which a source's peak is looked for."""
FEW, MAJORITY, MANY = 3, 0.6, 10
"""Peaks of which this fraction must agree to show a shift, and peaks whose distances alone show it."""
HALF_LIGHT, FWHM = 1.1774, 2.3548
"""Half-light radius and full width at half maximum of a Gaussian in standard deviations."""
USABLE = 0.7
"""Weight of the good pixels at the centre of a source that is looked at."""


@dataclass(frozen=True)
class Listed:
    """A list of sources; arrays of shape (N,), NaN where unknown.

    Attributes
    ----------
    ra, dec : ndarray
        Positions (deg).
    mag : ndarray
        Magnitude in the reference band (AB).
    radius : ndarray
        Half-light radius (arcsec).
    """

    ra: np.ndarray
    dec: np.ndarray
    mag: np.ndarray
    radius: np.ndarray


@dataclass(frozen=True)
class _Candidates:
    """Sources that should be seen: places and Gaussian widths (pixel), expected flux, most significant first."""

    x: np.ndarray
    y: np.ndarray
    sigma: np.ndarray
    flux: np.ndarray

    def __getitem__(self, which: np.ndarray) -> "_Candidates":
        return _Candidates(self.x[which], self.y[which], self.sigma[which], self.flux[which])


def unlit(image: Image, listed: Listed, sky_noise: float, fainter: float) -> str | None:
    """Return in words that the light of an image does not lie where the list of sources says, or None.

    Parameters
    ----------
    image : Image
    listed : Listed
    sky_noise : float
        Standard deviation of the sky in a pixel that is to be expected (the image's flux unit).
    fainter : float
        How much fainter than in the list the sources may be (mag).
    """
    middle = np.array([image.shape[1] / 2]), np.array([image.shape[0] / 2])
    scale = float(directions(jacobian(image.wcs, *middle))[0][0])
    found = _candidates(image, listed, scale, sky_noise, fainter)
    maps, significance = _maps(image, found, scale)
    if not len(maps) or np.sum(np.square(significance)) < ALL_TOGETHER**2:
        return None
    return _judge(maps, scale)


def _judge(maps: np.ndarray, scale: float) -> str | None:
    """Judge the maps (M, n, n) of expected light, NaN without data."""
    offset = (np.arange(maps.shape[1]) - maps.shape[1] // 2) * scale
    shift = np.hypot(offset[:, None], offset)
    if off := _off_peak(maps, offset, shift):
        return f"the peaks about {len(maps)} bright sources of the list lie {off:.1f} arcsec off its coordinates"
    known = np.isfinite(maps)
    limited = np.where(known, np.clip(maps, 0, 1), 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    limited[(shift > SEARCH) | (known.mean(axis=0) < 0.5)] = 0
    here, best = float(limited[shift <= max(TOLERANCE, scale)].max()), limited.argmax()
    if here < POOR and limited.flat[best] - here > BETTER:
        return f"{len(maps)} bright sources of the list fit best {shift.flat[best]:.1f} arcsec off its coordinates"
    if here < FAINT:
        return f"{len(maps)} bright sources of the list show {100 * here:.0f} % of their light at its coordinates"
    return None


def _off_peak(maps: np.ndarray, offset: np.ndarray, shift: np.ndarray) -> float | None:
    """Return by how much (arcsec) the nearest peaks lie off their sources, if it is too much.

    A few peaks must lie off in the same way: any one may be a neighbour's. The median distance of many is enough.
    """
    values = np.where(np.isfinite(maps), maps, -1)
    peak = (values >= FAINT) & (values == ndimage.maximum_filter(values, (1, 3, 3))) & (shift <= NEAREST)
    distances = np.where(peak, shift, np.inf).reshape(len(maps), -1)
    nearest = distances.argmin(axis=1)[np.isfinite(distances.min(axis=1))]
    if len(nearest) < FEW:
        return None
    peaks = offset[np.stack(np.unravel_index(nearest, shift.shape))]
    common = np.median(peaks, axis=1)
    agree = np.hypot(*(peaks - common[:, None])) <= TOLERANCE
    together, apart = float(np.hypot(*common)), float(np.median(np.hypot(*peaks)))
    if agree.mean() >= MAJORITY and together > TOLERANCE:
        return together
    return apart if len(nearest) >= MANY and apart > TOLERANCE else None


def _candidates(image: Image, listed: Listed, scale: float, sky_noise: float, fainter: float) -> _Candidates:
    """Return the sources on the image that are to be seen clearly and are not too large, most significant first."""
    with np.errstate(invalid="ignore"):
        possible = np.flatnonzero(np.isfinite(listed.mag) & ~(listed.radius > LARGEST_RADIUS))
    middle = np.array([image.shape[1] / 2]), np.array([image.shape[0] / 2])
    x, y = to_pixels(image.wcs, listed.ra[possible], listed.dec[possible], image.shape)
    with np.errstate(invalid="ignore"):
        on = np.flatnonzero((x > -0.5) & (x < image.shape[1] - 0.5) & (y > -0.5) & (y < image.shape[0] - 0.5))
    x, y, possible = x[on], y[on], possible[on]
    radius = listed.radius[possible]
    radius = np.where(radius > 0, radius, UNKNOWN_RADIUS) / HALF_LIGHT
    psf = float(np.nan_to_num(image.psf_fwhm(*middle))[0]) / FWHM
    sigma = np.hypot(radius, psf) / scale
    flux = 10 ** (-0.4 * (listed.mag[possible] + fainter - image.zero_point))
    # Of a Gaussian source, smoothed with its own width.
    signal = flux / (np.sqrt(4 * np.pi) * sigma * sky_noise)
    order = np.argsort(-signal, kind="stable")
    return _Candidates(x, y, sigma, flux)[order[signal[order] >= SIGNIFICANT]]


def _maps(image: Image, found: _Candidates, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the maps (M, n, n) of the sources that can be judged, and their signal-to-noise ratios (M,)."""
    reach, search = int(np.ceil(REACH / scale)), int(np.ceil(SEARCH / scale))
    height = max(4 * reach, 128)
    strip = np.maximum(found.y // height, 0).astype(int)
    number = np.bincount(strip, minlength=1)
    fullest = np.argsort(-number, kind="stable")[:STRIPS]
    wanted = (np.cumsum(number[fullest]) - number[fullest] < ENOUGH) & (number[fullest] > 0)
    fullest = fullest[wanted].tolist()
    chosen = np.flatnonzero(np.isin(strip, fullest))[:MOST]
    maps, significance = [], []
    for place in fullest:
        mine = found[chosen[strip[chosen] == place]]
        if not mine.x.size:
            continue
        start, stop = max(place * height - reach, 0), min((place + 1) * height + reach, image.shape[0])
        pixels, weight = image.rows(start, stop)
        for x, y, sigma, flux in zip(mine.x, mine.y - start, mine.sigma, mine.flux, strict=True):
            window = _window(pixels, weight, round(float(x)), round(float(y)), reach)
            seen = _map(*window, float(sigma), float(flux), search)
            if seen is not None:
                maps.append(seen[0])
                significance.append(seen[1])
    return np.array(maps), np.array(significance)


def _window(pixels: np.ndarray, weight: np.ndarray, x: int, y: int, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the square of 2 reach + 1 pixels about (x, y), without data beyond the edges."""
    result = np.zeros((2, 2 * reach + 1, 2 * reach + 1), dtype=np.float32)
    rows, columns = slice(max(y - reach, 0), y + reach + 1), slice(max(x - reach, 0), x + reach + 1)
    part = weight[rows, columns]
    first, left = rows.start - (y - reach), columns.start - (x - reach)
    here = (slice(first, first + part.shape[0]), slice(left, left + part.shape[1]))
    result[0][here], result[1][here] = np.where(part > 0, pixels[rows, columns], 0), part
    return result[0], result[1]


def _map(
    pixels: np.ndarray, weight: np.ndarray, sigma: float, flux: float, search: int
) -> tuple[np.ndarray, float] | None:
    """Return how much of the expected light is there after each shift, and the expected signal-to-noise ratio.

    None for a source whose centre has no data or that would not be significant in the noise that this image has.
    """
    good = (weight > 0).astype(np.float32)
    cover = ndimage.gaussian_filter(good, sigma, mode="constant", truncate=3)
    middle = len(good) // 2
    if cover[middle, middle] < USABLE:
        return None
    noise = float(1 / np.sqrt(np.median(weight[weight > 0]))) / (np.sqrt(4 * np.pi) * sigma)
    expected = flux / (4 * np.pi * sigma**2)
    if expected < SIGNIFICANT * noise:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        smooth = ndimage.gaussian_filter(pixels, sigma, mode="constant", truncate=3) / cover
    smooth[cover < USABLE / 2] = np.nan
    smooth -= np.nanpercentile(smooth, 25)
    kept = slice(middle - search, middle + search + 1)
    return smooth[kept, kept] / expected, expected / noise

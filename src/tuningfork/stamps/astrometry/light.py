"""Check whether an image shows light at the positions of a list of sources.

Around each of the brighter, smaller sources the image is smoothed with a Gaussian of the source's own width and divided
by the value that the source's magnitude predicts at its centre. Values are limited to the range from 0 (no light) to 1
(as expected, or more). The mean of these maps over the sources says, for each shift, how well the list fits the image.
A right WCS gives a high mean at no shift, a shifted WCS gives it elsewhere, and a turned, mirrored or foreign one
nowhere. No source counts for more than 1, so stars, large neighbours and crowding weigh as little as missing entries.
Shifts and turns that are not much wider than the sources show in the positions of the nearest peaks.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tuningfork.sky.coordinates import directions, jacobian, to_pixels
from tuningfork.surveys.base import Image

MIN_SOURCE_SNR, MIN_TOTAL_SNR = 10.0, 30.0
"""Least expected signal-to-noise ratio of a source that is used, and of all of them together."""
MAX_SOURCES, ENOUGH_SOURCES, MAX_STRIPS = 50, 20, 4
"""Most sources that are used, number after which no further strip of rows is read, most strips that are read."""
MAX_SOURCE_RADIUS, UNKNOWN_SOURCE_RADIUS = 5.0, 2.0
"""Largest half-light radius (arcsec) of a source that is used, and the one assumed where it is unknown."""
WINDOW_REACH, MAX_SHIFT = 18.0, 10.0
"""Half of the width of what is read around a source, and the largest shift that is tested (arcsec)."""
SHIFT_TOLERANCE = 1.5
"""Shift (arcsec) that is no fault of the coordinates: galaxies' catalogue positions, colours and centres differ."""
MIN_MEAN_LIGHT = 0.35
"""Mean map below which the sources show no light at their positions."""
POOR_MEAN_LIGHT, MEAN_LIGHT_GAIN = 0.65, 0.25
"""Mean map below which another shift is considered, and by how much that must fit better."""
MAX_PEAK_DISTANCE = 6.0
"""Distance (arcsec) within which a peak is taken as the source's."""
MIN_PEAKS, MIN_AGREEING_PEAKS, MANY_PEAKS = 3, 0.6, 10
"""Fewest peaks that show a shift, fraction of them that must agree, and number of peaks whose median distance alone shows it."""
GAUSSIAN_HALF_LIGHT, GAUSSIAN_FWHM = 1.1774, 2.3548
"""Half-light radius and full width at half maximum of a Gaussian in standard deviations."""
MIN_CENTRE_WEIGHT = 0.7
"""Least weight of the good pixels at the centre of a source that is used."""


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
    """Return, in words, that the light of an image does not lie at the listed sources, or None.

    Parameters
    ----------
    image : Image
    listed : Listed
    sky_noise : float
        Expected standard deviation of the sky in a pixel (the image's flux unit).
    fainter : float
        How much fainter than in the list the sources may be (mag).

    Returns
    -------
    str or None
    """
    middle = np.array([image.shape[1] / 2]), np.array([image.shape[0] / 2])
    scale = float(directions(jacobian(image.wcs, *middle))[0][0])
    candidates = _candidates(image, listed, scale, sky_noise, fainter)
    maps, significance = _maps(image, candidates, scale)
    if not len(maps) or np.sum(np.square(significance)) < MIN_TOTAL_SNR**2:
        return None
    return _judge(maps, scale)


def _judge(maps: np.ndarray, scale: float) -> str | None:
    """Judge the maps (M, n, n) of expected light, NaN without data."""
    offset = (np.arange(maps.shape[1]) - maps.shape[1] // 2) * scale
    shift = np.hypot(offset[:, None], offset)
    if distance := _off_peak(maps, offset, shift):
        return f"the peaks about {len(maps)} bright sources of the list lie {distance:.1f} arcsec off its coordinates"
    known = np.isfinite(maps)
    limited = np.where(known, np.clip(maps, 0, 1), 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    limited[(shift > MAX_SHIFT) | (known.mean(axis=0) < 0.5)] = 0
    at_listed, best = float(limited[shift <= max(SHIFT_TOLERANCE, scale)].max()), limited.argmax()
    if at_listed < POOR_MEAN_LIGHT and limited.flat[best] - at_listed > MEAN_LIGHT_GAIN:
        return f"{len(maps)} bright sources of the list fit best {shift.flat[best]:.1f} arcsec off its coordinates"
    if at_listed < MIN_MEAN_LIGHT:
        return f"{len(maps)} bright sources of the list show {100 * at_listed:.0f} % of their light at its coordinates"
    return None


def _off_peak(maps: np.ndarray, offset: np.ndarray, shift: np.ndarray) -> float | None:
    """Return by how much (arcsec) the nearest peaks lie distance their sources, if it is too much.

    A few peaks must lie off in the same direction, because any one may belong to a neighbour. The median distance of many
    is enough.
    """
    values = np.where(np.isfinite(maps), maps, -1)
    peak = (
        (values >= MIN_MEAN_LIGHT)
        & (values == ndimage.maximum_filter(values, (1, 3, 3)))
        & (shift <= MAX_PEAK_DISTANCE)
    )
    distances = np.where(peak, shift, np.inf).reshape(len(maps), -1)
    nearest = distances.argmin(axis=1)[np.isfinite(distances.min(axis=1))]
    if len(nearest) < MIN_PEAKS:
        return None
    peaks = offset[np.stack(np.unravel_index(nearest, shift.shape))]
    common = np.median(peaks, axis=1)
    agree = np.hypot(*(peaks - common[:, None])) <= SHIFT_TOLERANCE
    together, apart = float(np.hypot(*common)), float(np.median(np.hypot(*peaks)))
    if agree.mean() >= MIN_AGREEING_PEAKS and together > SHIFT_TOLERANCE:
        return together
    return apart if len(nearest) >= MANY_PEAKS and apart > SHIFT_TOLERANCE else None


def _candidates(image: Image, listed: Listed, scale: float, sky_noise: float, fainter: float) -> _Candidates:
    """Return the sources on the image that should be clearly visible and are not too large, most significant first."""
    with np.errstate(invalid="ignore"):
        possible = np.flatnonzero(np.isfinite(listed.mag) & ~(listed.radius > MAX_SOURCE_RADIUS))
    middle = np.array([image.shape[1] / 2]), np.array([image.shape[0] / 2])
    x, y = to_pixels(image.wcs, listed.ra[possible], listed.dec[possible], image.shape)
    with np.errstate(invalid="ignore"):
        on = np.flatnonzero((x > -0.5) & (x < image.shape[1] - 0.5) & (y > -0.5) & (y < image.shape[0] - 0.5))
    x, y, possible = x[on], y[on], possible[on]
    radius = listed.radius[possible]
    radius = np.where(radius > 0, radius, UNKNOWN_SOURCE_RADIUS) / GAUSSIAN_HALF_LIGHT
    psf = float(np.nan_to_num(image.psf_fwhm(*middle))[0]) / GAUSSIAN_FWHM
    sigma = np.hypot(radius, psf) / scale
    flux = 10 ** (-0.4 * (listed.mag[possible] + fainter - image.zero_point))
    # Of a Gaussian source, smoothed with its own width.
    signal = flux / (np.sqrt(4 * np.pi) * sigma * sky_noise)
    order = np.argsort(-signal, kind="stable")
    return _Candidates(x, y, sigma, flux)[order[signal[order] >= MIN_SOURCE_SNR]]


def _maps(image: Image, candidates: _Candidates, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the maps (M, n, n) of the sources that can be judged, and their signal-to-noise ratios (M,)."""
    reach, search = int(np.ceil(WINDOW_REACH / scale)), int(np.ceil(MAX_SHIFT / scale))
    height = max(4 * reach, 128)
    strip = np.maximum(candidates.y // height, 0).astype(int)
    number = np.bincount(strip, minlength=1)
    fullest = np.argsort(-number, kind="stable")[:MAX_STRIPS]
    wanted = (np.cumsum(number[fullest]) - number[fullest] < ENOUGH_SOURCES) & (number[fullest] > 0)
    fullest = fullest[wanted].tolist()
    chosen = np.flatnonzero(np.isin(strip, fullest))[:MAX_SOURCES]
    maps, significance = [], []
    for strip_number in fullest:
        in_strip = candidates[chosen[strip[chosen] == strip_number]]
        if not in_strip.x.size:
            continue
        start, stop = max(strip_number * height - reach, 0), min((strip_number + 1) * height + reach, image.shape[0])
        pixels, weight = image.rows(start, stop)
        for x, y, sigma, flux in zip(in_strip.x, in_strip.y - start, in_strip.sigma, in_strip.flux, strict=True):
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
    inside = (slice(first, first + part.shape[0]), slice(left, left + part.shape[1]))
    result[0][inside], result[1][inside] = np.where(part > 0, pixels[rows, columns], 0), part
    return result[0], result[1]


def _map(
    pixels: np.ndarray, weight: np.ndarray, sigma: float, flux: float, search: int
) -> tuple[np.ndarray, float] | None:
    """Return the fraction of the expected light after each shift, and the expected signal-to-noise ratio.

    None for a source whose centre has no data or that would not be significant in the noise of this image.
    """
    good = (weight > 0).astype(np.float32)
    cover = ndimage.gaussian_filter(good, sigma, mode="constant", truncate=3)
    middle = len(good) // 2
    if cover[middle, middle] < MIN_CENTRE_WEIGHT:
        return None
    noise = float(1 / np.sqrt(np.median(weight[weight > 0]))) / (np.sqrt(4 * np.pi) * sigma)
    expected = flux / (4 * np.pi * sigma**2)
    if expected < MIN_SOURCE_SNR * noise:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        smooth = ndimage.gaussian_filter(pixels, sigma, mode="constant", truncate=3) / cover
    smooth[cover < MIN_CENTRE_WEIGHT / 2] = np.nan
    smooth -= np.nanpercentile(smooth, 25)
    kept = slice(middle - search, middle + search + 1)
    return smooth[kept, kept] / expected, expected / noise

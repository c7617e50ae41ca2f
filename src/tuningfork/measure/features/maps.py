"""Bulge and spiral arms, measured in the light of the pixels that determine the networks' answers about them.

Bhambra, Joachimi & Lahav (2022, MNRAS 511, 5032) propose this measurement in addition to bar lengths: the saliency map
of an answer marks the pixels that determine the answer, so that features without labels can be measured.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy import ndimage

from tuningfork.core.tables import numpy_column
from tuningfork.measure.bars.estimators import psf_pixels
from tuningfork.measure.bars.maps import central_region
from tuningfork.measure.features.azimuthal import Azimuthal, azimuthal

STAMPS_AT_ONCE = 64
"""Number of stamps that are measured at once."""
MIN_END_PSF = 1.5
"""Smallest radius, in PSF widths (FWHM), at which a galaxy may end in the noise for its features to be measured."""
BULGE_SMOOTHING, ARMS_SMOOTHING = 1.0, 2.0
"""Gaussian widths (px) of the smoothing of the two maps."""
BACKGROUND_RADIUS = 0.4
"""Radius, in widths of the stamp, beyond which a map is background."""
BULGE_LEVEL, ARMS_LEVEL = 0.5, 0.005
"""Heights above which the maps mark a pixel, between the background (0) and the peak (1). Arms are faint in the map
compared with the centre, but brighter than the surroundings of the galaxy."""
LIGHT_SMOOTHING = 1.0
"""Gaussian width (px) of the smoothing of the light before it is compared with its azimuthal mean."""
MIN_ARM_SIGNAL, MIN_UNMARKED_ARM_SIGNAL = 1.0, 0.4
"""Smallest excess of arms over the mean of their ring, in standard deviations of the smoothed noise: the excess must
reach the first value, and the second value divided by the square root of the map's height. Pixels that the map marks
weakly thus need a higher excess of light."""
NEIGHBOUR_EXCESS = 1.5, 5.0
"""Excess over the mean of its ring above which a pixel belongs to a neighbour: this fraction of the mean plus this
number of standard deviations."""
ARMS_RADII = 0.15, 0.9
"""Radii between which arms are searched for, in units of the radius at which the galaxy ends in the noise. Bulge and
bar lie inside this range; noise and neighbours dominate outside it."""


@dataclass(frozen=True)
class FeatureMeasurements:
    """The measurements on N stamps; NaN for galaxies that end too close to the PSF's width.

    Attributes
    ----------
    bulge : ndarray
        (N,) share of the galaxy's light in the central region that the bulge map marks.
    arms : ndarray
        (N,) share of the galaxy's light in the mask of the spiral arms.
    end : ndarray
        (N,) radius at which the galaxy ends in the noise (px).
    concentration, residual : ndarray
        (N,) measurements without a map, for comparison: the ratio of the radii that contain 90 and 50 % of the light,
        and the share of the light in a mask that uses the galaxy's profile in place of the map.
    masks : ndarray
        bool (N, S, S), the spiral arms.
    """

    bulge: np.ndarray
    arms: np.ndarray
    end: np.ndarray
    concentration: np.ndarray
    residual: np.ndarray
    masks: np.ndarray


def measure_features(
    rows: pa.Table, light: np.ndarray, maps: np.ndarray, mapped: np.ndarray, band: str
) -> Iterator[tuple[np.ndarray, FeatureMeasurements]]:
    """Yield the row numbers of the stamps with maps and the measurements on them, a bounded number at a time.

    Parameters
    ----------
    rows : pyarrow.Table
        N rows of a stamp store.
    light : ndarray
        (N, 2, 1, S, S) stamps in the reference band.
    maps : ndarray
        (N, 2, S, S) maps of bulge and spiral arms.
    mapped : ndarray
        (N,) bool, which rows have maps.
    band : str
        The reference band.

    Yields
    ------
    places : ndarray
        int (n,).
    measurements : FeatureMeasurements
        Of these n rows.
    """
    psf = psf_pixels(rows, band)
    noise = numpy_column(rows, f"sky_noise_{band}").astype(float)
    chosen = np.flatnonzero(mapped)
    for first in range(0, len(chosen), STAMPS_AT_ONCE):
        places = chosen[first : first + STAMPS_AT_ONCE]
        stamps = np.asarray(light[places, :, 0], dtype=np.float32)
        flux = stamps[:, 0] / noise[places, None, None].astype(np.float32)
        galaxies = azimuthal(flux, stamps[:, 1], psf[places])
        bulge, arms = np.moveaxis(np.asarray(maps[places], dtype=np.float32), 1, 0)
        yield places, measured(galaxies, bulge, arms, psf[places])


def measured(
    galaxies: Azimuthal, bulge_maps: np.ndarray, arms_maps: np.ndarray, psf_fwhm: np.ndarray
) -> FeatureMeasurements:
    """Measure bulges and arms on maps (N, S, S) and the light of the stamps.

    Parameters
    ----------
    galaxies : Azimuthal
    bulge_maps, arms_maps : ndarray
        (N, S, S), not negative.
    psf_fwhm : ndarray
        (N,) px.

    Returns
    -------
    FeatureMeasurements
    """
    total = galaxies.total
    seen = (galaxies.end > MIN_END_PSF * psf_fwhm) & (total > 0)
    masks, unmapped = (
        without_specks(arms_where(galaxies, height) & seen[:, None, None], psf_fwhm)
        for height in (heights(arms_maps, ARMS_SMOOTHING), profile_heights(galaxies))
    )
    regions = bulge_regions(bulge_maps, psf_fwhm)
    share = np.where(seen, 1 / np.where(seen, total, 1), np.nan)
    return FeatureMeasurements(
        bulge=np.where(regions.any((1, 2)), _light(galaxies, regions) * share, np.nan),
        arms=_light(galaxies, masks) * share,
        end=np.where(seen, galaxies.end, np.nan),
        concentration=np.where(seen, concentrations(galaxies), np.nan),
        residual=_light(galaxies, unmapped) * share,
        masks=masks,
    )


def _light(galaxies: Azimuthal, masks: np.ndarray) -> np.ndarray:
    """Return the light (N,) in masks (N, S, S)."""
    return np.asarray(np.where(masks, galaxies.light, 0).sum((1, 2), dtype=np.float64))


def arms_where(galaxies: Azimuthal, height: np.ndarray) -> np.ndarray:
    """Return which pixels of the disc are marked by a map and brighter than the galaxy's azimuthal mean.

    Parameters
    ----------
    galaxies : Azimuthal
    height : ndarray
        (N, S, S) heights of the map, between background (0) and peak (1).

    Returns
    -------
    ndarray
        bool (N, S, S).
    """
    excess = _smooth(galaxies.light - galaxies.profile, LIGHT_SMOOTHING)
    noise = 1 / (2 * np.sqrt(np.pi) * LIGHT_SMOOTHING)
    share, level = NEIGHBOUR_EXCESS
    neighbours = excess > share * np.maximum(galaxies.profile, 0) + level * noise
    radius = galaxies.radius / galaxies.end[:, None, None]
    low, high = ARMS_RADII
    needed = np.maximum(MIN_ARM_SIGNAL, MIN_UNMARKED_ARM_SIGNAL / np.sqrt(np.maximum(height, ARMS_LEVEL)))
    brighter = (excess > needed * noise) & (height > ARMS_LEVEL)
    return np.asarray(brighter & ~neighbours & (radius > low) & (radius < high))


def heights(maps: np.ndarray, smoothing: float) -> np.ndarray:
    """Return smoothed maps, scaled from their background (0) to their peak (1); a constant map becomes 0.

    Parameters
    ----------
    maps : ndarray
        (N, S, S)
    smoothing : float
        Gaussian width (px).

    Returns
    -------
    ndarray
        (N, S, S)
    """
    smooth = _smooth(maps, smoothing)
    background = np.median(smooth[:, _radius(maps.shape[-1]) > BACKGROUND_RADIUS * maps.shape[-1]], axis=1)[
        :, None, None
    ]
    span = smooth.max((1, 2), keepdims=True) - background
    return np.asarray((smooth - background) / np.where(span > 0, span, np.inf))


def profile_heights(galaxies: Azimuthal) -> np.ndarray:
    """Return the galaxies' profiles in units of their peaks, which replace the networks' maps for comparison.

    Returns
    -------
    ndarray
        (N, S, S)
    """
    profile = np.maximum(galaxies.profile, 0)
    return np.asarray(profile / np.maximum(profile.max((1, 2), keepdims=True), 1e-6))


def bulge_regions(maps: np.ndarray, psf_fwhm: np.ndarray) -> np.ndarray:
    """Return the connected regions that the bulge maps mark at the centre; they may be empty.

    Parameters
    ----------
    maps : ndarray
        (N, S, S)
    psf_fwhm : ndarray
        (N,) px.

    Returns
    -------
    ndarray
        bool (N, S, S).
    """
    radius = _radius(maps.shape[-1])
    regions = heights(maps, BULGE_SMOOTHING) > BULGE_LEVEL
    for row, marked in enumerate(regions):
        regions[row] = central_region(marked, radius, max(float(psf_fwhm[row]), 2.0))[0] if marked.any() else marked
    return regions


def without_specks(masks: np.ndarray, psf_fwhm: np.ndarray) -> np.ndarray:
    """Return masks without connected pieces smaller than the square of the PSF's width.

    Parameters
    ----------
    masks : ndarray
        bool (N, S, S).
    psf_fwhm : ndarray
        (N,) px.

    Returns
    -------
    ndarray
        bool (N, S, S).
    """
    kept = np.zeros_like(masks)
    for row, mask in enumerate(masks):
        labels, number = ndimage.label(mask)
        if number:
            sizes = np.bincount(labels.ravel())
            sizes[0] = 0
            kept[row] = (sizes >= psf_fwhm[row] ** 2)[labels]
    return kept


def concentrations(galaxies: Azimuthal) -> np.ndarray:
    """Return the ratio of the radii that contain 90 and 50 % of the profile's light.

    Returns
    -------
    ndarray
        (N,)
    """
    result = np.full(len(galaxies.light), np.nan)
    for row, inside in enumerate(galaxies.inside):
        radius, light = galaxies.radius[row][inside], np.maximum(galaxies.profile[row][inside], 0)
        order = np.argsort(radius)
        growth = np.cumsum(light[order], dtype=np.float64)
        if len(growth) and growth[-1] > 0:
            half, most = np.interp([0.5 * growth[-1], 0.9 * growth[-1]], growth, radius[order])
            result[row] = most / max(half, 0.5)
    return result


def _smooth(images: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(ndimage.gaussian_filter(images, (0, sigma, sigma)))


def _radius(size: int) -> np.ndarray:
    rows, columns = np.indices((size, size)) - size // 2
    return np.asarray(np.hypot(rows, columns))

"""Sources in an image: detection, deblending and photometry, by the library sep (Barbary 2016).

sep is the algorithm of SExtractor (Bertin & Arnouts 1996). An image is searched with a matched filter of the shape of
the PSF and the noise of every pixel; what is connected is split where a share of its flux stands out between levels.
"""

from dataclasses import dataclass

import numpy as np
import sep

from tuningfork.core.config.sources import Detection
from tuningfork.core.errors import InputError

KRON_APERTURE = 2.5
"""Radius of the elliptical aperture of the total flux, in Kron radii (Kron 1980)."""
MIN_APERTURE = 3.5
"""Radius of the smallest aperture, in half-light radii of the PSF: it holds 97 per cent of a Moffat PSF of beta 3."""
KRON_SEARCH_RADIUS = 6.0
"""Radius of the ellipse in which the Kron radius is measured, in units of the second moments."""
SEP_PIXEL_BUFFER = 2_000_000
SEP_SUB_OBJECT_BUFFER = 16_384
"""Sizes of sep's buffers: pixels above the threshold that are open at a time, and parts of one detection."""


@dataclass
class DetectedSources:
    """Sources in an image; arrays of shape (N,).

    Attributes
    ----------
    x, y : ndarray
        Barycentre (px).
    peak_x, peak_y : ndarray
        Pixel with the largest value after filtering.
    flux : ndarray
        Within the Kron aperture.
    radius : ndarray
        Of the circle that holds half of the flux, with the PSF taken off in quadrature (px).
    point_like : ndarray of bool
    blended : ndarray of bool
        Whether the source was split off a detection, or its pixels touch those of another.
    """

    x: np.ndarray
    y: np.ndarray
    peak_x: np.ndarray
    peak_y: np.ndarray
    flux: np.ndarray
    radius: np.ndarray
    point_like: np.ndarray
    blended: np.ndarray


def extract(
    pixels: np.ndarray, inverse_variance: np.ndarray, psf_fwhm: float, psf_beta: float, settings: Detection
) -> DetectedSources:
    """Return the sources in an image.

    Parameters
    ----------
    pixels : ndarray
        float32 (H, W), sky-subtracted.
    inverse_variance : ndarray
        float32 (H, W), zero where there are no data.
    psf_fwhm : float
        Full width at half maximum of the PSF (px).
    psf_beta : float
        Exponent of its Moffat profile.
    settings : Detection

    Raises
    ------
    InputError
        More pixels or parts are above the threshold than there is room for: the image is no sky.
    """
    mask = ~((inverse_variance > 0) & np.isfinite(pixels) & np.isfinite(inverse_variance))
    data = np.where(mask, np.float32(0), pixels).astype(np.float32)
    noise = 1 / np.sqrt(np.where(mask, np.float32(1), inverse_variance)).astype(np.float32)
    sep.set_extract_pixstack(SEP_PIXEL_BUFFER)
    sep.set_sub_object_limit(SEP_SUB_OBJECT_BUFFER)
    try:
        objects, segments = sep.extract(
            data,
            settings.threshold,
            err=noise,
            mask=mask,
            minarea=settings.min_area,
            filter_kernel=moffat_kernel(psf_fwhm, psf_beta),
            filter_type="matched",
            deblend_nthresh=settings.deblend_levels,
            deblend_cont=settings.deblend_contrast,
            segmentation_map=True,
        )
    except Exception as error:  # sep raises Exception itself
        raise InputError(f"the detection of sources failed ({error})") from None
    return _measure(data, mask, objects, segments, psf_fwhm, psf_beta)


def _measure(
    data: np.ndarray, mask: np.ndarray, objects: np.ndarray, segments: np.ndarray, psf_fwhm: float, psf_beta: float
) -> DetectedSources:
    number = np.arange(1, len(objects) + 1, dtype=np.int32)
    x, y, a, b = (np.ascontiguousarray(objects[name]) for name in ("x", "y", "a", "b"))
    theta = np.clip(objects["theta"], -np.pi / 2, np.pi / 2)
    others = {"mask": mask, "segmap": segments, "seg_id": number}
    psf = psf_half_light_radius(psf_fwhm, psf_beta)
    kron, _ = sep.kron_radius(data, x, y, a, b, theta, KRON_SEARCH_RADIUS, **others)
    kron = np.where(np.isfinite(kron), kron, 0.0)
    # An aperture smaller than the PSF would lose flux: it becomes a circle.
    small = KRON_APERTURE * kron * np.sqrt(a * b) < MIN_APERTURE * psf
    a, b = (
        np.where(small, MIN_APERTURE * psf, KRON_APERTURE * kron * a),
        np.where(small, MIN_APERTURE * psf, KRON_APERTURE * kron * b),
    )
    flux, _, _ = sep.sum_ellipse(data, x, y, a, b, np.where(small, 0.0, theta), 1.0, **others)
    seen, _ = sep.flux_radius(data, x, y, 1.5 * a, 0.5, normflux=flux, **others)
    return DetectedSources(
        x,
        y,
        objects["xcpeak"],
        objects["ycpeak"],
        flux,
        np.sqrt(np.maximum(seen**2 - psf**2, 0)),
        seen < MAX_STAR_RADIUS * psf,
        (objects["flag"] & sep.OBJ_MERGED > 0) | np.isin(number, touching_segments(segments)),
    )


MAX_STAR_RADIUS = 1.15
"""Half-light radius, in units of that of the PSF, below which a source is taken for a star."""


def touching_segments(segments: np.ndarray) -> np.ndarray:
    """Return the numbers of the segments that have a pixel beside one of another segment."""
    found = []
    for first, second in (
        (segments[:, :-1], segments[:, 1:]),
        (segments[:-1], segments[1:]),
        (segments[:-1, :-1], segments[1:, 1:]),
        (segments[:-1, 1:], segments[1:, :-1]),
    ):
        beside = (first != second) & (first > 0) & (second > 0)
        found += [first[beside], second[beside]]
    return np.unique(np.concatenate(found))


def moffat_kernel(fwhm: float, beta: float) -> np.ndarray:
    """Return a Moffat profile on pixels out to 1.5 times its full width at half maximum (px), with a sum of one."""
    half = int(np.ceil(1.5 * fwhm))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    core = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    profile = (1 + (x**2 + y**2) / core**2) ** -beta
    return np.asarray(profile / profile.sum(), dtype=np.float32)


def psf_half_light_radius(fwhm: float, beta: float) -> float:
    """Return the half-light radius (px) of a Moffat PSF, in an image whose pixels widen it."""
    core = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    radius = core * np.sqrt(2 ** (1 / (beta - 1)) - 1)
    # A pixel has a variance of 1/12, a Gaussian of that variance a half-light radius of 1.177 times its root.
    return float(np.sqrt(radius**2 + 1.177**2 / 12))

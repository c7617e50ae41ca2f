"""Detection, deblending and photometry of the sources in an image, with the library sep (Barbary 2016).

sep implements the algorithm of SExtractor (Bertin & Arnouts 1996). An image is searched with a matched filter of the
shape of the PSF, using the noise of every pixel. Connected pixels are split into several sources where enough of their
flux stands out between brightness levels.
"""

from dataclasses import dataclass

import numpy as np
import sep

from tuningfork.core.config.sources import Detection
from tuningfork.core.errors import InputError

KRON_APERTURE = 2.5
"""Radius of the elliptical aperture of the total flux, in Kron radii (Kron 1980)."""
MIN_APERTURE = 3.5
"""Radius of the smallest aperture, in half-light radii of the PSF: it contains 97 % of a Moffat PSF with beta = 3."""
KRON_SEARCH_RADIUS = 6.0
"""Radius of the ellipse in which the Kron radius is measured, in units of the second moments."""
SEP_PIXEL_BUFFER = 2_000_000
"""Size of sep's buffer of pixels above the threshold."""
SEP_SUB_OBJECT_BUFFER = 16_384
"""Size of sep's buffer of sources deblended from one detection."""


@dataclass
class DetectedSources:
    """The sources in an image; arrays of shape (N,).

    Attributes
    ----------
    x, y : ndarray
        Barycentre (px).
    peak_x, peak_y : ndarray
        Pixel with the largest value after filtering.
    flux : ndarray
        Flux within the Kron aperture, in the unit of the image.
    radius : ndarray
        Half-light radius (px), with that of the PSF subtracted in quadrature.
    point_like : ndarray of bool
        Whether the source is taken for a star.
    blended : ndarray of bool
        Whether the source was deblended from another, or its pixels touch those of another.
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
    """Detect and measure the sources in an image.

    Parameters
    ----------
    pixels : ndarray
        float32 (H, W), sky-subtracted.
    inverse_variance : ndarray
        float32 (H, W), zero where there are no data.
    psf_fwhm : float
        Full width at half maximum of the PSF (px).
    psf_beta : float
        Exponent of the Moffat profile of the PSF.
    settings : Detection

    Returns
    -------
    DetectedSources

    Raises
    ------
    InputError
        If more pixels or sources exceed the threshold than sep has room for: the image is not one of the sky.
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
    psf_radius = psf_half_light_radius(psf_fwhm, psf_beta)
    kron, _ = sep.kron_radius(data, x, y, a, b, theta, KRON_SEARCH_RADIUS, **others)
    kron = np.where(np.isfinite(kron), kron, 0.0)
    # An aperture smaller than the PSF would lose flux; it is replaced by a circle.
    small = KRON_APERTURE * kron * np.sqrt(a * b) < MIN_APERTURE * psf_radius
    a, b = (
        np.where(small, MIN_APERTURE * psf_radius, KRON_APERTURE * kron * a),
        np.where(small, MIN_APERTURE * psf_radius, KRON_APERTURE * kron * b),
    )
    flux, _, _ = sep.sum_ellipse(data, x, y, a, b, np.where(small, 0.0, theta), 1.0, **others)
    half_light, _ = sep.flux_radius(data, x, y, 1.5 * a, 0.5, normflux=flux, **others)
    return DetectedSources(
        x,
        y,
        objects["xcpeak"],
        objects["ycpeak"],
        flux,
        np.sqrt(np.maximum(half_light**2 - psf_radius**2, 0)),
        half_light < MAX_STAR_RADIUS * psf_radius,
        (objects["flag"] & sep.OBJ_MERGED > 0) | np.isin(number, touching_segments(segments)),
    )


MAX_STAR_RADIUS = 1.15
"""Half-light radius, in units of that of the PSF, below which a source is taken for a star."""


def touching_segments(segments: np.ndarray) -> np.ndarray:
    """Return the segments that have a pixel next to one of another segment.

    Parameters
    ----------
    segments : ndarray of int
        Segmentation map (H, W), zero for the sky.

    Returns
    -------
    ndarray of int
        Numbers of the segments, sorted.
    """
    numbers = []
    for first, second in (
        (segments[:, :-1], segments[:, 1:]),
        (segments[:-1], segments[1:]),
        (segments[:-1, :-1], segments[1:, 1:]),
        (segments[:-1, 1:], segments[1:, :-1]),
    ):
        beside = (first != second) & (first > 0) & (second > 0)
        numbers += [first[beside], second[beside]]
    return np.unique(np.concatenate(numbers))


def moffat_kernel(fwhm: float, beta: float) -> np.ndarray:
    """Return a Moffat profile on pixels, out to 1.5 times its full width at half maximum.

    Parameters
    ----------
    fwhm : float
        Full width at half maximum (px).
    beta : float
        Exponent.

    Returns
    -------
    ndarray
        float32 (K, K), K odd, with a sum of one.
    """
    half = int(np.ceil(1.5 * fwhm))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    core = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    profile = (1 + (x**2 + y**2) / core**2) ** -beta
    return np.asarray(profile / profile.sum(), dtype=np.float32)


def psf_half_light_radius(fwhm: float, beta: float) -> float:
    """Return the half-light radius (px) of a Moffat PSF in an image, including the blurring by the pixels."""
    core = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    radius = core * np.sqrt(2 ** (1 / (beta - 1)) - 1)
    # A pixel has a variance of 1/12; a Gaussian of that variance has a half-light radius of 1.177 times its square root.
    return float(np.sqrt(radius**2 + 1.177**2 / 12))

"""Which sources are stars, by the fit of a profile and by their light: it is as concentrated as the PSF.

A fit to a star ends at the smallest radius that is allowed, and often does not count as converged, so that no
convergence is asked for. A fit that went astray ends there, too: it may have found a star in front of a galaxy.
Therefore the light itself must be concentrated as well. On a real SDSS field with a PSF of 0.9 arcsec, galaxies to r =
20 have fitted radii of 0.36 FWHM and more.
"""

import numpy as np

from tuningfork.networks.posterior import Gaussians

MAX_STAR_RADIUS = 0.2
"""Circularised half-light radius of a point source at most, in FWHM of the PSF.

The fit gives stars 0.03 to 0.05. A PSF that is assumed 10 % too narrow makes that 0.14, and with an image of the PSF the
brightest stars below saturation, whose cores are flat, have 0.18; a PSF that is 5 % too wide makes 0.22 of a galaxy of
0.3 FWHM."""
MAX_SATURATED_RADIUS = 1.5
"""The same for a source with a saturated core, of which only the wings are fitted: the fit gives such stars 0.1 to 0.8,
and more where they bleed or touch. A galaxy whose core saturates is so near and bright that its half-light radius is
many times the PSF."""
INNER, OUTER = 0.75, 2.0
"""Radii, in FWHM of the PSF, of the circles whose light is compared."""
MIN_CONCENTRATION = 0.8
"""Least concentration of a star, in units of that of the PSF: a PSF that is assumed 10 % too narrow makes it 0.9, and a
disc with a half-light radius of 0.7 FWHM has 0.77."""
MIN_STAR_SIGNAL = 50.0
"""Signal-to-noise ratio within the PSF's FWHM from which a galaxy of 0.3 FWHM is told from a star."""


def relative_radius(fit: Gaussians, psf_fwhm: np.ndarray) -> np.ndarray:
    """Return the circularised half-light radii of fitted profiles in FWHM of the PSF.

    Parameters
    ----------
    fit : Gaussians
        Of the five `PROFILE` targets, N sources.
    psf_fwhm : ndarray
        (N,) px.

    Returns
    -------
    ndarray
        (N,), NaN without a fit.
    """
    return np.asarray(np.exp(fit.mean[:, 1] - np.hypot(fit.mean[:, 3], fit.mean[:, 4]) / 2) / psf_fwhm)


def relative_concentration(
    flux: np.ndarray, weight: np.ndarray, psf_fwhm: np.ndarray, psf_beta: np.ndarray
) -> np.ndarray:
    """Return how concentrated the light of sources is, in units of a Moffat profile's.

    The concentration is the ratio of the light within `INNER` and within `OUTER` FWHM of the PSF.

    Parameters
    ----------
    flux, weight : ndarray
        (N, S, S) light above the sky and its inverse variance, zero without data; the source is at index S // 2.
    psf_fwhm, psf_beta : ndarray
        (N,) full width at half maximum (px) and exponent, above 1.

    Returns
    -------
    ndarray
        (N,); NaN where no light is seen.
    """
    size = flux.shape[-1]
    y, x = np.indices((size, size)) - size // 2
    radius = np.hypot(x, y)
    light = np.where(weight > 0, flux, 0)
    inner, outer = (
        np.einsum("nij,nij->n", light, np.clip(part * psf_fwhm[:, None, None] - radius + 0.5, 0, 1))
        for part in (INNER, OUTER)
    )
    core = 0.25 / (2 ** (1 / psf_beta) - 1)
    expected = [1 - (1 + part**2 / core) ** (1 - psf_beta) for part in (INNER, OUTER)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(outer > 0, inner / outer / (expected[0] / expected[1]), np.nan)


def is_star(fit: Gaussians, psf_fwhm: np.ndarray, saturated: np.ndarray, concentration: np.ndarray) -> np.ndarray:
    """Return which sources are point sources, or saturated stars.

    Parameters
    ----------
    fit : Gaussians
        Of the five `PROFILE` targets, N sources; the magnitude is relative to the sky noise of one pixel.
    psf_fwhm : ndarray
        (N,) px.
    saturated : ndarray of bool
        (N,), whether the survey's mask says that the core is saturated.
    concentration : ndarray
        (N,), from :func:`relative_concentration`; of a saturated core nothing is known.

    Returns
    -------
    ndarray of bool
        (N,), false without a fit.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        # Half of the light of a Gaussian lies within a circle whose diameter is the FWHM.
        signal = 0.5 * 10 ** (-0.4 * fit.mean[:, 0]) / (np.sqrt(np.pi) * psf_fwhm / 2)
        largest = np.where(saturated, MAX_SATURATED_RADIUS, MAX_STAR_RADIUS)
        compact = saturated | (concentration >= MIN_CONCENTRATION)
        return np.asarray(compact & (signal >= MIN_STAR_SIGNAL) & (relative_radius(fit, psf_fwhm) < largest))

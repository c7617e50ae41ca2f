"""Seeing and noise of one exposure, drawn from the survey's description or from measured images."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tuningfork.core.config.stages import Simulate
from tuningfork.core.description import Description
from tuningfork.simulate.galaxies.priors import log_uniform
from tuningfork.simulate.imaging.noise import Correlation
from tuningfork.simulate.imaging.patches import SkyPatches, cut_patch
from tuningfork.simulate.imaging.psf import Moffat, Psf
from tuningfork.simulate.imaging.psf_images import PsfStack

RAYLEIGH_MEDIAN = np.sqrt(2 * np.log(2))
MAX_DEVIATE = 3.0
"""Exponents and log-normal noises are drawn within so many standard deviations."""
MIN_PSF_BETA = 1.2
"""Exponent below which most of the light of a Moffat profile lies far from its core."""


@dataclass(frozen=True)
class Conditions:
    """Seeing and noise of one exposure.

    Attributes
    ----------
    psf_fwhm : ndarray
        Full width at half maximum in each band (arcsec), (B,), as it is reported with the images.
    sky_noise : ndarray
        Standard deviation of the sky in a pixel in each band (flux units), (B,), as the inverse variance states it.
    psf_beta : float
        Exponent of the Moffat profile, as it is reported.
    psf_axis_ratio, psf_position_angle : float
        Of the Moffat profile in all bands; deg. They are not reported.
    correlation : Correlation or None
        Of the noise; None if it is white.
    psf_images : tuple of Psf
        Measured PSFs, one per band, which replace the Moffat profiles.
    background : ndarray
        Pixels of empty sky (B, H, W), flux units, which replace the noise of the sky.
    """

    psf_fwhm: np.ndarray
    sky_noise: np.ndarray
    psf_beta: float
    psf_axis_ratio: float = 1.0
    psf_position_angle: float = 0.0
    correlation: Correlation | None = None
    psf_images: tuple[Psf, ...] = field(default=(), repr=False)
    background: np.ndarray | None = field(default=None, repr=False)

    def psfs(self) -> Sequence[Psf]:
        """Return the PSF of each band."""
        shape = self.psf_beta, self.psf_axis_ratio, self.psf_position_angle
        return self.psf_images or [Moffat(float(fwhm), *shape) for fwhm in self.psf_fwhm]


def draw_conditions(
    rng: np.random.Generator,
    description: Description,
    seeing: Sequence[float] | None = None,
    noise: Sequence[float] | None = None,
) -> Conditions:
    """Return conditions around the survey's medians; the seeing of the bands varies together.

    Parameters
    ----------
    rng : numpy.random.Generator
    description : Description
    seeing : sequence of float, optional
        Limits of the PSF's width in the reference band (arcsec), uniform in its logarithm, instead of the survey's
        distribution; the other bands keep their ratios to it.
    noise : sequence of float, optional
        Limits of the sky noise in units of the survey's median, uniform in the logarithm, with one factor for all bands.

    Returns
    -------
    Conditions
    """
    fwhm = _widths(rng, description, seeing)
    level = _noise(rng, description, noise)
    beta = description.psf_beta * np.exp(description.psf_beta_scatter * _deviate(rng))
    # Both components of the ellipticity are normal, so that the median of its modulus is the survey's.
    ellipticity = min(description.psf_ellipticity * np.hypot(*rng.standard_normal(2)) / RAYLEIGH_MEDIAN, 0.5)
    shape = max(float(beta), MIN_PSF_BETA), 1 - ellipticity, rng.uniform(0, 180)
    return Conditions(fwhm, level, *shape, Correlation.of(description))


def draw_settings(rng: np.random.Generator, description: Description, settings: Simulate) -> Conditions:
    """Return conditions as the section `simulate` of the configuration asks for.

    Parameters
    ----------
    rng : numpy.random.Generator
    description : Description
    settings : Simulate

    Returns
    -------
    Conditions
    """
    conditions = draw_conditions(rng, description, settings.seeing, settings.noise)
    if settings.psf_images is not None:
        images, fwhm, beta = PsfStack.of(settings.psf_images, description).draw(rng)
        conditions = replace(conditions, psf_images=images, psf_fwhm=fwhm, psf_beta=beta)
    if settings.sky_patches is not None:
        background, level = SkyPatches.of(settings.sky_patches, description).draw(rng)
        conditions = replace(conditions, background=background, sky_noise=level, correlation=None)
    return conditions


def coarser(rng: np.random.Generator, conditions: Conditions, together: int, width: int) -> Conditions:
    """Return the conditions of an image whose pixels are sums of several pixels of the survey.

    Parameters
    ----------
    rng : numpy.random.Generator
    conditions : Conditions
        Of the survey's pixels.
    together : int
        Pixels on a side that make one.
    width : int
        Width of the image, in its own pixels; a square of that width is chosen at random from the empty sky.

    Returns
    -------
    Conditions
    """
    sky, correlation = conditions.background, conditions.correlation
    return replace(
        conditions,
        sky_noise=conditions.sky_noise * together,
        correlation=correlation and correlation.coarser(together),
        background=None if sky is None else cut_patch(rng, sky, width, together),
    )


def _widths(rng: np.random.Generator, description: Description, limits: Sequence[float] | None) -> np.ndarray:
    fwhm, bands = np.array(description.psf_fwhm), len(description.bands)
    deviates = 0.9 * rng.standard_normal() + np.sqrt(1 - 0.9**2) * rng.standard_normal(bands)
    if limits is None:
        return np.asarray(fwhm * np.exp(description.psf_fwhm_scatter * deviates))
    return np.asarray(fwhm * (log_uniform(rng, *limits) / fwhm[description.reference]))


def _noise(rng: np.random.Generator, description: Description, limits: Sequence[float] | None) -> np.ndarray:
    level = np.array(description.sky_noise)
    deviates = rng.standard_normal(len(description.bands))
    if limits is not None:
        return np.asarray(level * log_uniform(rng, *limits))
    if not description.sky_noise_lognormal:
        return np.asarray(level * np.exp(description.sky_noise_scatter * deviates))
    shape, loc, scale = np.array(description.sky_noise_lognormal).T
    return np.asarray(loc + scale * np.exp(shape * np.clip(deviates, -MAX_DEVIATE, MAX_DEVIATE)))


def _deviate(rng: np.random.Generator) -> float:
    return float(np.clip(rng.standard_normal(), -MAX_DEVIATE, MAX_DEVIATE))

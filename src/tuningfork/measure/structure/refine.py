"""Least-squares fits of PSF-convolved Sersic profiles to the stamps, starting from the networks' answers."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from tuningfork.core.config.stages import Structure
from tuningfork.core.flags import Flag
from tuningfork.core.running.progress import track
from tuningfork.core.tables import numpy_column
from tuningfork.measure.structure.blends import neighbour_light
from tuningfork.measure.structure.fit import FitSettings, Moffat, PsfImages, fit_profiles
from tuningfork.measure.structure.stars import is_star, relative_concentration, relative_radius
from tuningfork.networks.posterior import Gaussians
from tuningfork.networks.structure import PROFILE

MIN_RADIUS_PSF = 0.1
"""Circularised half-light radius, in units of the PSF's FWHM, below which a fit is rejected as a point source."""
PSF_IMAGE = "psf_image"
"""Column of the stamps table with images of the PSF."""
SAME_SCALE = 1e-4
"""Relative difference below which the pixels of an image of the PSF are those of the stamp."""


@dataclass(frozen=True)
class Refinement:
    """Fits of N sources; NaN and False without a fit.

    Attributes
    ----------
    fit : Gaussians
        Of the five `PROFILE` targets.
    reduced_chi2 : ndarray
        (N,)
    fitted : ndarray
        (N,) bool, whether the fit converged to a possible profile.
    misfit : ndarray
        (N,) square root of the excess of chi^2 near the galaxy; see :func:`misfit_of`.
    neighbour_light : ndarray
        (N,) see :func:`tuningfork.measure.structure.blends.neighbour_light`.
    star : ndarray
        (N,) bool, whether the source is a star, see :func:`tuningfork.measure.structure.stars.is_star`.
    """

    fit: Gaussians
    reduced_chi2: np.ndarray
    fitted: np.ndarray
    misfit: np.ndarray
    neighbour_light: np.ndarray
    star: np.ndarray


def refine(
    network: Gaussians,
    table: pa.Table,
    stamps: np.ndarray,
    reference_band: str,
    settings: Structure,
    device: torch.device,
) -> Refinement:
    """Fit every stamp for which the networks give a profile.

    Parameters
    ----------
    network : Gaussians
        The networks' answer for N rows.
    table : pyarrow.Table
        Columns of the stamps table; without `flags`, no core is known to be saturated.
    stamps : ndarray
        (N, 2, 1, S, S) flux and inverse variance in the reference band.
    reference_band : str
    settings : Structure
    device : torch.device

    Returns
    -------
    Refinement
    """
    number, size = len(network), len(PROFILE)
    mean, covariance = np.full((number, size), np.nan), np.full((number, size, size), np.nan)
    chi2, misfit, beside, concentration = (np.full(number, np.nan) for _ in range(4))
    converged = np.zeros(number, dtype=bool)
    noise, scale, width, beta = (
        numpy_column(table, name).astype(float)
        for name in (f"sky_noise_{reference_band}", "pixel_scale", f"psf_fwhm_{reference_band}", "psf_beta")
    )
    known = np.isfinite(network.mean[:, :size]).all(axis=1) & (beta > 1)
    length = settings.batch_size
    has_image = with_psf_image(table)
    fit_settings = FitSettings(device=str(device), batch_size=length, sky_sigma=settings.sky_sigma)
    kinds = [np.flatnonzero(known & (has_image == kind)) for kind in (False, True)]
    parts = [some[first : first + length] for some in kinds for first in range(0, len(some), length)]
    for rows in track(parts, f"fits, {length} at a time", len(parts)):
        images, weights = in_noise_units(stamps[rows], noise[rows])
        moffat, start = Moffat(width[rows] / scale[rows], beta[rows]), network.mean[rows, :size]
        psf = psf_images(table, rows) if has_image[rows[0]] else moffat
        fitted = fit_profiles(images, weights, psf, start, fit_settings)
        mean[rows], covariance[rows], chi2[rows] = fitted.mean, fitted.covariance, fitted.reduced_chi2
        misfit[rows] = misfit_of(fitted.near_chi2, fitted.near_pixels)
        converged[rows] = fitted.converged
        centre = np.stack([fitted.x, fitted.y], axis=1)
        beside[rows] = neighbour_light(start, centre, images, weights, device)
        concentration[rows] = relative_concentration(images, weights, width[rows] / scale[rows], beta[rows])
    fit = Gaussians(mean, covariance)
    flags = numpy_column(table, "flags") if "flags" in table.column_names else np.zeros(number, dtype=np.int64)
    star = is_star(fit, width / scale, flags & Flag.SATURATED > 0, concentration)
    return Refinement(fit, chi2, converged & possible(fit, stamps.shape[-1], width / scale), misfit, beside, star)


def with_psf_image(table: pa.Table) -> np.ndarray:
    """Return which rows of a stamps table have an image of the PSF.

    Parameters
    ----------
    table : pyarrow.Table
        N rows.

    Returns
    -------
    ndarray of bool
        (N,); all false for a table without such images.
    """
    if PSF_IMAGE not in table.column_names:
        return np.zeros(table.num_rows, dtype=bool)
    return np.asarray(table[PSF_IMAGE].is_valid().to_numpy())


def psf_images(table: pa.Table, rows: np.ndarray) -> PsfImages:
    """Return the images of the PSF of some rows of a stamps table.

    Parameters
    ----------
    table : pyarrow.Table
    rows : ndarray of int
        (M,), all with an image.

    Returns
    -------
    PsfImages
        Smaller images are padded with zeros to the size of the largest.
    """
    some = table.select([PSF_IMAGE, "pixel_scale", "psf_image_scale"]).take(rows)
    images = [np.asarray(image, dtype=np.float32) for image in some[PSF_IMAGE].to_numpy()]
    widths = [round(np.sqrt(image.size)) for image in images]
    size = max(widths)
    array = np.zeros((len(rows), size, size), dtype=np.float32)
    for plane, image, width in zip(array, images, widths, strict=True):
        first = size // 2 - width // 2
        plane[first : first + width, first : first + width] = image.reshape(width, width)
    step = numpy_column(some, "pixel_scale").astype(float) / numpy_column(some, "psf_image_scale")
    return PsfImages(array, True, np.where(np.abs(step - 1) < SAME_SCALE, 1, step))


def in_noise_units(stamps: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images and inverse variances in units of the sky noise.

    Parameters
    ----------
    stamps : ndarray
        (N, 2, 1, S, S)
    noise : ndarray
        (N,) in flux units.

    Returns
    -------
    images, weights : ndarray
        float32 (N, S, S).
    """
    unit = noise[:, None, None].astype(np.float32)
    images, weights = stamps[:, 0, 0] / unit, stamps[:, 1, 0] * unit**2
    usable = np.isfinite(images) & np.isfinite(weights) & (weights > 0)
    return np.where(usable, images, np.float32(0)), np.where(usable, weights, np.float32(0))


def misfit_of(chi2: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Return the square root of the excess of chi^2 over its expectation plus one standard deviation, at least 0.

    Parameters
    ----------
    chi2, pixels : ndarray
        (N,) chi^2, and the number of pixels in it.

    Returns
    -------
    ndarray
        (N,)
    """
    return np.asarray(np.sqrt(np.maximum(chi2 - pixels - np.sqrt(2 * pixels), 0)))


def possible(fit: Gaussians, stamp: int, psf_fwhm: np.ndarray) -> np.ndarray:
    """Return which fits ended at an extended profile smaller than the stamp, with finite, positive variances.

    Parameters
    ----------
    fit : Gaussians
    stamp : int
        Width of the stamps (px).
    psf_fwhm : ndarray
        (N,) px.

    Returns
    -------
    ndarray
        bool (N,).

    Notes
    -----
    A Sersic index at the end of its range is accepted: at low signal its error is large, but the fit still improves the
    network's magnitude and size.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        size, relative = np.exp(fit.mean[:, 1]), relative_radius(fit, psf_fwhm)
        variances = np.diagonal(fit.covariance, axis1=1, axis2=2)
        good = (relative > MIN_RADIUS_PSF) & (size < stamp) & (variances > 0).all(axis=1)
        return np.asarray(good & np.isfinite(fit.covariance).all(axis=(1, 2)))

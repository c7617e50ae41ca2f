"""Least-squares Sersic profiles of a batch of galaxies, and images of the models."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from tuningfork.core.errors import InputError
from tuningfork.measure.structure.fit import solve, windows
from tuningfork.measure.structure.fit.batch import PROFILE_COLUMNS, Batch, flux_of, free_parameters
from tuningfork.measure.structure.fit.model import grid_for
from tuningfork.measure.structure.fit.psf import Psf
from tuningfork.measure.structure.fit.settings import FitSettings
from tuningfork.measure.structure.fit.spectra import SKY, X, Y

MAX_PIXELS_HELD = 2**26
"""Of all windows on the device; each takes some tens of bytes."""


@dataclass(frozen=True)
class Fit:
    """Sersic profiles of N galaxies.

    Attributes
    ----------
    mean : ndarray
        float64 (N, 5): mag, ln(r_eff / px), ln n, eta_1, eta_2.
    covariance : ndarray
        float64 (N, 5, 5), with place and sky marginalised, from the normal equations and not scaled by chi^2.
    reduced_chi2 : ndarray
        (N,), of the unmasked pixels.
    x, y : ndarray
        (N,), place relative to the centre of the pixel [S // 2, S // 2] (pixel).
    sky : ndarray
        (N,), in sky noise of a pixel.
    converged : ndarray
        bool (N,)
    iterations : ndarray
        int (N,), models drawn.
    masked_fraction : ndarray
        (N,), share of the pixels within two half-light radii that have no data or hold a neighbour.
    inside : ndarray
        (N,), share of the model's flux in unmasked pixels of the window that was fitted.
    near_chi2, near_pixels : ndarray
        (N,), chi^2 and number of the unmasked pixels within two half-light radii.
    models, residuals : ndarray or None
        float32 (N, S, S) on request: galaxy and sky, and image minus that, zero where there are no data.
    """

    mean: np.ndarray
    covariance: np.ndarray
    reduced_chi2: np.ndarray
    x: np.ndarray
    y: np.ndarray
    sky: np.ndarray
    converged: np.ndarray
    iterations: np.ndarray
    masked_fraction: np.ndarray
    inside: np.ndarray
    near_chi2: np.ndarray
    near_pixels: np.ndarray
    models: np.ndarray | None = field(default=None, repr=False)
    residuals: np.ndarray | None = field(default=None, repr=False)


def fit_profiles(
    images: np.ndarray,
    inverse_variance: np.ndarray,
    psf: Psf,
    start: np.ndarray,
    settings: FitSettings | None = None,
    images_wanted: bool = False,
) -> Fit:
    """Fit one PSF-convolved Sersic (1968) profile, its place and a flat sky to each galaxy by least squares.

    Parameters
    ----------
    images : ndarray
        (N, S, S), flux in each pixel in units of the sky noise of one pixel; the galaxy is at the centre of the pixel
        [S // 2, S // 2] within some pixels.
    inverse_variance : ndarray
        (N, S, S) in the same unit: of all noise, the galaxy's own too; 0 where there are no data.
    psf : Moffat or PsfImages
        N point spread functions.
    start : ndarray
        (N, 5), where the fit begins: mag (of a source of one unit of flux: 0), ln(semi-major half-light radius / px),
        ln n, and eta = -ln(axis ratio) times cosine and sine of twice the position angle (from +y counter-clockwise).
    settings : FitSettings, optional
    images_wanted : bool
        Return images of models and residuals as well.

    Returns
    -------
    Fit
        Galaxies without any data, or with a start that is not finite, come back as not converged, with NaN.

    Raises
    ------
    InputError
        The arrays' shapes do not belong together.
    """
    settings = settings or FitSettings()
    images, inverse_variance, start = _checked(images, inverse_variance, psf, start)
    number, size = len(images), images.shape[-1]
    out = _empty(number, size, images_wanted)
    usable = np.isfinite(start).all(axis=1) & (inverse_variance > 0).any(axis=(1, 2))
    groups = windows.groups(start, psf, size, usable, settings)
    for (width, reach), members in groups:
        length = max(1, min(settings.batch_size, MAX_PIXELS_HELD // width**2))
        for first in range(0, len(members), length):
            rows = members[first : first + length]
            _fit_batch(out, rows, images, inverse_variance, psf[rows], start[rows], width, reach, settings)
    return out


def model_images(
    profile: np.ndarray,
    psf: Psf,
    size: int,
    x: np.ndarray | float = 0.0,
    y: np.ndarray | float = 0.0,
    sky: np.ndarray | float = 0.0,
    device: str = "cpu",
) -> np.ndarray:
    """Draw PSF-convolved Sersic profiles.

    Parameters
    ----------
    profile : ndarray
        (N, 5) as in :attr:`Fit.mean`.
    psf : Moffat or PsfImages
    size : int
        Width and height of the images (pixel).
    x, y : ndarray or float
        Places relative to the centre of the pixel [size // 2, size // 2] (pixel).
    sky : ndarray or float
        Flat sky that is added (flux of a pixel).
    device : str

    Returns
    -------
    ndarray
        float32 (N, size, size), flux in each pixel; a flux of 1 is magnitude 0.
    """
    place = torch.device(device)
    parameters = free_parameters(np.asarray(profile, dtype=float), place)
    for column, values in ((X, x), (Y, y), (SKY, sky)):
        parameters[:, column] = torch.as_tensor(values, dtype=torch.float64, device=place)
    images = np.empty((len(parameters), size, size), dtype=np.float32)
    width = size + size % 2
    reach = windows.reach_of(psf)
    for value in np.unique(reach):
        grid = grid_for(width, float(value), place)
        members = np.flatnonzero(reach == value)
        for rows in np.array_split(members, -(-len(members) // 32)):
            some = parameters[torch.from_numpy(rows).to(place)]
            drawn = grid.draw(some, grid.prepare(psf[rows]), 1)[:, 0] * flux_of(some).float()[:, None, None]
            drawn += some[:, SKY].float()[:, None, None]
            first = width // 2 - size // 2
            images[rows] = drawn[:, first : first + size, first : first + size].cpu().numpy()
    return images


def _checked(
    images: np.ndarray, inverse_variance: np.ndarray, psf: Psf, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    images = np.asarray(images, dtype=np.float32)
    inverse_variance = np.asarray(inverse_variance, dtype=np.float32)
    start = np.asarray(start, dtype=float)
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.shape[1] < 16:
        raise InputError(f"images of shape {images.shape}: expected (N, S, S) with S of 16 pixels at least")
    if inverse_variance.shape != images.shape:
        raise InputError(
            f"inverse variance of shape {inverse_variance.shape}: expected that of the images, {images.shape}"
        )
    if start.shape != (len(images), len(PROFILE_COLUMNS)):
        raise InputError(f"start of shape {start.shape}: expected ({len(images)}, {len(PROFILE_COLUMNS)})")
    if len(psf) != len(images):
        raise InputError(f"{len(psf)} point spread functions for {len(images)} images")
    return images, inverse_variance, start


def _empty(number: int, size: int, images_wanted: bool) -> Fit:
    names = ("reduced_chi2", "x", "y", "sky", "masked_fraction", "inside", "near_chi2", "near_pixels")
    nan = {name: np.full(number, np.nan) for name in names}
    return Fit(
        mean=np.full((number, len(PROFILE_COLUMNS)), np.nan),
        covariance=np.full((number, len(PROFILE_COLUMNS), len(PROFILE_COLUMNS)), np.nan),
        converged=np.zeros(number, dtype=bool),
        iterations=np.zeros(number, dtype=int),
        models=np.zeros((number, size, size), dtype=np.float32) if images_wanted else None,
        residuals=np.zeros((number, size, size), dtype=np.float32) if images_wanted else None,
        **nan,
    )


def _fit_batch(
    out: Fit,
    rows: np.ndarray,
    images: np.ndarray,
    inverse_variance: np.ndarray,
    psf: Psf,
    start: np.ndarray,
    width: int,
    reach: float,
    settings: FitSettings,
) -> None:
    """Fit galaxies that share a window and write the results into their rows of `out`."""
    device = torch.device(settings.device)
    grid = grid_for(width, reach, device)
    image, weight = (windows.cut(values, rows, width, device) for values in (images, inverse_variance))
    weight = torch.where(torch.isfinite(weight) & torch.isfinite(image), weight, 0)
    image = torch.where(weight > 0, image, 0)
    fwhm = torch.as_tensor(psf.fwhm(), dtype=torch.float32, device=device)
    batch = Batch(grid, grid.prepare(psf), image, weight, fwhm, settings)
    state = batch.fit(_within(free_parameters(start, device), settings))
    for name, values in batch.results(state).items():
        getattr(out, name)[rows] = values
    if out.models is not None and out.residuals is not None:
        drawn = model_images(
            out.mean[rows], psf, images.shape[-1], out.x[rows], out.y[rows], out.sky[rows], settings.device
        )
        out.models[rows] = drawn
        out.residuals[rows] = np.where(inverse_variance[rows] > 0, images[rows] - drawn, 0)


def _within(parameters: Tensor, settings: FitSettings) -> Tensor:
    """Move a start into the limits."""
    low, high = solve.limits(settings, parameters.device)
    return solve.round_enough(torch.clamp(parameters, low, high), settings)

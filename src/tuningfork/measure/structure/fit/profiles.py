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
"""Number of pixels of all windows on the device; each pixel takes some tens of bytes."""


@dataclass(frozen=True)
class Fit:
    """Sersic profiles of N galaxies.

    Attributes
    ----------
    mean : ndarray
        float64 (N, 5): mag, ln(r_eff / px), ln n, eta_1, eta_2.
    covariance : ndarray
        float64 (N, 5, 5), marginalised over position and sky, from the normal equations and not scaled by chi^2.
    reduced_chi2 : ndarray
        (N,), reduced chi^2 of the unmasked pixels.
    x, y : ndarray
        (N,), position relative to the centre of the pixel [S // 2, S // 2] (pixel).
    sky : ndarray
        (N,), sky in units of the sky noise of one pixel.
    converged : ndarray
        bool (N,)
    iterations : ndarray
        int (N,), number of models drawn.
    masked_fraction : ndarray
        (N,), share of the pixels within two half-light radii that have no data or are masked as a neighbour.
    inside : ndarray
        (N,), share of the model's flux in unmasked pixels of the fitted window.
    near_chi2, near_pixels : ndarray
        (N,), chi^2 and number of the unmasked pixels within two half-light radii.
    models, residuals : ndarray or None
        float32 (N, S, S) on request: the model with its sky, and the image minus the model, zero without data.
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
    """Fit one PSF-convolved Sersic (1968) profile, its position and a flat sky to each galaxy by least squares.

    Parameters
    ----------
    images : ndarray
        (N, S, S), flux in each pixel in units of the sky noise of one pixel; the galaxy lies within a few pixels of the
        centre of the pixel [S // 2, S // 2].
    inverse_variance : ndarray
        (N, S, S) in the corresponding unit, of all noise including the galaxy's photon noise; 0 without data.
    psf : Moffat or PsfImages
        N point spread functions.
    start : ndarray
        (N, 5), start of the fit: mag (0 for one unit of flux), ln(semi-major half-light radius / px), ln n, and
        eta = -ln(axis ratio) times the cosine and the sine of twice the position angle (from +y counter-clockwise).
    settings : FitSettings, optional
    images_wanted : bool
        Whether images of models and residuals are returned too.

    Returns
    -------
    Fit
        Galaxies without any data, or with a start that is not finite, are marked as not converged and hold NaN.

    Raises
    ------
    InputError
        The shapes of the arrays do not match.
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
        Positions relative to the centre of the pixel [size // 2, size // 2] (pixel).
    sky : ndarray or float
        Flat sky that is added (flux per pixel).
    device : str
        Name of a torch device.

    Returns
    -------
    ndarray
        float32 (N, size, size), flux in each pixel; a flux of 1 is magnitude 0.
    """
    torch_device = torch.device(device)
    parameters = free_parameters(np.asarray(profile, dtype=float), torch_device)
    for column, values in ((X, x), (Y, y), (SKY, sky)):
        parameters[:, column] = torch.as_tensor(values, dtype=torch.float64, device=torch_device)
    images = np.empty((len(parameters), size, size), dtype=np.float32)
    width = size + size % 2
    reach = windows.reach_of(psf)
    for value in np.unique(reach):
        grid = grid_for(width, float(value), torch_device)
        members = np.flatnonzero(reach == value)
        for rows in np.array_split(members, -(-len(members) // 32)):
            some = parameters[torch.from_numpy(rows).to(torch_device)]
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
        raise InputError(f"images of shape {images.shape}: expected (N, S, S) with S of at least 16 pixels")
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
    """Fit galaxies that share a window and write their results into the rows of `out`."""
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
    """Return a start that is moved into the limits of the parameters."""
    low, high = solve.limits(settings, parameters.device)
    return solve.round_enough(torch.clamp(parameters, low, high), settings)

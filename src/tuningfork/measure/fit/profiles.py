"""Least-squares Sersic profiles of a batch of galaxies, and images of the models."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from tuningfork.core.errors import InputError
from tuningfork.measure.fit import solve, windows
from tuningfork.measure.fit.masks import neighbours
from tuningfork.measure.fit.model import ETA_1, ETA_2, LOG_N, LOG_R, MAG, SKY, Grid, X, Y, grid_for
from tuningfork.measure.fit.psf import Psf
from tuningfork.measure.fit.settings import FitSettings

PROFILE_SIZE = 5
START_WAS_POOR = 0.15
"""Change of magnitude or ln(r_eff) in the fit after which neighbours are looked for again."""
MAGNITUDE = 0.4 * np.log(10)


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
        (N,), share of the model's flux in unmasked pixels of the stamp.
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


@dataclass
class _Batch:
    """Galaxies on the device that share a window."""

    grid: Grid
    transfer: tuple[Tensor, Tensor]
    image: Tensor
    weight: Tensor
    fwhm: Tensor
    settings: FitSettings
    root_weight: Tensor = field(init=False)

    def equations(self, parameters: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return normal matrices, gradients and chi^2; see :data:`solve.Equations`."""
        parts = [self._equations(*some) for some in self._chunks(parameters, rows)]
        return tuple(torch.cat(values) for values in zip(*parts, strict=True))  # type: ignore[return-value]

    def models(self, parameters: Tensor, rows: Tensor) -> Tensor:
        """Return images of the galaxies without sky, (M, W, W)."""
        parts = []
        for some, which in self._chunks(parameters, rows):
            drawn = self.grid.draw(some, tuple(values[which] for values in self.transfer), 1)[:, 0]  # type: ignore[arg-type]
            parts.append(drawn * _flux(some).float()[:, None, None])
        return torch.cat(parts)

    def _chunks(self, parameters: Tensor, rows: Tensor) -> list[tuple[Tensor, Tensor]]:
        length = max(1, self.settings.chunk_pixels // self.grid.size**2)
        return list(zip(parameters.split(length), rows.split(length), strict=True))

    def _equations(self, parameters: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        drawn = self.grid.draw(parameters, tuple(values[rows] for values in self.transfer))  # type: ignore[arg-type]
        number, size = len(rows), self.grid.size
        flux = _flux(parameters)
        root = self.root_weight[rows]
        columns = torch.empty(number, 9, size, size, dtype=torch.float32, device=root.device)
        torch.mul(drawn, root[:, None], out=columns[:, :7])
        columns[:, 7] = root
        model = drawn[:, 0] * flux.float()[:, None, None] + parameters[:, SKY].float()[:, None, None]
        torch.mul(self.image[rows] - model, root, out=columns[:, 8])
        columns = columns.reshape(number, 9, -1)
        products = torch.bmm(columns, columns.transpose(1, 2)).double()
        scale = flux[:, None].repeat(1, 8)
        scale[:, MAG] *= -MAGNITUDE
        scale[:, SKY] = 1
        normal = products[:, :8, :8] * scale[:, :, None] * scale[:, None, :]
        return normal, products[:, :8, 8] * scale, products[:, 8, 8]


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
        for first in range(0, len(members), settings.batch_size):
            rows = members[first : first + settings.batch_size]
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
    parameters = _free_parameters(np.asarray(profile, dtype=float), place)
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
            drawn = grid.draw(some, grid.prepare(psf[rows]), 1)[:, 0] * _flux(some).float()[:, None, None]
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
    if start.shape != (len(images), PROFILE_SIZE):
        raise InputError(f"start of shape {start.shape}: expected ({len(images)}, {PROFILE_SIZE})")
    if len(psf) != len(images):
        raise InputError(f"{len(psf)} point spread functions for {len(images)} images")
    return images, inverse_variance, start


def _empty(number: int, size: int, images_wanted: bool) -> Fit:
    names = ("reduced_chi2", "x", "y", "sky", "masked_fraction", "inside", "near_chi2", "near_pixels")
    nan = {name: np.full(number, np.nan) for name in names}
    return Fit(
        mean=np.full((number, PROFILE_SIZE), np.nan),
        covariance=np.full((number, PROFILE_SIZE, PROFILE_SIZE), np.nan),
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
    batch = _Batch(grid, grid.prepare(psf), image, weight, fwhm, settings)
    state = solve.initial(_within(_free_parameters(start, device), settings))
    masked = _solve_with_masks(batch, state)
    _record(out, rows, batch, state, masked)
    if out.models is not None and out.residuals is not None:
        drawn = model_images(
            out.mean[rows], psf, images.shape[-1], out.x[rows], out.y[rows], out.sky[rows], settings.device
        )
        out.models[rows] = drawn
        out.residuals[rows] = np.where(inverse_variance[rows] > 0, images[rows] - drawn, 0)


def _solve_with_masks(batch: _Batch, state: solve.Solution) -> Tensor:
    """Look for neighbours and fit in turn; return the pixels that were left out as a bool tensor (M, W, W)."""
    settings = batch.settings
    rows = torch.arange(len(batch.image), device=batch.image.device)
    batch.root_weight = torch.empty_like(batch.weight)
    masked = _mask(batch, state, rows)
    for repeat in range(max(settings.mask_passes, 1)):
        before = state.parameters.clone()
        solve.solve(state, rows, batch.equations, settings, settings.iterations)
        # A mask is as good as the model that it was made with; a good start is not improved upon, because a fit
        # takes some of the light of neighbours for the galaxy's own.
        moved = (state.parameters - before)[:, [MAG, LOG_R]].abs().amax(dim=1) > START_WAS_POOR
        rows = torch.nonzero(moved)[:, 0]
        if repeat + 1 >= settings.mask_passes or not len(rows):
            break
        found = _mask(batch, state, rows)
        changed = (found != masked[rows]).flatten(1).any(dim=1)
        masked[rows] = found
        rows = rows[changed]
    return masked


def _mask(batch: _Batch, state: solve.Solution, rows: Tensor) -> Tensor:
    """Mask neighbours given the present models of the galaxies `rows`; sets their weights in the fit."""
    settings, parameters, weight = batch.settings, state.parameters[rows], batch.weight[rows]
    masked = weight <= 0
    if settings.mask_passes or settings.systematic:
        model = batch.models(parameters, rows)
    if settings.systematic:
        weight = weight / (1 + weight * (settings.systematic * model) ** 2)
    if settings.mask_passes:
        residual = batch.image[rows] - model - parameters[:, SKY].float()[:, None, None]
        core = torch.maximum(settings.mask_core * torch.exp(parameters[:, LOG_R]).float(), 2 * batch.fwhm[rows])
        distance = isophote_distance(parameters, batch.grid.size)
        masked |= neighbours(residual, model, weight, distance, core, settings)
    batch.root_weight[rows] = torch.where(masked, 0, weight).sqrt()
    return masked


def isophote_distance(parameters: Tensor, size: int) -> Tensor:
    """Return the circularised distance of every pixel from the centre along the isophotes (pixel), (N, size, size)."""
    axis = torch.arange(size, dtype=torch.float32, device=parameters.device) - size // 2
    x, y, first, second = (parameters[:, column].float()[:, None, None] for column in (X, Y, ETA_1, ETA_2))
    dx, dy = axis[None, None, :] - x, axis[None, :, None] - y
    eta = torch.hypot(first, second).clamp_min(1e-4)
    even = torch.sinh(eta) / eta
    form = torch.cosh(eta) * (dx**2 + dy**2) + even * (first * (dx**2 - dy**2) + 2 * second * dx * dy)
    return form.clamp_min(0).sqrt()


def _record(out: Fit, rows: np.ndarray, batch: _Batch, state: solve.Solution, masked: Tensor) -> None:
    """Write the results of a batch into `out`."""
    everything = torch.arange(len(rows), device=masked.device)
    model = batch.models(state.parameters, everything)
    residual = batch.image - model - state.parameters[:, SKY].float()[:, None, None]
    chi2 = (residual * batch.root_weight).square().sum(dim=(1, 2))
    freedom = ((batch.root_weight > 0).sum(dim=(1, 2)) - solve.FREE).clamp_min(1)
    distance = isophote_distance(state.parameters, batch.grid.size)
    near = distance < 2 * torch.exp(state.parameters[:, LOG_R]).float()[:, None, None]
    flux = _flux(state.parameters)
    values = {
        "reduced_chi2": chi2 / freedom,
        "masked_fraction": (near & masked).sum(dim=(1, 2)) / near.sum(dim=(1, 2)).clamp_min(1),
        "near_chi2": (residual * batch.root_weight * near).square().sum(dim=(1, 2)),
        "near_pixels": (near & (batch.root_weight > 0)).sum(dim=(1, 2)),
        "inside": (model * ~masked).sum(dim=(1, 2)) / flux,
        "x": state.parameters[:, X],
        "y": state.parameters[:, Y],
        "sky": state.parameters[:, SKY],
        "converged": state.converged,
        "iterations": state.iterations,
    }
    for name, value in values.items():
        getattr(out, name)[rows] = value.cpu().numpy()
    out.mean[rows], out.covariance[rows] = _profile(state)


def _profile(state: solve.Solution) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance with the semi-major instead of the circularised radius."""
    scale = state.normal.diagonal(dim1=1, dim2=2).clamp_min(1e-12).rsqrt()
    scaled = state.normal * scale[:, :, None] * scale[:, None, :]
    inverse = torch.linalg.pinv(scaled, hermitian=True)
    covariance = inverse * scale[:, :, None] * scale[:, None, :]
    columns = [MAG, LOG_R, LOG_N, ETA_1, ETA_2]
    mean = state.parameters[:, columns].cpu().numpy().copy()
    eta = np.hypot(mean[:, 3], mean[:, 4])
    mean[:, 1] += eta / 2
    jacobian = np.repeat(np.eye(PROFILE_SIZE)[None], len(mean), axis=0)
    jacobian[:, 1, 3:] = mean[:, 3:] / (2 * np.maximum(eta, 1e-6)[:, None])
    part = covariance[:, columns][:, :, columns].cpu().numpy()
    return mean, jacobian @ part @ jacobian.transpose(0, 2, 1)


def _flux(parameters: Tensor) -> Tensor:
    return torch.exp(-MAGNITUDE * parameters[:, MAG])


def _free_parameters(profile: np.ndarray, device: torch.device) -> Tensor:
    """Return the free parameters (N, 8), float64, of profiles (N, 5) at the centre without sky."""
    parameters = np.zeros((len(profile), solve.FREE))
    parameters[:, [MAG, LOG_R, LOG_N, ETA_1, ETA_2]] = profile
    parameters[:, LOG_R] -= np.hypot(profile[:, 3], profile[:, 4]) / 2
    return torch.from_numpy(parameters).to(device)


def _within(parameters: Tensor, settings: FitSettings) -> Tensor:
    """Move a start into the limits."""
    low, high = solve.limits(settings, parameters.device)
    return solve.round_enough(torch.clamp(parameters, low, high), settings)

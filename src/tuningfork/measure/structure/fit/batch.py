"""The fit of galaxies that share a window, on the device: normal equations, masks and the fit itself."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from tuningfork.measure.structure.fit import solve
from tuningfork.measure.structure.fit.masks import neighbours
from tuningfork.measure.structure.fit.model import Grid
from tuningfork.measure.structure.fit.settings import FitSettings
from tuningfork.measure.structure.fit.spectra import ETA_1, ETA_2, LOG_N, LOG_R, MAG, SKY, X, Y

PROFILE_COLUMNS = [MAG, LOG_R, LOG_N, ETA_1, ETA_2]
"""Columns of the free parameters that describe the profile; results give the semi-major radius instead of LOG_R."""
LN_FLUX_PER_MAG = 0.4 * np.log(10)
PIXELS_DRAWN_AT_ONCE = {"cpu": 2**17, "gpu": 2**24}
"""Number of pixels that are drawn at once; on a CPU they must fit into its cache."""
MIN_KEPT_MASK_SHARE = 0.25
"""Share of a mask's pixels that the fitted model must still mask; below it, the mask came from a poor model and the
galaxy is fitted again with the new mask."""


@dataclass
class Batch:
    """M galaxies on the device that share a window.

    Attributes
    ----------
    grid : Grid
        Grid of W x W pixels.
    transfer : tuple of Tensor
        Result of :meth:`Grid.prepare`.
    image, weight : Tensor
        float32 (M, W, W), zero where there are no data; the weight is the inverse variance.
    fwhm : Tensor
        (M,) full widths at half maximum of the PSFs (pixel).
    settings : FitSettings
    root_weight : Tensor
        (M, W, W), square root of the weights in the fit, zero where masked.
    masked : Tensor
        bool (M, W, W)
    """

    grid: Grid
    transfer: tuple[Tensor, Tensor]
    image: Tensor
    weight: Tensor
    fwhm: Tensor
    settings: FitSettings
    root_weight: Tensor = field(init=False)
    masked: Tensor = field(init=False)

    def fit(self, start: Tensor) -> solve.Solution:
        """Mask the neighbours and fit the galaxies; the masks are kept in `masked`.

        Parameters
        ----------
        start : Tensor
            (M, 8) free parameters.
        """
        settings = self.settings
        state = solve.initial(start)
        rows = torch.arange(len(self.image), device=self.image.device)
        self.root_weight = torch.zeros_like(self.weight)
        self.masked = torch.zeros_like(self.weight, dtype=torch.bool)
        self._match_flux(state.parameters)
        self._set_masks(rows, *self._masks(state.parameters, rows))
        solve.solve(state, rows, self.equations, settings, settings.iterations)
        for _ in range(1, settings.mask_passes):
            rows = rows[(self.masked & (self.weight > 0))[rows].flatten(1).any(dim=1)]
            masked, weight = self._masks(state.parameters, rows)
            # A mask that shrinks only a little is kept: a fit attributes some light of neighbours to the galaxy.
            data = self.weight[rows] > 0
            before, after = ((mask & data).sum(dim=(1, 2)) for mask in (self.masked[rows], masked))
            poor = after < MIN_KEPT_MASK_SHARE * before
            rows = rows[poor]
            self._set_masks(rows, masked[poor], weight[poor])
            solve.solve(state, rows, self.equations, settings, settings.iterations)
        return state

    def equations(self, parameters: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return normal matrices, gradients and chi^2; see :data:`solve.Equations`.

        Parameters
        ----------
        parameters : Tensor
            (m, 8) free parameters.
        rows : Tensor
            (m,) rows of these galaxies in the batch.

        Returns
        -------
        matrices, gradients, chi2 : Tensor
            (m, 8, 8), (m, 8) and (m,).
        """
        parts = [self._equations(*some) for some in self._chunks(parameters, rows)]
        return tuple(torch.cat(values) for values in zip(*parts, strict=True))  # type: ignore[return-value]

    def models(self, parameters: Tensor, rows: Tensor) -> Tensor:
        """Return images of the models without sky.

        Parameters
        ----------
        parameters : Tensor
            (m, 8) free parameters.
        rows : Tensor
            (m,) rows of these galaxies in the batch.

        Returns
        -------
        Tensor
            (m, W, W)
        """
        parts = []
        for some, which in self._chunks(parameters, rows):
            drawn = self.grid.draw(some, tuple(values[which] for values in self.transfer), 1)[:, 0]  # type: ignore[arg-type]
            parts.append(drawn * flux_of(some).float()[:, None, None])
        return torch.cat(parts)

    def _chunks(self, parameters: Tensor, rows: Tensor) -> list[tuple[Tensor, Tensor]]:
        pixels = PIXELS_DRAWN_AT_ONCE["cpu" if parameters.device.type == "cpu" else "gpu"]
        length = max(1, pixels // self.grid.size**2)
        return list(zip(parameters.split(length), rows.split(length), strict=True))

    def _equations(self, parameters: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        drawn = self.grid.draw(parameters, tuple(values[rows] for values in self.transfer))  # type: ignore[arg-type]
        number, size = len(rows), self.grid.size
        flux = flux_of(parameters)
        root = self.root_weight[rows]
        columns = torch.empty(number, 9, size, size, dtype=torch.float32, device=root.device)
        torch.mul(drawn, root[:, None], out=columns[:, :7])
        columns[:, 7] = root
        model = drawn[:, 0] * flux.float()[:, None, None] + parameters[:, SKY].float()[:, None, None]
        torch.mul(self.image[rows] - model, root, out=columns[:, 8])
        columns = columns.reshape(number, 9, -1)
        products = torch.bmm(columns, columns.transpose(1, 2)).double()
        scale = flux[:, None].repeat(1, 8)
        scale[:, MAG] *= -LN_FLUX_PER_MAG
        scale[:, SKY] = 1
        normal = products[:, :8, :8] * scale[:, :, None] * scale[:, None, :]
        return normal, products[:, :8, 8] * scale, products[:, 8, 8]

    def _match_flux(self, parameters: Tensor) -> None:
        """Set the flux of the start, in place, to that of the galaxy's core."""
        rows = torch.arange(len(parameters), device=parameters.device)
        model = self.models(parameters, rows)
        weighted = model * self.weight * (self._distance(parameters) <= self._core(parameters, rows))
        factor = (weighted * self.image).sum(dim=(1, 2)) / (weighted * model).sum(dim=(1, 2)).clamp_min(1e-20)
        seen = factor > 0.1
        parameters[seen, MAG] -= torch.log(factor[seen].double()) / LN_FLUX_PER_MAG

    def _masks(self, parameters: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the masked pixels and the weights of the galaxies `rows`, given their models."""
        settings, parameters, weight = self.settings, parameters[rows], self.weight[rows]
        masked = weight <= 0
        if not len(rows):
            return masked, weight
        model = self.models(parameters, rows)
        weight = weight / (1 + weight * (settings.systematic * model) ** 2)
        if settings.mask_passes:
            residual = self.image[rows] - model - parameters[:, SKY].float()[:, None, None]
            outside = self._distance(parameters) > self._core(parameters, rows)
            masked |= neighbours(residual, model, weight, outside, settings)
        return masked, weight

    def _set_masks(self, rows: Tensor, masked: Tensor, weight: Tensor) -> None:
        self.masked[rows] = masked
        self.root_weight[rows] = torch.where(masked, 0, weight).sqrt()

    def _core(self, parameters: Tensor, rows: Tensor) -> Tensor:
        radius = self.settings.mask_core * torch.exp(parameters[:, LOG_R]).float()
        return torch.maximum(radius, 2 * self.fwhm[rows])[:, None, None]

    def _distance(self, parameters: Tensor) -> Tensor:
        return isophote_distance(parameters, self.grid.size)

    def results(self, state: solve.Solution) -> dict[str, np.ndarray]:
        """Return the values of :class:`~tuningfork.measure.structure.fit.profiles.Fit` except its images.

        Returns
        -------
        dict
            Field -> values of the M galaxies.
        """
        parameters = state.parameters
        model = self.models(parameters, torch.arange(len(parameters), device=parameters.device))
        residual = self.image - model - parameters[:, SKY].float()[:, None, None]
        square = (residual * self.root_weight).square()
        chi2 = square.sum(dim=(1, 2))
        freedom = (~self.masked).sum(dim=(1, 2)) - solve.FREE_PARAMETERS
        near = self._distance(parameters) < 2 * torch.exp(parameters[:, LOG_R]).float()[:, None, None]
        values = {
            "reduced_chi2": chi2 / freedom.clamp_min(1),
            "masked_fraction": (near & self.masked).sum(dim=(1, 2)) / near.sum(dim=(1, 2)).clamp_min(1),
            "near_chi2": (square * near).sum(dim=(1, 2)),
            "near_pixels": (near & ~self.masked).sum(dim=(1, 2)),
            "inside": (model * ~self.masked).sum(dim=(1, 2)) / flux_of(parameters),
            "x": parameters[:, X],
            "y": parameters[:, Y],
            "sky": parameters[:, SKY],
            "converged": state.converged & (freedom > 0),
            "iterations": state.iterations,
        }
        mean, covariance = _profile(state)
        return {"mean": mean, "covariance": covariance, **{name: value.cpu().numpy() for name, value in values.items()}}


def free_parameters(profile: np.ndarray, device: torch.device) -> Tensor:
    """Return the free parameters of profiles.

    Parameters
    ----------
    profile : ndarray
        (N, 5) profiles; position and sky are set to zero.
    device : torch.device

    Returns
    -------
    Tensor
        float64 (N, 8).
    """
    parameters = np.zeros((len(profile), solve.FREE_PARAMETERS))
    parameters[:, PROFILE_COLUMNS] = profile
    parameters[:, LOG_R] -= np.hypot(profile[:, 3], profile[:, 4]) / 2
    return torch.from_numpy(parameters).to(device)


def flux_of(parameters: Tensor) -> Tensor:
    """Return the fluxes.

    Parameters
    ----------
    parameters : Tensor
        (M, 8) free parameters.

    Returns
    -------
    Tensor
        (M,)
    """
    return torch.exp(-LN_FLUX_PER_MAG * parameters[:, MAG])


def isophote_distance(parameters: Tensor, size: int) -> Tensor:
    """Return the circularised distance of every pixel from the centre along the isophotes (pixel).

    Parameters
    ----------
    parameters : Tensor
        (N, 8) free parameters.
    size : int
        Width of the images (pixel).

    Returns
    -------
    Tensor
        (N, size, size)
    """
    axis = torch.arange(size, dtype=torch.float32, device=parameters.device) - size // 2
    x, y, first, second = (parameters[:, column].float()[:, None, None] for column in (X, Y, ETA_1, ETA_2))
    dx, dy = axis[None, None, :] - x, axis[None, :, None] - y
    eta = torch.hypot(first, second).clamp_min(1e-4)
    even = torch.sinh(eta) / eta
    form = torch.cosh(eta) * (dx**2 + dy**2) + even * (first * (dx**2 - dy**2) + 2 * second * dx * dy)
    return form.clamp_min(0).sqrt()


def _profile(state: solve.Solution) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of the profile, with the semi-major instead of the circularised radius."""
    scale = state.normal.diagonal(dim1=1, dim2=2).clamp_min(1e-12).rsqrt()
    scaled = state.normal * scale[:, :, None] * scale[:, None, :]
    inverse = torch.linalg.pinv(scaled, hermitian=True)
    covariance = inverse * scale[:, :, None] * scale[:, None, :]
    mean = state.parameters[:, PROFILE_COLUMNS].cpu().numpy().copy()
    eta = np.hypot(mean[:, 3], mean[:, 4])
    mean[:, 1] += eta / 2
    jacobian = np.repeat(np.eye(len(PROFILE_COLUMNS))[None], len(mean), axis=0)
    jacobian[:, 1, 3:] = mean[:, 3:] / (2 * np.maximum(eta, 1e-6)[:, None])
    part = covariance[:, PROFILE_COLUMNS][:, :, PROFILE_COLUMNS].cpu().numpy()
    return mean, jacobian @ part @ jacobian.transpose(0, 2, 1)

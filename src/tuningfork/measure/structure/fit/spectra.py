"""Spectra of PSF-convolved Sersic models and of their derivatives.

The Fourier amplitude of a Sersic profile depends on its index and on one number, the wave number in units of the
(sheared) half-light radius. One row of a table per galaxy therefore gives the amplitude and all its derivatives at any
wave vector.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tuningfork.measure.structure.fit.psf import Psf
from tuningfork.simulate.light.sersic import sersic_table

MAG, X, Y, LOG_R, LOG_N, ETA_1, ETA_2, SKY = range(8)
"""Columns of the free parameters. LOG_R is the logarithm of the circularised radius r_eff sqrt(q), which is smooth at
q = 1."""
DRAWN_IMAGES = 7
"""Number of images that are drawn: the model of unit flux and its derivatives with respect to x, y, LOG_R, LOG_N, ETA_1
and ETA_2."""
MIN_SQUARED_WAVE_NUMBER = 1e-30
"""Smallest (k r_eff)^2 of which the logarithm is taken."""


@dataclass(frozen=True)
class Table:
    """The Sersic table on a device: amplitudes (I, K) on even grids of ln n and ln(k r_eff)."""

    values: Tensor
    log_n: float
    log_n_step: float
    log_k: float
    log_k_step: float

    def rows(self, log_n: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the amplitude, its step to the next wave number and its derivative with respect to ln n.

        The cubic interpolation in ln n has a continuous derivative; jumps of the derivative would prevent convergence.

        Parameters
        ----------
        log_n : Tensor
            (N,) ln(Sersic index).

        Returns
        -------
        amplitude, step, derivative : Tensor
            (N, K - 1)
        """
        position = ((log_n - self.log_n) / self.log_n_step).clamp(0, len(self.values) - 1.001)
        low = position.long()
        t = (position - low)[:, None]
        # Catmull-Rom weights of four neighbours; at the ends of the table the outermost row is repeated.
        weights = torch.cat(
            [t * (-1 + t * (2 - t)), 2 + t * t * (3 * t - 5), t * (1 + t * (4 - 3 * t)), t * t * (t - 1)], 1
        )
        slopes = torch.cat([-1 + t * (4 - 3 * t), t * (9 * t - 10), 1 + t * (8 - 9 * t), t * (3 * t - 2)], 1)
        around = (low[:, None] + torch.arange(-1, 3, device=low.device)).clamp(0, len(self.values) - 1)
        weights = torch.stack([weights / 2, slopes / (2 * self.log_n_step)], dim=1).float()
        row, by_log_n = (weights @ self.values[around]).unbind(1)
        return row[:, :-1], row.diff(dim=1), (by_log_n[:, :-1] + by_log_n[:, 1:]) / 2


@lru_cache(maxsize=4)
def table_on(device: torch.device) -> Table:
    """Return the Sersic table on the device."""
    table = sersic_table()
    values = torch.from_numpy(table.values).to(device)
    steps = [float(axis[1] - axis[0]) for axis in (table.log_n, table.log_k)]
    return Table(values, float(table.log_n[0]), steps[0], float(table.log_k[0]), steps[1])


@dataclass(frozen=True)
class Shapes:
    """The shapes of N profiles, from which their spectra are computed.

    Attributes
    ----------
    table : Table
    forms : Tensor
        float32 (N, 3, 3): the quadratic form (k r_eff)^2 and its derivatives with respect to eta_1 and eta_2, on the
        basis `quadratic` of :class:`Modes`.
    values, steps, by_log_n : Tensor
        float32 (N, K - 1), results of :meth:`Table.rows`.
    """

    table: Table
    forms: Tensor
    values: Tensor
    steps: Tensor
    by_log_n: Tensor

    @classmethod
    def of(cls, parameters: Tensor, table: Table) -> "Shapes":
        """Return the shapes of the profiles with some free parameters.

        Parameters
        ----------
        parameters : Tensor
            (N, 8) free parameters.
        table : Table
        """
        return cls(table, _quadratic_forms(parameters).float(), *table.rows(parameters[:, LOG_N]))


class Modes:
    """Wave vectors (M,), rad/pixel, at which spectra are computed."""

    def __init__(self, kx: Tensor, ky: Tensor) -> None:
        self.kx, self.ky = kx.float(), ky.float()
        self.quadratic = torch.stack([kx**2 + ky**2, ky**2 - kx**2, -2 * kx * ky]).float()
        self.pixel = (torch.sinc(kx / (2 * np.pi)) * torch.sinc(ky / (2 * np.pi))).float()

    def transfer(self, psf: Psf) -> Tensor:
        """Return the product of the PSF's amplitude and the pixel response.

        Returns
        -------
        Tensor
            (N, M), real or complex.
        """
        amplitude = psf.amplitude(self.kx, self.ky)
        return amplitude if psf.contains_pixel else amplitude * self.pixel

    def phase(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the phase factors of positions.

        Parameters
        ----------
        x, y : Tensor
            (N,) positions (pixel).

        Returns
        -------
        Tensor
            complex (N, M).
        """
        angle = x[:, None] * self.kx + y[:, None] * self.ky
        return torch.polar(torch.ones_like(angle), -angle)

    def spectra(self, shapes: Shapes, base: Tensor, drawn: int = DRAWN_IMAGES) -> Tensor:
        """Return the spectra of the model of unit flux and of its derivatives.

        Parameters
        ----------
        shapes : Shapes
        base : Tensor
            complex64 (N, M): transfer times phase.
        drawn : int
            Number of spectra: `DRAWN_IMAGES`, or 1 for the model without its derivatives.

        Returns
        -------
        Tensor
            complex64 (N, drawn, M).
        """
        number, modes = base.shape
        table = shapes.table
        forms = shapes.forms[:, : 1 if drawn == 1 else 3]
        square, *by_eta = (forms.reshape(-1, 3) @ self.quadratic).reshape(number, -1, modes).unbind(1)
        square = square.clamp_min_(MIN_SQUARED_WAVE_NUMBER)
        position = square.log().mul_(0.5 / table.log_k_step).sub_(table.log_k / table.log_k_step)
        position = position.clamp_(0, table.values.shape[1] - 1.001)
        index = position.long()
        slope = shapes.steps.gather(1, index)
        amplitude = torch.addcmul(shapes.values.gather(1, index), position.sub_(index), slope)
        out = torch.empty(number, drawn, modes, dtype=torch.complex64, device=base.device)
        torch.mul(base, amplitude, out=out[:, 0])
        if drawn == 1:
            return out
        turned = -1j * out[:, 0]
        torch.mul(turned, self.kx, out=out[:, X])
        torch.mul(turned, self.ky, out=out[:, Y])
        slope = slope.mul_(1 / table.log_k_step)
        torch.mul(base, slope, out=out[:, LOG_R])
        torch.mul(base, shapes.by_log_n.gather(1, index), out=out[:, LOG_N])
        slope = slope.div_(square).mul_(0.5)
        torch.mul(base, slope * by_eta[0], out=out[:, ETA_1])
        torch.mul(base, slope * by_eta[1], out=out[:, ETA_2])
        return out


def _quadratic_forms(parameters: Tensor) -> Tensor:
    """Return the form (k r_eff)^2 and its derivatives with respect to eta_1 and eta_2, (N, 3, 3); see `Shapes`."""
    first, second = parameters[:, ETA_1], parameters[:, ETA_2]
    eta = torch.hypot(first, second).clamp_min(1e-4)
    even = torch.sinh(eta) / eta
    cross = (torch.cosh(eta) - even) / eta**2
    form = torch.stack(
        [
            torch.stack([torch.cosh(eta), even * first, even * second], 1),
            torch.stack([even * first, even + cross * first**2, cross * first * second], 1),
            torch.stack([even * second, cross * first * second, even + cross * second**2], 1),
        ],
        dim=1,
    )
    return form * torch.exp(2 * parameters[:, LOG_R])[:, None, None]

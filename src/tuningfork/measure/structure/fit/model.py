"""PSF-convolved Sersic models of a batch of galaxies and their derivatives, drawn from Fourier space.

The Fourier amplitude of a Sersic profile is a function of its index and of one number, the wave number in units of
the (sheared) half-light radius, so a row of a table per galaxy gives it and all derivatives at any wave vector. One
batched inverse FFT on the pixels of the window then draws everything. Two errors of that FFT are undone:

* It repeats the galaxy with the period of the window. The light of the copies is smooth inside the window; it is the
  difference of two quadratures of the low frequencies, the FFT's own and a finer one, computed on a few Chebyshev
  nodes and interpolated (:class:`Copies`).
* It knows no frequencies beyond Nyquist. Where the PSF lets them pass, they are folded in (`reach` of the grid).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tuningfork.measure.structure.fit.psf import Psf
from tuningfork.simulate.light.sersic import sersic_table

MAG, X, Y, LOG_R, LOG_N, ETA_1, ETA_2, SKY = range(8)
"""Columns of the free parameters; LOG_R is that of the circularised radius r_eff sqrt(q), which is smooth at q = 1."""
DRAWN = 7
"""Images that are drawn: the model of unit flux and its derivatives by x, y, LOG_R, LOG_N, ETA_1 and ETA_2."""
SMALLEST = 1e-30


@dataclass(frozen=True)
class Table:
    """The Sersic table on a device: amplitudes (I, K), even in ln n and ln(k r_eff)."""

    values: Tensor
    log_n: float
    log_n_step: float
    log_k: float
    log_k_step: float

    def rows(self, log_n: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the amplitude, its step to the next wave number and its derivative with respect to ln n.

        The cubic in ln n has a continuous derivative; steps in it would keep the fit from converging.

        Parameters
        ----------
        log_n : Tensor
            (N,) ln(Sersic index).

        Returns
        -------
        amplitude, step, derivative : Tensor
            (N, K - 1)
        """
        place = ((log_n - self.log_n) / self.log_n_step).clamp(0, len(self.values) - 1.001)
        low = place.long()
        t = (place - low)[:, None]
        # Catmull-Rom weights of four neighbours; at the ends of the table the outermost row stands for the next one.
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
    """What spectra of N profiles are made from.

    Attributes
    ----------
    table : Table
    forms : Tensor
        float32 (N, 3, 3): the quadratic form (k r_eff)^2 and its derivatives by eta_1 and eta_2, see `Modes`.
    values, steps, by_log_n : Tensor
        float32 (N, K - 1), of :meth:`Table.rows`.
    """

    table: Table
    forms: Tensor
    values: Tensor
    steps: Tensor
    by_log_n: Tensor

    @classmethod
    def of(cls, parameters: Tensor, table: Table) -> "Shapes":
        """Return the shapes of free parameters.

        Parameters
        ----------
        parameters : Tensor
            (N, 8) free parameters.
        table : Table
        """
        return cls(table, _quadratic_forms(parameters).float(), *table.rows(parameters[:, LOG_N]))


class Modes:
    """Wave vectors (M,), rad/pixel, at which spectra are wanted."""

    def __init__(self, kx: Tensor, ky: Tensor) -> None:
        self.kx, self.ky = kx.float(), ky.float()
        self.quadratic = torch.stack([kx**2 + ky**2, ky**2 - kx**2, -2 * kx * ky]).float()
        self.pixel = (torch.sinc(kx / (2 * np.pi)) * torch.sinc(ky / (2 * np.pi))).float()

    def transfer(self, psf: Psf) -> Tensor:
        """Return PSF times pixel response.

        Returns
        -------
        Tensor
            (N, M), real or complex.
        """
        amplitude = psf.amplitude(self.kx, self.ky)
        return amplitude if psf.contains_pixel else amplitude * self.pixel

    def phase(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the phase factors of places.

        Parameters
        ----------
        x, y : Tensor
            (N,) places (pixel).

        Returns
        -------
        Tensor
            complex (N, M).
        """
        angle = x[:, None] * self.kx + y[:, None] * self.ky
        return torch.polar(torch.ones_like(angle), -angle)

    def spectra(self, shapes: Shapes, base: Tensor, drawn: int = DRAWN) -> Tensor:
        """Return the spectra of the model of unit flux and of its derivatives.

        Parameters
        ----------
        shapes : Shapes
        base : Tensor
            complex64 (N, M): transfer times phase.
        drawn : int
            1: only the model.

        Returns
        -------
        Tensor
            complex64 (N, drawn, M).
        """
        number, modes = base.shape
        table = shapes.table
        forms = shapes.forms[:, : 1 if drawn == 1 else 3]
        square, *by_eta = (forms.reshape(-1, 3) @ self.quadratic).reshape(number, -1, modes).unbind(1)
        square = square.clamp_min_(SMALLEST)
        place = square.log().mul_(0.5 / table.log_k_step).sub_(table.log_k / table.log_k_step)
        place = place.clamp_(0, table.values.shape[1] - 1.001)
        index = place.long()
        slope = shapes.steps.gather(1, index)
        amplitude = torch.addcmul(shapes.values.gather(1, index), place.sub_(index), slope)
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
    """Return the form (k r_eff)^2 and its derivatives by eta_1 and eta_2, (N, 3, 3), on the basis of `Modes`."""
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


class Grid:
    """The pixels of a window and their Fourier modes.

    Parameters
    ----------
    size : int
        Width and height (pixel, even); the centre is the pixel [size // 2, size // 2].
    reach : float
        Largest wave number in units of Nyquist's: 2 folds the first aliases in, less than 1 leaves modes out that no
        light reaches through the PSF.
    device : torch.device
    """

    def __init__(self, size: int, reach: float, device: torch.device) -> None:
        self.size, self.device, self.table = size, device, table_on(device)
        self.fold = 2 if reach > 1 else 1
        step = 2 * np.pi / size
        rows = size * self.fold
        self.columns = min(int(np.ceil(reach * size / 2)), rows // 2) + 1
        self._kx = step * torch.arange(self.columns, dtype=torch.float64, device=device)
        self._ky = step * rows * torch.fft.fftfreq(rows, dtype=torch.float64, device=device)
        ky, kx = torch.meshgrid(self._ky, self._kx, indexing="ij")
        self.modes = Modes(kx.reshape(-1), ky.reshape(-1))
        # The centre of the window is a phase of +-1, the same in all models.
        self._centre = (1 - 2 * ((torch.round((kx + ky) / step) % 2).reshape(-1))).float()
        self.copies = Copies(size, device)

    def prepare(self, psf: Psf) -> tuple[Tensor, Tensor]:
        """Return what :meth:`draw` needs of the PSFs: the transfer on the modes of the grid, and on those of the copies.

        Returns
        -------
        modes, copies : Tensor
        """
        return self.modes.transfer(psf) * self._centre, self.copies.transfer(psf)

    def draw(self, parameters: Tensor, transfer: tuple[Tensor, Tensor], drawn: int = DRAWN) -> Tensor:
        """Return images of the models of unit flux without sky and of their derivatives.

        Parameters
        ----------
        parameters : Tensor
            float64 (N, 8).
        transfer : tuple of Tensor
            Of :meth:`prepare`, for the same galaxies.
        drawn : int

        Returns
        -------
        Tensor
            float32 (N, drawn, size, size).
        """
        x, y = (parameters[:, place].float() for place in (X, Y))
        phase = _turn(y, self._ky)[:, :, None] * _turn(x, self._kx)[:, None, :]
        base = transfer[0] * phase.reshape(len(parameters), -1)
        shapes = Shapes.of(parameters, self.table)
        spectra = self.modes.spectra(shapes, base, drawn)
        spectra = spectra.reshape(-1, drawn, self.fold, self.size, self.columns)
        spectra = spectra.sum(dim=2) if self.fold > 1 else spectra[:, :, 0]
        along = torch.fft.ifft(spectra, dim=-2)
        images = torch.fft.irfft(along, n=self.size * self.fold, dim=-1)
        if self.fold > 1:
            images = images[..., :: self.fold] * self.fold
        return self.copies.remove(images, parameters, shapes, transfer[1])


def _turn(shift: Tensor, k: Tensor) -> Tensor:
    angle = shift[:, None] * k.float()
    return torch.polar(torch.ones_like(angle), -angle)


class Copies:
    """The light of the periodic copies of the galaxy inside the window.

    The copies are the difference between the sum over the modes of the grid and the integral over all modes. It
    comes from wave numbers of a few times the grid's step; a window in Fourier space selects them. The integral is
    taken in polar coordinates with nodes that crowd at the origin, so that light at any distance is accounted for.

    Parameters
    ----------
    size : int
        Width of the window (pixel).
    device : torch.device
    """

    REACH, ORDER = 8.0, 6
    """End of the window in Fourier space, in steps of the grid, and the order of its zero there."""
    RADII, ANGLES, NODES = 24, 32, 12

    def __init__(self, size: int, device: torch.device) -> None:
        step = 2 * np.pi / size
        kx, ky, weight = (np.concatenate(parts) for parts in zip(self._integral(), self._sum(), strict=True))
        weight = weight * (1 - (np.hypot(kx, ky) / self.REACH) ** 4) ** self.ORDER / size**2
        self.modes = Modes(*(torch.from_numpy(values * step).to(device) for values in (kx, ky)))
        nodes = np.cos(np.pi * (np.arange(self.NODES) + 0.5) / self.NODES)
        place = nodes * size / 2
        x, y = np.meshgrid(place, place)
        angle = step * (kx[:, None] * x.ravel() + ky[:, None] * y.ravel())
        wave = np.stack([np.cos(angle), -np.sin(angle)], axis=1) * weight[:, None, None]
        self._wave = torch.from_numpy(wave.reshape(-1, self.NODES**2)).float().to(device)
        pixel = (np.arange(size) - size // 2) / (size / 2)
        polynomial = np.polynomial.chebyshev.chebvander
        interpolation = polynomial(pixel, self.NODES - 1) @ np.linalg.inv(polynomial(nodes, self.NODES - 1))
        self._interpolation = torch.from_numpy(interpolation).float().to(device)

    def _integral(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return wave vectors (steps of the grid) and weights of the integral over the half plane, doubled."""
        node, weight = np.polynomial.legendre.leggauss(self.RADII)
        node, weight = (node + 1) / 2, weight / 2
        k, dk = self.REACH * node**3, self.REACH * 3 * node**2 * weight
        angle = np.pi * (np.arange(self.ANGLES) + 0.5) / self.ANGLES
        area = 2 * (np.pi / self.ANGLES) * np.broadcast_to((k * dk)[:, None], (self.RADII, self.ANGLES))
        return (k[:, None] * np.cos(angle)).ravel(), (k[:, None] * np.sin(angle)).ravel(), area.ravel()

    def _sum(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the grid's own modes in half of the plane and their weights, negative, and doubled but at k = 0."""
        reach = int(self.REACH)
        kx, ky = (
            axis.ravel().astype(float) for axis in np.meshgrid(np.arange(-reach, reach + 1), np.arange(reach + 1))
        )
        kept = (np.hypot(kx, ky) < self.REACH) & ((ky > 0) | (kx >= 0))
        kx, ky = kx[kept], ky[kept]
        return kx, ky, np.where((kx == 0) & (ky == 0), -1.0, -2.0)

    def transfer(self, psf: Psf) -> Tensor:
        """Return PSF times pixel response at the low frequencies.

        Returns
        -------
        Tensor
            (N, M)
        """
        return self.modes.transfer(psf)

    def remove(self, images: Tensor, parameters: Tensor, shapes: Shapes, transfer: Tensor) -> Tensor:
        """Subtract the periodic copies from images.

        Parameters
        ----------
        images : Tensor
            (N, drawn, size, size), changed in place.
        parameters : Tensor
            (N, 8) free parameters.
        shapes : Shapes
        transfer : Tensor
            Of :meth:`transfer`.

        Returns
        -------
        Tensor
            `images`.
        """
        number, drawn, size, _ = images.shape
        base = transfer * self.modes.phase(parameters[:, X].float(), parameters[:, Y].float())
        spectra = torch.view_as_real(self.modes.spectra(shapes, base, drawn))
        nodes = (spectra.reshape(number * drawn, -1) @ self._wave).reshape(-1, self.NODES, self.NODES)
        half = self._interpolation @ nodes
        images = images.reshape(-1, size, size)
        return torch.baddbmm(images, half, self._interpolation.T.expand(len(half), -1, -1)).reshape(
            number, drawn, size, size
        )


@lru_cache(maxsize=64)
def grid_for(size: int, reach: float, device: torch.device) -> Grid:
    """Return the grid; grids are kept.

    Parameters
    ----------
    size : int
        Width of the images (pixel).
    reach : float
        Highest frequency, in units of Nyquist's.
    device : torch.device

    Returns
    -------
    Grid
    """
    return Grid(size, reach, device)

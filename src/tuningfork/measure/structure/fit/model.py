"""Images of PSF-convolved Sersic models of a batch of galaxies and of their derivatives.

One batched inverse FFT of the spectra of :mod:`tuningfork.measure.structure.fit.spectra` draws all images on the pixels
of the window. Two errors of that FFT are corrected:

* The FFT repeats the galaxy with the period of the window. The light of the copies is smooth inside the window. It is
  the difference of two quadratures of the low frequencies, the FFT's own and a finer one, which is computed on a few
  Chebyshev nodes and interpolated (:class:`Copies`).
* The FFT has no frequencies beyond Nyquist's. Where the PSF transmits higher frequencies, their aliases are added
  (`reach` of the grid).
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tuningfork.measure.structure.fit.psf import Psf
from tuningfork.measure.structure.fit.spectra import DRAWN_IMAGES, Modes, Shapes, X, Y, table_on


class Grid:
    """The pixels of a window and their Fourier modes.

    Parameters
    ----------
    size : int
        Width and height (pixel, even); the centre is the pixel [size // 2, size // 2].
    reach : float
        Largest wave number in units of Nyquist's. A value of 2 adds the first aliases; a value below 1 omits modes that
        the PSF does not transmit.
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
        # The shift to the centre of the window is a factor of +1 or -1, the same for all models.
        self._centre = (1 - 2 * ((torch.round((kx + ky) / step) % 2).reshape(-1))).float()
        self.copies = Copies(size, device)

    def prepare(self, psf: Psf) -> tuple[Tensor, Tensor]:
        """Return the transfer of the PSFs on the modes of the grid and on those of the copies, for :meth:`draw`.

        Returns
        -------
        modes, copies : Tensor
        """
        return self.modes.transfer(psf) * self._centre, self.copies.transfer(psf)

    def draw(self, parameters: Tensor, transfer: tuple[Tensor, Tensor], drawn: int = DRAWN_IMAGES) -> Tensor:
        """Return images of the models of unit flux without sky and of their derivatives.

        Parameters
        ----------
        parameters : Tensor
            float64 (N, 8).
        transfer : tuple of Tensor
            Result of :meth:`prepare` for the same galaxies.
        drawn : int
            Number of images per galaxy: `DRAWN_IMAGES`, or 1 for the model without its derivatives.

        Returns
        -------
        Tensor
            float32 (N, drawn, size, size).
        """
        x, y = (parameters[:, column].float() for column in (X, Y))
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

    The copies are the difference between the sum over the modes of the grid and the integral over all modes. This
    difference arises at wave numbers of a few times the grid's step, which a window in Fourier space selects. The
    integral is computed in polar coordinates with nodes concentrated at the origin, so that it includes light at any
    distance.

    Parameters
    ----------
    size : int
        Width of the window (pixel).
    device : torch.device
    """

    REACH, ORDER = 8.0, 6
    """End of the window in Fourier space, in steps of the grid, and the order of the window's zero at its end."""
    RADII, ANGLES, NODES = 24, 32, 12

    def __init__(self, size: int, device: torch.device) -> None:
        step = 2 * np.pi / size
        kx, ky, weight = (np.concatenate(parts) for parts in zip(self._integral(), self._sum(), strict=True))
        weight = weight * (1 - (np.hypot(kx, ky) / self.REACH) ** 4) ** self.ORDER / size**2
        self.modes = Modes(*(torch.from_numpy(values * step).to(device) for values in (kx, ky)))
        nodes = np.cos(np.pi * (np.arange(self.NODES) + 0.5) / self.NODES)
        position = nodes * size / 2
        x, y = np.meshgrid(position, position)
        angle = step * (kx[:, None] * x.ravel() + ky[:, None] * y.ravel())
        wave = np.stack([np.cos(angle), -np.sin(angle)], axis=1) * weight[:, None, None]
        self._wave = torch.from_numpy(wave.reshape(-1, self.NODES**2)).float().to(device)
        pixel = (np.arange(size) - size // 2) / (size / 2)
        polynomial = np.polynomial.chebyshev.chebvander
        interpolation = polynomial(pixel, self.NODES - 1) @ np.linalg.inv(polynomial(nodes, self.NODES - 1))
        self._interpolation = torch.from_numpy(interpolation).float().to(device)

    def _integral(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return wave vectors (steps of the grid) and doubled weights of the integral over half of the plane."""
        node, weight = np.polynomial.legendre.leggauss(self.RADII)
        node, weight = (node + 1) / 2, weight / 2
        k, dk = self.REACH * node**3, self.REACH * 3 * node**2 * weight
        angle = np.pi * (np.arange(self.ANGLES) + 0.5) / self.ANGLES
        area = 2 * (np.pi / self.ANGLES) * np.broadcast_to((k * dk)[:, None], (self.RADII, self.ANGLES))
        return (k[:, None] * np.cos(angle)).ravel(), (k[:, None] * np.sin(angle)).ravel(), area.ravel()

    def _sum(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the grid's modes in half of the plane and their negative weights, doubled except at k = 0."""
        reach = int(self.REACH)
        kx, ky = (
            axis.ravel().astype(float) for axis in np.meshgrid(np.arange(-reach, reach + 1), np.arange(reach + 1))
        )
        kept = (np.hypot(kx, ky) < self.REACH) & ((ky > 0) | (kx >= 0))
        kx, ky = kx[kept], ky[kept]
        return kx, ky, np.where((kx == 0) & (ky == 0), -1.0, -2.0)

    def transfer(self, psf: Psf) -> Tensor:
        """Return the product of the PSF's amplitude and the pixel response at the low frequencies.

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
            Result of :meth:`transfer`.

        Returns
        -------
        Tensor
            The array `images`.
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
    """Return the grid of a window; grids are cached.

    Parameters
    ----------
    size : int
        Width of the images (pixel).
    reach : float
        Highest frequency in units of Nyquist's.
    device : torch.device

    Returns
    -------
    Grid
    """
    return Grid(size, reach, device)

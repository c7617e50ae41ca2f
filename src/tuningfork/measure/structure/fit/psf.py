"""Fourier amplitudes of the point spread functions with which models are convolved.

The parameters of a Moffat profile must NOT include the response of the pixel, which the model applies separately. An
image of a PSF, as measured from stars, usually includes the response of the pixel; `contains_pixel` states whether it
does. An error here biases the Sersic index by some per cent.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import special
from torch import Tensor

from tuningfork.core.errors import InputError

INVERSE_BETA_RANGE = (0.04, 0.68)
"""Range of 1/beta in the table; a Moffat profile with beta = 25 is nearly a Gaussian, and one with beta < 1.5 has no
finite width."""
BETA_STEPS, K_STEPS, K_FWHM_MAX = 129, 4097, 64.0


@dataclass(frozen=True)
class Moffat:
    """Round Moffat (1969) profiles without the response of the pixel.

    Attributes
    ----------
    fwhm_px : ndarray
        Full width at half maximum (pixel), shape (N,).
    beta : ndarray
        Exponent, shape (N,).
    """

    fwhm_px: np.ndarray
    beta: np.ndarray
    contains_pixel = False

    def __post_init__(self) -> None:
        for name, values, low in (("fwhm_px", self.fwhm_px, 0.0), ("beta", self.beta, 1.0)):
            values = np.asarray(values)
            if values.ndim != 1 or not np.all(np.isfinite(values) & (values > low)):
                raise InputError(f"Moffat PSF: {name} must be one finite number above {low:g} for each galaxy")
        if len(self.fwhm_px) != len(self.beta):
            raise InputError(f"Moffat PSF: {len(self.fwhm_px)} widths but {len(self.beta)} exponents")

    def __len__(self) -> int:
        return len(self.fwhm_px)

    def __getitem__(self, rows: np.ndarray) -> "Moffat":
        return Moffat(self.fwhm_px[rows], self.beta[rows])

    def fwhm(self) -> np.ndarray:
        """Return the full width at half maximum (pixel).

        Returns
        -------
        ndarray
            (N,)
        """
        return np.asarray(self.fwhm_px, dtype=float)

    def reach(self, amplitude: float) -> np.ndarray:
        """Return the wave number (rad/pixel) beyond which the amplitudes are smaller than `amplitude`.

        Returns
        -------
        ndarray
            (N,)
        """
        k = np.linspace(0, K_FWHM_MAX, K_STEPS)
        table = _moffat_table()
        row = np.clip((1 / np.asarray(self.beta) - INVERSE_BETA_RANGE[0]) / _beta_step(), 0, BETA_STEPS - 1).astype(int)
        last = np.array([np.searchsorted(-table[i], -amplitude) for i in range(BETA_STEPS)])
        return np.asarray(k[np.minimum(last[row], K_STEPS - 1)] / self.fwhm())

    def amplitude(self, kx: Tensor, ky: Tensor) -> Tensor:
        """Return the amplitudes at wave vectors.

        Parameters
        ----------
        kx, ky : Tensor
            (M,) wave vectors (rad/pixel).

        Returns
        -------
        Tensor
            float32 (N, M), real.
        """
        device = kx.device
        table = torch.from_numpy(_moffat_table()).to(device)
        position = (1 / np.asarray(self.beta, dtype=float) - INVERSE_BETA_RANGE[0]) / _beta_step()
        position = np.clip(position, 0, BETA_STEPS - 1.001)
        low = torch.from_numpy(position.astype(int)).to(device)
        rest = torch.from_numpy((position % 1).astype(np.float32)).to(device)[:, None]
        rows = table[low] * (1 - rest) + table[low + 1] * rest
        width = torch.as_tensor(self.fwhm(), dtype=torch.float32, device=device)
        scaled = torch.hypot(kx, ky) * (width[:, None] * ((K_STEPS - 1) / K_FWHM_MAX))
        index = scaled.clamp_max_(K_STEPS - 1.01).long()
        left = rows.gather(1, index)
        return left + (scaled - index) * (rows.gather(1, index + 1) - left)


@dataclass(frozen=True)
class PsfImages:
    """Images of point spread functions on the pixels of the stamps.

    Attributes
    ----------
    array : ndarray
        (N, P, P), centred on the pixel [P // 2, P // 2]; each is divided by its sum.
    contains_pixel : bool
        Whether the images include the response of the pixel, as images of stars do; it is then not applied again.
    """

    array: np.ndarray
    contains_pixel: bool

    def __post_init__(self) -> None:
        shape = np.shape(self.array)
        if len(shape) != 3 or shape[1] != shape[2] or min(shape[1:]) < 3:
            raise InputError(f"PSF images of shape {shape}: expected (N, P, P) with P of at least 3 pixels")
        total = np.asarray(self.array, dtype=float).sum(axis=(1, 2))
        if not np.all(np.isfinite(total) & (total > 0)):
            raise InputError("PSF images: each must be finite and have a positive sum")

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: np.ndarray) -> "PsfImages":
        return PsfImages(self.array[rows], self.contains_pixel)

    def fwhm(self) -> np.ndarray:
        """Return the full width at half maximum of a Gaussian with the same peak and flux (pixel).

        Returns
        -------
        ndarray
            (N,)
        """
        images = np.asarray(self.array, dtype=float)
        peak = images.max(axis=(1, 2)) / images.sum(axis=(1, 2))
        return np.asarray(np.sqrt(4 * np.log(2) / (np.pi * peak)))

    def reach(self, amplitude: float) -> np.ndarray:
        """Return the Nyquist wave number (rad/pixel), beyond which an image has no amplitudes.

        Returns
        -------
        ndarray
            (N,)
        """
        return np.full(len(self), np.pi)

    def amplitude(self, kx: Tensor, ky: Tensor) -> Tensor:
        """Return the amplitudes at wave vectors.

        Parameters
        ----------
        kx, ky : Tensor
            (M,) wave vectors (rad/pixel).

        Returns
        -------
        Tensor
            complex64 (N, M).
        """
        images = torch.as_tensor(self.array, dtype=torch.float32, device=kx.device)
        images = images / images.sum(dim=(1, 2), keepdim=True)
        size = images.shape[-1]
        pixel = torch.arange(size, dtype=torch.float32, device=kx.device) - size // 2
        columns, which_column = torch.unique(kx, return_inverse=True)
        rows, which_row = torch.unique(ky, return_inverse=True)
        along = images.to(torch.complex64) @ torch.exp(-1j * pixel[:, None] * columns)
        both = torch.exp(-1j * rows[:, None] * pixel) @ along
        inside = (kx.abs() <= np.pi + 1e-4) & (ky.abs() <= np.pi + 1e-4)
        return both[:, which_row, which_column] * inside


Psf = Moffat | PsfImages


def _beta_step() -> float:
    return (INVERSE_BETA_RANGE[1] - INVERSE_BETA_RANGE[0]) / (BETA_STEPS - 1)


@lru_cache(maxsize=1)
def _moffat_table() -> np.ndarray:
    """Return amplitudes on even grids of 1/beta and k x FWHM: 2 (x/2)^(beta-1) K_(beta-1)(x) / Gamma(beta-1)."""
    order = 1 / np.linspace(*INVERSE_BETA_RANGE, BETA_STEPS)[:, None] - 1
    scale = 0.5 / np.sqrt(2 ** (1 / (order + 1)) - 1)
    x = np.linspace(0, K_FWHM_MAX, K_STEPS)[None, 1:] * scale
    with np.errstate(all="ignore"):
        log_value = np.log(2) + order * np.log(x / 2) + np.log(special.kve(order, x)) - x - special.gammaln(order)
    values = np.exp(np.minimum(np.nan_to_num(log_value, nan=-99, posinf=0), 0))
    return np.concatenate([np.ones((BETA_STEPS, 1)), values], axis=1).astype(np.float32)

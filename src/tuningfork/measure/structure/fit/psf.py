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
    """Images of point spread functions on the pixels of the stamps, or on those of the tiles that they are cut from.

    Attributes
    ----------
    array : ndarray
        (N, P, P), centred on the pixel [P // 2, P // 2]; each is divided by its sum.
    contains_pixel : bool
        Whether the images include the response of the pixel, as images of stars do; it is then not applied again.
    step : ndarray, optional
        (N,) width of a stamp's pixel in pixels of the image; without it, 1. Where it differs from 1, the images contain
        the response of their pixels, and :func:`tuningfork.stamps.rescale.rescale` has made the stamp.
    """

    array: np.ndarray
    contains_pixel: bool
    step: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.array)
        if len(shape) != 3 or shape[1] != shape[2] or min(shape[1:]) < 3:
            raise InputError(f"PSF images of shape {shape}: expected (N, P, P) with P of at least 3 pixels")
        total = np.asarray(self.array, dtype=float).sum(axis=(1, 2))
        if not np.all(np.isfinite(total) & (total > 0)):
            raise InputError("PSF images: each must be finite and have a positive sum")
        if np.shape(self.steps) != shape[:1] or not np.all(np.isfinite(self.steps) & (self.steps > 0)):
            raise InputError("PSF images: step must be one finite number above 0 for each galaxy")
        if not self.contains_pixel and np.any(self.steps != 1):
            raise InputError("PSF images of other pixels than the stamps' must contain the response of their pixels")

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: np.ndarray) -> "PsfImages":
        return PsfImages(self.array[rows], self.contains_pixel, self.steps[rows])

    @property
    def steps(self) -> np.ndarray:
        """Width of the stamps' pixels in pixels of the images, (N,)."""
        return np.ones(len(self.array)) if self.step is None else np.asarray(self.step, dtype=float)

    def fwhm(self) -> np.ndarray:
        """Return the full width at half maximum of a Gaussian with the same peak and flux (pixel).

        Returns
        -------
        ndarray
            (N,)
        """
        images = np.asarray(self.array, dtype=float)
        peak = images.max(axis=(1, 2)) / images.sum(axis=(1, 2))
        return np.asarray(np.sqrt(4 * np.log(2) / (np.pi * peak)) / self.steps)

    def reach(self, amplitude: float) -> np.ndarray:
        """Return the Nyquist wave number of the image (rad/pixel of the stamp), beyond which it has no amplitudes.

        Returns
        -------
        ndarray
            (N,)
        """
        return np.pi * self.steps

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
        step = torch.as_tensor(self.steps, dtype=torch.float32, device=kx.device)[:, None]
        columns, which_column = torch.unique(kx, return_inverse=True)
        rows, which_row = torch.unique(ky, return_inverse=True)
        along = torch.bmm(images.to(torch.complex64), self._waves(columns, step).transpose(1, 2))
        both = torch.bmm(self._waves(rows, step), along)
        return both[:, which_row, which_column]

    def _waves(self, k: Tensor, step: Tensor) -> Tensor:
        """Return the waves of wave numbers (M,) along an axis of the images, complex64 (N, M, P).

        They contain what the resampling of the tile did to the response of its pixels. A wider pixel of the stamp is a sum
        of the tile's pixels, each as if its light were spread evenly. A narrower one is interpolated from the light up to
        the edges of the tile's pixels, so that their response is gone.
        """
        pixel = torch.arange(self.array.shape[-1], dtype=torch.float32, device=k.device) - self.array.shape[-1] // 2
        on_image = k / step
        own, new = (torch.sinc(wave / (2 * np.pi)) for wave in (on_image, k))
        response = torch.where(step > 1, own * new, torch.where(step < 1, new / own.clamp_min(0.5), 1.0))
        response = response * (on_image.abs() <= np.pi + 1e-4)
        return response[:, :, None] * torch.exp(-1j * on_image[:, :, None] * pixel)


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

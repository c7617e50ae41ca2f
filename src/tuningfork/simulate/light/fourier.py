"""The Fourier grid of an image; it extends beyond the Nyquist frequency where a narrow PSF passes light there."""

from functools import cached_property

import numpy as np

RESOLVED_PSF_FWHM = 3.0
"""Full width at half maximum (pixel) of a PSF beyond whose Nyquist frequency nothing is left that noise would not hide."""
MAX_REACH = 2.0


def reach_of(fwhm: float) -> float:
    """Return how far a grid has to reach, in units of the Nyquist frequency, for a PSF of this width (pixel)."""
    return float(np.clip(np.ceil(4 * RESOLVED_PSF_FWHM / fwhm) / 4, 1, MAX_REACH))


class FourierGrid:
    """Wave numbers of a square image, half of the plane, in the order of a real FFT.

    Pixels integrate and then sample: light beyond the Nyquist frequency is not lost but folded back.

    Parameters
    ----------
    size : int
        N, width of the image (pixel), a multiple of 8.
    reach : float
        From 1 to 2, in quarters: R = reach x N wave numbers along the columns, R / 2 + 1 along the rows.
    matrix : ndarray
        (2, 2), see :class:`tuningfork.simulate.light.canvas.Canvas`.
    """

    def __init__(self, size: int, reach: float, matrix: np.ndarray) -> None:
        self.size, self.matrix = size, matrix
        self.half = round(size * reach) // 2

    @property
    def shape(self) -> tuple[int, int]:
        """(R, R / 2 + 1)."""
        return 2 * self.half, self.half + 1

    @cached_property
    def kx(self) -> np.ndarray:
        """Wave numbers along the columns (rad/pixel), shape (R / 2 + 1,)."""
        return 2 * np.pi / self.size * np.arange(self.half + 1)

    @cached_property
    def ky(self) -> np.ndarray:
        """Wave numbers along the rows (rad/pixel), shape (R,)."""
        return 2 * np.pi / self.size * np.fft.fftfreq(2 * self.half, 1 / (2 * self.half))

    @cached_property
    def wave_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Wave vectors in the sky's frame (rad/arcsec), float32 (R, R / 2 + 1) each."""
        (a, b), (c, d) = self.matrix
        kx, ky = self.kx[None, :], self.ky[:, None]
        return (a * kx + c * ky).astype(np.float32), (b * kx + d * ky).astype(np.float32)

    @cached_property
    def pixel(self) -> np.ndarray:
        """Fourier amplitude of the response of a pixel."""
        columns, rows = (np.sinc(k / (2 * np.pi)) for k in (self.kx, self.ky))
        return (rows[:, None] * columns[None, :]).astype(np.float32)

    def phase(self, dx: float, dy: float) -> np.ndarray:
        """Return the factor that shifts a light from the centre of the pixel [N // 2, N // 2].

        Parameters
        ----------
        dx, dy : float
            Shift (pixel).

        Returns
        -------
        ndarray
            complex64 (R, R / 2 + 1).
        """
        columns = np.exp(-1j * self.kx * (self.size // 2 + dx))
        rows = np.exp(-1j * self.ky * (self.size // 2 + dy))
        return rows.astype(np.complex64)[:, None] * columns.astype(np.complex64)[None, :]

    def placed(self, transform: np.ndarray) -> np.ndarray:
        """Return the transform of an image on the whole grid, zero beyond the Nyquist frequency.

        Parameters
        ----------
        transform : ndarray
            (N, N / 2 + 1).

        Returns
        -------
        ndarray
            (R, R / 2 + 1).
        """
        inner = self.size // 2
        if self.half == inner:
            return transform
        result = np.zeros(self.shape, dtype=transform.dtype)
        result[:inner, : inner + 1] = transform[:inner]
        result[-inner:, : inner + 1] = transform[-inner:]
        return result

    def folded(self, transform: np.ndarray) -> np.ndarray:
        """Return the transform of the sampled image.

        Parameters
        ----------
        transform : ndarray
            (..., R, R / 2 + 1).

        Returns
        -------
        ndarray
            (..., N, N / 2 + 1).
        """
        size, inner, half = self.size, self.size // 2, self.half
        if half == inner:
            return transform
        rows = np.zeros((*transform.shape[:-2], size, half + 1), dtype=transform.dtype)
        rows[..., :half, :] += transform[..., :half, :]
        rows[..., size - half :, :] += transform[..., half:, :]
        # A wave number of -j, whose amplitude is the conjugate of that of j, is one of N - j for the sampled image.
        beyond = np.conj(rows[..., inner:])
        beyond = np.concatenate([beyond[..., :1, :], beyond[..., :0:-1, :]], axis=-2)
        rows[..., size - half : inner + 1] += beyond[..., ::-1]
        return rows[..., : inner + 1]

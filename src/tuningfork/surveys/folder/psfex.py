"""The PSF at any position of an image, from a file of PSFEx (.psf; Bertin 2011, ASP Conf. 442, 435).

The file holds images, the coefficients of a polynomial in the position on the image. They contain the response of the
image's pixels, like stars, and their own pixels are PSF_SAMP of the image's wide.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import RectBivariateSpline

from tuningfork.core.errors import InputError
from tuningfork.simulate.imaging.moffat import MoffatFit, fit_moffat
from tuningfork.surveys.star_images import KEPT_WIDTH, checked, normalised, resampled

MAX_DEGREE = 10
POSITION_NAMES = {("X_IMAGE", "Y_IMAGE"), ("XWIN_IMAGE", "YWIN_IMAGE")}
"""What the polynomial may depend on."""
NODES = 5
"""Rows and columns of the grid on which the width is measured."""


@dataclass(frozen=True)
class PsfEx:
    """A model of PSFEx.

    Attributes
    ----------
    basis : ndarray
        (K, H, W), the images of the terms x^i y^j in the order of PSFEx: i runs fastest, and i + j is at most `degree`.
    degree : int
    zero, scale : tuple of float
        Zero and scale of column and row in the polynomial, in pixels of FITS, whose first is 1.
    sampling : float
        Width of a pixel of the basis in pixels of the image.
    """

    basis: np.ndarray
    degree: int
    zero: tuple[float, float]
    scale: tuple[float, float]
    sampling: float

    @classmethod
    def of(cls, table: Any) -> "PsfEx":
        """Return the model that the HDU of a table describes.

        Raises
        ------
        InputError
            If it is none that can be evaluated at a position.
        """
        header = table.header
        try:
            basis = np.asarray(table.data["PSF_MASK"][0], dtype=float)
            axes, sampling = int(header["POLNAXIS"]), float(header["PSF_SAMP"])
            degree, zero, scale = 0, (0.0, 0.0), (1.0, 1.0)
            if axes:
                names = tuple(str(header.get(f"POLNAME{axis}", "")).strip() for axis in range(1, axes + 1))
                if names not in POSITION_NAMES or int(header.get("POLNGRP", 1)) != 1:
                    raise InputError(f"its polynomial depends on {', '.join(names)}; expected X_IMAGE, Y_IMAGE")
                degree = int(header["POLDEG1"])
                zero, scale = ((float(header[f"{key}1"]), float(header[f"{key}2"])) for key in ("POLZERO", "POLSCAL"))
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise InputError(f"not a model of PSFEx ({' '.join(str(error).split())})") from None
        terms = (degree + 1) * (degree + 2) // 2
        if not 0 <= degree <= MAX_DEGREE or basis.ndim != 3 or len(basis) != terms:
            raise InputError(f"PSF_MASK has the shape {basis.shape}; expected {terms} images for the degree {degree}")
        if not (0.05 < sampling < 5 and all(scale)):
            raise InputError(f"PSF_SAMP is {sampling:g} and POLSCAL {scale}; expected 0.05 to 5 pixels and no zero")
        return cls(basis, degree, zero, scale, sampling)

    def image(self, x: float, y: float) -> np.ndarray:
        """Return the PSF at a position on the pixels of the image.

        Parameters
        ----------
        x, y : float
            Pixel position; the centre of the first pixel is (0, 0).

        Returns
        -------
        ndarray
            float32 (P, P), P odd, of sum one, with the centre at that of the pixel [P // 2, P // 2].

        Raises
        ------
        InputError
            If the model gives no image of a PSF there.
        """
        across, along = (
            ((place + 1 - zero) / scale) ** np.arange(self.degree + 1)
            for place, zero, scale in zip((x, y), self.zero, self.scale, strict=True)
        )
        terms = [across[i] * along[j] for j in range(self.degree + 1) for i in range(self.degree + 1 - j)]
        model = np.tensordot(terms, self.basis, axes=1)
        height, width = model.shape
        reach = int(min(min(model.shape) // 2 * self.sampling, KEPT_WIDTH // 2))
        pixels = resampled(model, (width // 2, height // 2), 2 * reach + 1, 1 / self.sampling)
        return normalised(checked(pixels))

    def moffat(self, x: float, y: float) -> MoffatFit:
        """Return the Moffat profile, without the response of the pixels, of the PSF at a position.

        Raises
        ------
        InputError
            If none fits.
        """
        fit = fit_moffat(self.image(x, y).astype(float))
        if not fit.converged:
            raise InputError("no Moffat profile fits the PSF")
        return fit

    def measured(self, shape: tuple[int, int]) -> list[Callable[[np.ndarray, np.ndarray], np.ndarray]]:
        """Return full width at half maximum (px) and exponent as functions of pixel positions x, y (N,).

        They are measured on a coarse grid and interpolated, so that the cost does not depend on the number of sources.

        Parameters
        ----------
        shape : tuple of int
            Height and width of the image.

        Returns
        -------
        list of callable
            The two, x, y -> (N,).

        Raises
        ------
        InputError
            If the model gives no PSF somewhere on the image.
        """
        rows, columns = (np.linspace(0, size - 1, NODES) for size in shape)
        fits = [[self.moffat(x, y) for x in columns] for y in rows] if self.degree else [[self.moffat(0, 0)]]
        surfaces = [np.array([[getattr(fit, name) for fit in row] for row in fits]) for name in ("fwhm", "beta")]
        return [_interpolated(rows, columns, np.broadcast_to(surface, (NODES, NODES))) for surface in surfaces]


def _interpolated(
    rows: np.ndarray, columns: np.ndarray, values: np.ndarray
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    spline = RectBivariateSpline(rows, columns, values)
    return lambda x, y: np.asarray(spline.ev(np.clip(y, 0, rows[-1]), np.clip(x, 0, columns[-1])))

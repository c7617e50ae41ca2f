"""The PSF of SDSS at any position in a field, from the field's psField file.

For each band the file holds a few images (the Karhunen-Loeve basis of the field's stars) and polynomials in row and
column that give their coefficients at a position (Lupton et al. 2001, ASP Conf. 238, 269;
https://www.sdss.org/dr12/algorithms/read_psf/). In the files, the first index of the coefficients `c` is the power of
the row, the second that of the column: the reconstruction then fits the stars of a real field, and with the indices
exchanged it does not.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fitsio
import numpy as np
from scipy.interpolate import RectBivariateSpline

from tuningfork.core.errors import InputError
from tuningfork.simulate.imaging.moffat import fit_moffat
from tuningfork.surveys.sdss.archive import FRAME_HEIGHT, FRAME_WIDTH, PIXEL_SCALE, SDSS_BANDS
from tuningfork.surveys.star_images import normalised
from tuningfork.surveys.transfer.attempts import AttemptError
from tuningfork.surveys.transfer.verify import verify_fits

POSITION_SCALE = 0.001
"""Factor by which rows and columns are multiplied in the polynomials."""
MAX_BASIS_WIDTH = 201
"""Width of the largest basis images that are accepted (px)."""
WIDTH_NODES = (4, 5)
"""Rows and columns of the grid on which the width is measured."""
GAUSSIAN_FWHM = float(2 * np.sqrt(np.log(2) / (2 * np.pi)))
"""FWHM of a Gaussian in units of the square root of its effective area, by which `psf_width` is defined."""
MAX_FIT_RADIUS = 15
"""Half of the width of the largest part of the image that is fitted (px)."""
MAX_CENTRE_SHIFT = 1.0
"""Largest distance of a valid fit's centre from the brightest pixel (px)."""


@dataclass(frozen=True)
class FieldPsf:
    """The PSF of one band of a field, and what else the psField file says about the band.

    Attributes
    ----------
    basis : ndarray
        Basis images (K, H, W).
    coefficients : ndarray
        Coefficients (K, R, C) of the powers of row and column.
    width : float
        `psf_width`: effective width at the centre of the field (arcsec).
    gain : float
        Photo-electrons per count.
    dark_variance : float
        Variance of read-out noise and dark current (counts^2).
    """

    basis: np.ndarray
    coefficients: np.ndarray
    width: float
    gain: float
    dark_variance: float

    @classmethod
    def read(cls, path: Path, band: str) -> "FieldPsf":
        """Read one band of a psField file.

        Raises
        ------
        InputError
            If the file cannot be read or is not a psField file.
        """
        number = SDSS_BANDS.index(band)
        try:
            with warnings.catch_warnings(), fitsio.FITS(str(path), upper=True) as file:
                # The header does not state the length of the variable columns.
                warnings.simplefilter("ignore", fitsio.FITSRuntimeWarning)
                terms, field = file[number + 1].read(), file[6].read()
            basis, coefficients = _terms(terms)
            width, gain, dark = (float(field[key][0, number]) for key in ("PSF_WIDTH", "GAIN", "DARK_VARIANCE"))
        except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: not a psField file of SDSS ({reason}); delete it and run again") from None
        return cls(basis, coefficients, width, gain, dark)

    def image(self, x: float, y: float) -> np.ndarray:
        """Return the PSF at a position, including the blurring by the pixel.

        Parameters
        ----------
        x, y : float
            Pixel position in the frame.

        Returns
        -------
        ndarray
            Shape (H, W); the PSF is centred on the central pixel.
        """
        rows, columns = self.coefficients.shape[1:]
        powers = np.outer(
            (POSITION_SCALE * (y + 0.5)) ** np.arange(rows), (POSITION_SCALE * (x + 0.5)) ** np.arange(columns)
        )
        image: np.ndarray = np.tensordot((self.coefficients * powers).sum(axis=(1, 2)), self.basis, axes=1)
        return image

    def images(self, x: np.ndarray, y: np.ndarray) -> list[np.ndarray | None]:
        """Return the PSF at some positions, for :class:`tuningfork.surveys.base.Image`.

        Parameters
        ----------
        x, y : ndarray
            Pixel positions in the frame, (N,).

        Returns
        -------
        list of ndarray
            N images, float32 (P, P), of sum one.
        """
        return [normalised(self.image(float(a), float(b))) for a, b in zip(x, y, strict=True)]

    def fwhm(self, shape: tuple[int, int]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Return the full width at half maximum as a function of pixel position.

        The width is measured at the nodes of a coarse grid and interpolated, so that its cost does not depend on the number
        of sources.

        Parameters
        ----------
        shape : tuple of int
            Height and width of the frame.

        Returns
        -------
        callable
            (x, y), arrays (N,) -> width (px), (N,).

        Raises
        ------
        InputError
            If the images are not those of a PSF.
        """
        rows, columns = (np.linspace(0, size - 1, count) for size, count in zip(shape, WIDTH_NODES, strict=True))
        widths = np.array([[moffat_width(self.image(x, y)) for x in columns] for y in rows])
        if not np.isfinite(widths).all():
            raise InputError("the psField file gives no PSF whose width can be measured")
        surface = RectBivariateSpline(rows, columns, widths, kx=3, ky=3)

        def at(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            known = np.isfinite(x + y)
            positions = (
                np.clip(np.where(known, position, 0), 0, size - 1) for position, size in zip((y, x), shape, strict=True)
            )
            return np.where(known, surface.ev(*positions), np.nan)

        return at


def verify_psf(path: Path) -> None:
    """Check that a file is a complete psField file whose PSFs match its own description of them.

    The file has no checksum, but states the sum of each basis image and the effective width of the PSF.

    Raises
    ------
    AttemptError
        If it is not; the message says what is wrong.
    """
    verify_fits(path)
    try:
        bands = {band: FieldPsf.read(path, band) for band in SDSS_BANDS}
    except InputError as error:
        raise AttemptError(str(error)) from None
    for band, psf in bands.items():
        image = psf.image(FRAME_WIDTH / 2, FRAME_HEIGHT / 2)
        width = GAUSSIAN_FWHM * PIXEL_SCALE * np.sqrt(image.sum() ** 2 / np.square(image).sum())
        if not (0.5 < image.sum() < 1.5 and 0.8 < width / psf.width < 1.25):
            raise AttemptError(f"the PSF in {band} is {width:.2f} arcsec wide where the file states {psf.width:.2f}")


def _terms(terms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = int(terms["NROW_B"].max()), int(terms["NCOL_B"].max())
    height, width = int(terms["RNROW"][0]), int(terms["RNCOL"][0])
    if not (0 < rows <= 5 and 0 < columns <= 5 and 8 < height <= MAX_BASIS_WIDTH and 8 < width <= MAX_BASIS_WIDTH):
        raise ValueError(f"{rows} x {columns} coefficients of images of {height} x {width} pixels")
    coefficients = np.zeros((len(terms), rows, columns))
    for term, (used_rows, used_columns) in enumerate(zip(terms["NROW_B"], terms["NCOL_B"], strict=True)):
        # The values beyond the used part are not initialised.
        coefficients[term, :used_rows, :used_columns] = terms["C"][term][:used_rows, :used_columns]
    basis = np.array([np.asarray(row, dtype=float)[: height * width] for row in terms["RROWS"]])
    if not (np.isfinite(coefficients).all() and np.isfinite(basis).all()):
        raise ValueError("some values are not finite")
    if (np.abs(basis.sum(axis=1) - terms["COUNTS"]) > 1e-6 * np.abs(basis).sum(axis=1)).any():
        raise ValueError("basis images do not have the sums that the file states")
    return basis.reshape(-1, height, width), coefficients


def moffat_width(image: np.ndarray) -> float:
    """Return the full width at half maximum of the PSF behind the image of a point source.

    A circular Moffat profile, integrated over the pixels, is fitted to those around the brightest one by least squares. The
    width is that of the PSF without the response of the pixels, as in the simulated images.

    Parameters
    ----------
    image : ndarray
        Shape (H, W), with the source near the centre.

    Returns
    -------
    float
        Width (px); NaN if the fit fails.
    """
    y, x = np.unravel_index(np.argmax(image), image.shape)
    peak = float(image[y, x])
    reach = min(y, x, image.shape[0] - 1 - y, image.shape[1] - 1 - x, MAX_FIT_RADIUS)
    if not (peak > 0 and reach >= 4):
        return float("nan")
    start = 2 * np.sqrt(np.count_nonzero(image > peak / 2) / np.pi)
    half = int(np.clip(np.ceil(2 * start), 4, reach))
    cutout = image[y - half : y + half + 1, x - half : x + half + 1]
    fit = fit_moffat(cutout)
    if not fit.converged or max(abs(fit.x), abs(fit.y)) > MAX_CENTRE_SHIFT:
        return float("nan")
    return fit.fwhm

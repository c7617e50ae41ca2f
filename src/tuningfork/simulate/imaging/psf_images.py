"""Measured PSFs: a stack of images of stars that replace Moffat profiles."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from tuningfork.core.description import Description
from tuningfork.core.errors import InputError
from tuningfork.simulate.imaging.moffat import fit_moffat
from tuningfork.simulate.imaging.psf import PsfImage
from tuningfork.simulate.light.planes import read_planes

STAR_IMAGE_WIDTHS = (7, 257)
"""Narrowest and widest image of a star (pixel)."""
PSF_IMAGES_KEY = "simulate.psf_images"


class PsfStack:
    """A stack of PSF images.

    Parameters
    ----------
    path : str
        .npy or FITS: (N, P, P), each for all bands, or (N, B, P, P); pixels of the survey's scale, their response
        included, the star at the centre of the pixel [P // 2, P // 2]. Sums are brought to one.
    description : Description

    Raises
    ------
    InputError
        The file cannot be read or holds no such images.
    """

    def __init__(self, path: str, description: Description) -> None:
        stack = read_planes(Path(path), PSF_IMAGES_KEY)
        bands, expected = len(description.bands), f"expected (N, P, P) or (N, {len(description.bands)}, P, P)"
        if stack.ndim == 3:
            stack = stack[:, None]
        if stack.ndim != 4 or stack.shape[1] not in (1, bands) or stack.shape[2] != stack.shape[3] or not len(stack):
            raise InputError(f"{PSF_IMAGES_KEY}: {path}: shape {stack.shape}; {expected}")
        if not STAR_IMAGE_WIDTHS[0] <= stack.shape[-1] <= STAR_IMAGE_WIDTHS[1]:
            raise InputError(
                f"{PSF_IMAGES_KEY}: {path}: images of {stack.shape[-1]} pixels; expected {STAR_IMAGE_WIDTHS[0]} to {STAR_IMAGE_WIDTHS[1]}"
            )
        total = stack.sum(axis=(2, 3), dtype=float)
        if not (total > 0).all():
            raise InputError(
                f"{PSF_IMAGES_KEY}: {path}: image {int(np.argwhere(total <= 0)[0, 0])} has no positive sum"
            )
        self.path = path
        self.stack = stack / total[:, :, None, None]
        self.description = description
        self._fit = lru_cache(maxsize=None)(self._fitted)

    @staticmethod
    def of(path: str, description: Description) -> "PsfStack":
        """Return the stack; a process reads it once."""
        return _read(path, description.model_dump_json())

    def draw(self, rng: np.random.Generator) -> tuple[tuple[PsfImage, ...], np.ndarray, float]:
        """Return a PSF for each band, with the widths and the exponent of Moffat fits to them.

        Parameters
        ----------
        rng : numpy.random.Generator

        Returns
        -------
        images : tuple of PsfImage
            One per band.
        widths : ndarray
            Full widths at half maximum (arcsec), (B,).
        beta : float
            Exponent in the reference band.
        """
        star, scale = int(rng.integers(len(self.stack))), self.description.pixel_scale
        images = np.broadcast_to(self.stack[star], (len(self.description.bands), *self.stack.shape[2:]))
        fits = [self._fit(star, min(band, self.stack.shape[1] - 1)) for band in range(len(images))]
        widths = np.array([fwhm for fwhm, _ in fits])
        return tuple(PsfImage(image, scale) for image in images), widths, fits[self.description.reference][1]

    def _fitted(self, star: int, band: int) -> tuple[float, float]:
        """Return the width (arcsec) and the exponent of one image."""
        fit = fit_moffat(self.stack[star, band].astype(float))
        return fit.fwhm * self.description.pixel_scale, fit.beta


@lru_cache(maxsize=1)
def _read(path: str, description: str) -> PsfStack:
    return PsfStack(path, Description.model_validate_json(description))

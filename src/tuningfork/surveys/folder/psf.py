"""The PSF of a user's image at any position, from the best that is given for it.

In this order: the image of the PSF that the source's row of the table names (`psf_r`, `psf`); an extension PSF of the
image's file; a file beside the image; the width in the row (`psf_fwhm_r`, `psf_fwhm`); the configuration's. An image of
the PSF that cannot be used is named in the log, and the width takes its place.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from astropy.wcs import WCS
from scipy.spatial import KDTree

from tuningfork.core.config.survey import Folder
from tuningfork.core.errors import InputError
from tuningfork.sky.coordinates import directions, jacobian
from tuningfork.sky.frames import pixel_positions
from tuningfork.surveys.base import FullWidths, PsfImages, everywhere
from tuningfork.surveys.folder.facts import POSITION, PSF, WIDTH, of_band
from tuningfork.surveys.folder.fits_file import open_fits
from tuningfork.surveys.folder.names import Layout, is_picture
from tuningfork.surveys.folder.psf_files import FILE_ERRORS, Psf, path_below, psf_of_extensions, read_psf
from tuningfork.surveys.star_images import StarImage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImagePsf:
    """The PSF of one band of an image as functions of pixel positions x, y (N,).

    Attributes
    ----------
    fwhm : callable
        Full width at half maximum (arcsec), (N,).
    beta : callable
        Exponent of the Moffat profile, (N,).
    images : callable
        See :data:`tuningfork.surveys.base.PsfImages`.
    """

    fwhm: FullWidths
    beta: FullWidths
    images: PsfImages

    @classmethod
    def constant(cls, fwhm: float, beta: float, pixels: np.ndarray | None = None) -> "ImagePsf":
        """Return a PSF that is the same everywhere.

        Parameters
        ----------
        fwhm, beta : float
            Full width at half maximum (arcsec) and exponent.
        pixels : ndarray, optional
            Its image (P, P), if there is one.

        Returns
        -------
        ImagePsf
        """
        return cls(everywhere(fwhm), everywhere(beta), lambda x, y: [pixels] * len(x))

    @classmethod
    def of(cls, psf: Psf, shape: tuple[int, int], scale: float) -> "ImagePsf":
        """Return the PSF that a file gives.

        Parameters
        ----------
        psf : StarImage or PsfEx
        shape : tuple of int
            Height and width of the image of the sky.
        scale : float
            Width of its pixels (arcsec).

        Returns
        -------
        ImagePsf

        Raises
        ------
        InputError
            If a model of PSFEx gives no PSF somewhere on the image.
        """
        if isinstance(psf, StarImage):
            return cls.constant(psf.fwhm * scale, psf.beta, psf.pixels)
        width, beta = psf.measured(shape)
        return cls(
            lambda x, y: scale * width(x, y),
            beta,
            lambda x, y: [psf.image(float(a), float(b)) for a, b in zip(x, y, strict=True)],
        )

    @classmethod
    def nearest(cls, x: np.ndarray, y: np.ndarray, psfs: Callable[[int], "ImagePsf"]) -> "ImagePsf":
        """Return the PSF that is at every position that of the nearest of K places.

        Parameters
        ----------
        x, y : ndarray
            Pixel positions of the places (K,).
        psfs : callable
            Number of a place -> its PSF.

        Returns
        -------
        ImagePsf
        """

        tree = KDTree(np.stack([x, y], axis=1))

        def spread(name: str, px: np.ndarray, py: np.ndarray) -> list[Any]:
            values: list[Any] = [None] * len(px)
            known = np.isfinite(px + py)
            place = np.zeros(len(px), dtype=int)
            if known.any():
                place[known] = tree.query(np.stack([px[known], py[known]], axis=1))[1]
            order = np.argsort(place, kind="stable")
            for here in np.split(order, np.flatnonzero(np.diff(place[order])) + 1) if len(order) else []:
                found = getattr(psfs(int(place[here[0]])), name)(px[here], py[here])
                for index, value in zip(here.tolist(), found, strict=True):
                    values[index] = value
            return values

        return cls(
            lambda px, py: np.array(spread("fwhm", px, py), dtype=float),
            lambda px, py: np.array(spread("beta", px, py), dtype=float),
            lambda px, py: spread("images", px, py),
        )


class PsfReader:
    """Finds the PSF of one band of an image.

    Parameters
    ----------
    settings : Folder
    layout : Layout
        Files of the image.
    band : str
    wcs : astropy.wcs.WCS
    shape : tuple of int
        Height and width of the image.
    """

    def __init__(self, settings: Folder, layout: Layout, band: str, wcs: WCS, shape: tuple[int, int]) -> None:
        self._settings, self._layout, self._band = settings, layout, band
        self._wcs, self._shape = wcs, shape
        self._middle = (shape[1] - 1) / 2, (shape[0] - 1) / 2
        self._scale = float(directions(jacobian(wcs, *(np.array([place]) for place in self._middle)))[0][0])
        self._refused = False
        self._named = cache(self._of_name)

    def psf(self, entries: Sequence[dict[str, Any]]) -> ImagePsf:
        """Return the PSF, given what the table says about the sources on the image (fact `SOURCES`)."""
        beside = self._beside()
        entries = entries or [{}]
        of_entry = cache(lambda number: self._of_entry(entries[number], beside))
        if len(entries) == 1:
            return of_entry(0)
        x, y = self._places([entry[POSITION] for entry in entries])
        return ImagePsf.nearest(x, y, of_entry)

    def _places(self, positions: list[list[float | None]]) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixel positions (K,), (K,) of positions on the sky (deg); the middle of the image if unknown."""
        ra, dec = np.array(positions, dtype=float).T
        found = np.stack(pixel_positions(self._wcs, ra, dec))
        x, y = np.where(np.isfinite(found).all(axis=0), found, np.array(self._middle)[:, None])
        return x, y

    def _of_entry(self, entry: dict[str, Any], beside: ImagePsf | None) -> ImagePsf:
        name, width = of_band(entry, PSF, self._band), of_band(entry, WIDTH, self._band)
        found = self._named(name) if name is not None else beside
        return found or ImagePsf.constant(width or self._settings.psf_fwhm, self._settings.psf_beta)

    def _of_name(self, name: str) -> ImagePsf | None:
        return self._accepted(
            name,
            lambda: read_psf(path_below(Path(self._settings.images), name), self._band, self._settings.bands),
        )

    def _beside(self) -> ImagePsf | None:
        """Return the PSF in the image's file or beside it."""
        path, bands = self._layout.files[self._band], self._settings.bands
        if not is_picture(path):
            own = self._accepted(str(path), lambda: _extension_of(path, self._band, bands))
            if own is not None or self._refused:
                return own
        other = self._layout.psfs.get(self._band)
        return None if other is None else self._accepted(str(other), lambda: read_psf(other, self._band, bands))

    def _accepted(self, name: str, read: Callable[[], Psf | None]) -> ImagePsf | None:
        """Return the PSF that `read` gives; None, with a sentence in the log, if it cannot be used."""
        self._refused = False
        try:
            psf = read()
            return None if psf is None else ImagePsf.of(psf, self._shape, self._scale)
        except InputError as error:
            self._refused = True
            logger.warning(
                "image %s, band %s: the PSF of %s is not used, its width takes its place: %s",
                self._layout.name,
                self._band,
                name,
                error,
            )
            return None


def _extension_of(path: Path, band: str, bands: list[str]) -> Psf | None:
    try:
        with open_fits(path) as hdus:
            return psf_of_extensions(hdus, band, bands)
    except FILE_ERRORS as error:
        raise InputError(" ".join(str(error).split())) from None

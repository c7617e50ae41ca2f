"""The images in a user's folder: their files, pixels, weights and coordinates."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image as Picture

from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.surveys.folder.coordinates import Footprint, footprint_of
from tuningfork.surveys.folder.psf_files import FILE_ERRORS, PSFEX_ENDING, is_psf, planes_of

FITS_ENDINGS = (".fits", ".fit", ".fts")
PACKED_ENDINGS = (".gz", ".bz2", ".fz")
PSF_NAME = re.compile(r"(.+)[-_.]psf", re.IGNORECASE)
"""Name of the files with the PSF of an image."""
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg")
WEIGHT_NAMES = {"invvar", "ivar", "wgt", "weight", "wht"}
"""EXTNAME or IMAGETYP of an image of inverse variances."""


@dataclass(frozen=True)
class Layout:
    """The files of one image: one file per band, or one for all bands.

    Attributes
    ----------
    name : str
    files : dict
        Band -> path.
    psfs : dict
        Band -> path of the image of its PSF, if there is such a file beside the image.
    """

    name: str
    files: dict[str, Path]
    psfs: dict[str, Path] = field(default_factory=dict)

    @property
    def combined(self) -> bool:
        """Whether one file holds several bands."""
        return len(self.files) > 1 and len(set(self.files.values())) == 1


class BandImage(NamedTuple):
    """One band of an image.

    Attributes
    ----------
    pixels : ndarray
        float32 (H, W).
    weights : ndarray or None
        Inverse variances, float32 (H, W).
    wcs : astropy.wcs.WCS or None
        Celestial WCS; None if there is none, or none that can be used.
    header : astropy.io.fits.Header
        That of the band, and what only the file's first header says; empty for a picture.
    """

    pixels: np.ndarray
    weights: np.ndarray | None
    wcs: WCS | None
    header: fits.Header


def is_picture(path: Path) -> bool:
    """Return whether a file is a PNG or JPEG."""
    return path.suffix.lower() in PICTURE_ENDINGS


def stem(path: Path) -> str | None:
    """Return the name of an image file without its suffixes, or None if its name is not that of an image."""
    name = path.name
    if is_picture(path):
        return name[: -len(path.suffix)]
    for ending in PACKED_ENDINGS:
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    for ending in FITS_ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return None


def safe_name(name: str) -> str:
    """Return a name for a tile: every character that is not a letter, digit, '.', '_', '+' or '-' becomes '_'."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name)


def find_images(folder: Path, bands: list[str]) -> dict[str, Layout]:
    """Return the images in a folder by name, sorted.

    `name-g.fits` and similar names (also with '_' or '.') are one band of the image `name`; any other FITS file, and every
    picture, holds all bands. `name-psf-g.fits` and `name-psf.fits` are the PSF of the image `name`, if there is one, and so
    are PSFEx files of the same names or of that of the image's file, with the ending .psf.

    Raises
    ------
    ConfigurationError
        If two files are the same band of the same image.
    """
    pattern = re.compile(rf"(.+)[-_.]({'|'.join(map(re.escape, bands))})")
    files: dict[str, dict[str, Path]] = {}
    with os.scandir(folder) as entries:
        file_names = sorted(entry.name for entry in entries if entry.is_file())
    for path in map(folder.joinpath, file_names):
        is_psfex = path.suffix.lower() == PSFEX_ENDING
        base = path.stem if is_psfex else stem(path)
        if base is None or base.startswith("."):
            continue
        match = None if is_picture(path) else pattern.fullmatch(base)
        name, bands_of_file = (safe_name(match[1]), [match[2]]) if match else (safe_name(base), bands)
        if is_psfex and not PSF_NAME.fullmatch(name):
            name += "-psf"
        for band in bands_of_file:
            other = files.setdefault(name, {}).setdefault(band, path)
            if other is not path:
                raise ConfigurationError(
                    f"survey.folder.images: {other} and {path} are both the band {band} of the image {name}; rename one"
                )
    return _layouts(files)


def _layouts(files: dict[str, dict[str, Path]]) -> dict[str, Layout]:
    """Return the images among files (name -> band -> path), each with the files of the PSF that are named after it."""
    psfs = {match[1]: name for name in files if (match := PSF_NAME.fullmatch(name)) and match[1] in files}
    images = set(files) - set(psfs.values())
    # A PSFEx file that is named after no image is none itself.
    images -= {name for name in images if any(path.suffix.lower() == PSFEX_ENDING for path in files[name].values())}
    return {name: Layout(name, files[name], files.get(psfs.get(name, ""), {})) for name in sorted(images)}


def read_band(path: Path, band: str, bands: list[str], combined: bool) -> BandImage:
    """Read one band of an image.

    Parameters
    ----------
    path : Path
    band : str
    bands : list of str
        All bands, blue to red.
    combined : bool
        Whether the file holds all bands.

    Returns
    -------
    BandImage

    Raises
    ------
    InputError
        If the file cannot be read, or does not have the band.
    """
    try:
        if is_picture(path):
            return _read_picture(path, bands.index(band), len(bands))
        with fits.open(path, memmap=False) as hdus:
            images = _images(hdus)
            hdu, plane = _find(images, band, bands, combined)
            weight = _weight_of(hdu, plane, images, band if combined and plane is None else None)
            pixels = np.array(hdu.data if plane is None else hdu.data[plane], dtype=np.float32)
            header = hdu.header.copy()
            header.extend(hdus[0].header, unique=True)
            weights = None if weight is None else _flat(weight)
            return BandImage(_flat(pixels), weights, footprint_of(hdu, hdus, path).wcs, header)
    except FILE_ERRORS as error:
        raise InputError(f"{path}: not a readable image ({' '.join(str(error).split())})") from None


def footprint(layout: Layout, bands: list[str]) -> Footprint:
    """Return where an image lies on the sky, from the headers alone: that of the first band with a WCS.

    Raises
    ------
    InputError
        If no header can be read.
    """
    found: list[Footprint] = []
    unreadable: list[InputError] = []
    for path in dict.fromkeys(layout.files.values()):
        try:
            found += _footprints(path)
        except InputError as error:
            unreadable.append(error)
        if found and found[-1].wcs is not None:
            return found[-1]
    if unreadable and not found:
        raise unreadable[0]
    return next((place for place in found if place.fault), found[0])


def _footprints(path: Path) -> list[Footprint]:
    """Return the coordinates of the images in a file, up to the first that has a WCS."""
    found: list[Footprint] = []
    try:
        if is_picture(path):
            with Picture.open(path) as picture:
                return [Footprint(None, (picture.height, picture.width))]
        with fits.open(path, memmap=True, lazy_load_hdus=True) as hdus:
            for hdu in hdus:
                if hdu.is_image and hdu.header.get("NAXIS", 0) >= 2 and not is_psf(hdu):
                    found.append(footprint_of(hdu, hdus, path))
                    if found[-1].wcs is not None:
                        break
            if not found:
                raise ValueError("it holds no image")
    except FILE_ERRORS as error:
        raise InputError(f"{path}: not a readable image ({' '.join(str(error).split())})") from None
    return found


def _read_picture(path: Path, number: int, bands: int) -> BandImage:
    """Read the channel of a picture that stands for a band: the bluest band is blue, the reddest red."""
    with Picture.open(path) as picture:
        colours = picture.mode in {"RGB", "RGBA", "P", "CMYK", "YCbCr"}
        values = np.asarray(picture.convert("RGB") if colours else picture.convert("F"), dtype=np.float32)
    if values.ndim == 3:
        channels = {1: [[0, 1, 2]], 2: [[2], [0]], 3: [[2], [1], [0]]}.get(bands)
        if channels is None:
            raise ValueError(f"a picture has three colours, survey.folder.bands has {bands} bands")
        values = values[..., channels[number]].mean(axis=-1)
    # Row 0 of a picture is at the top, that of a FITS image at the bottom.
    return BandImage(np.ascontiguousarray(values[::-1], dtype=np.float32), None, None, fits.Header())


def _images(hdus: fits.HDUList) -> list[Any]:
    images = [hdu for hdu in hdus if hdu.is_image and not is_psf(hdu) and hdu.data is not None and hdu.data.ndim >= 2]
    if not images:
        raise ValueError("it holds no image")
    return images


def _is_weight(hdu: Any) -> bool:
    return any(str(hdu.header.get(key, "")).strip().lower() in WEIGHT_NAMES for key in ("EXTNAME", "IMAGETYP"))


def _find(images: list[Any], band: str, bands: list[str], combined: bool) -> tuple[Any, int | None]:
    """Return the HDU that holds a band and, in a cube, the number of its plane."""
    science = [hdu for hdu in images if not _is_weight(hdu)]
    if not science:
        raise ValueError("it holds only weights")
    if not combined:
        return science[0], None
    for hdu in science:
        if hdu.data.ndim == 3 and hdu.data.shape[0] > 1:
            number = hdu.data.shape[0]
            planes = planes_of(hdu.header, number, bands)
            if len(planes) != number or band not in planes:
                named = str(hdu.header.get("BANDS", "")).strip()
                raise ValueError(f"{number} planes {named}, no band {band}; survey.folder.bands is {bands}")
            return hdu, planes.index(band)
    for key in ("BAND", "FILTER", "EXTNAME"):
        for hdu in science:
            # FITS writes the names of extensions in capitals.
            marked = str(hdu.header.get(key, "")).strip()
            if marked == band or (key == "EXTNAME" and marked.lower() == band.lower()):
                return hdu, None
    if len(science) != len(bands):
        raise ValueError(
            f"it holds {len(science)} images, none of them marked as band {band}; survey.folder.bands is {bands}"
        )
    return science[bands.index(band)], None


def _weight_of(hdu: Any, plane: int | None, images: list[Any], band: str | None) -> np.ndarray | None:
    for other in images:
        if not _is_weight(other) or other.data.shape != hdu.data.shape:
            continue
        if band is None or str(other.header.get("BAND", band)).strip() == band:
            return np.array(other.data if plane is None else other.data[plane], dtype=np.float32)
    return None


def _flat(pixels: np.ndarray) -> np.ndarray:
    pixels = np.squeeze(pixels)
    if pixels.ndim != 2:
        raise ValueError(f"expected a two-dimensional image, found the shape {pixels.shape}")
    return pixels

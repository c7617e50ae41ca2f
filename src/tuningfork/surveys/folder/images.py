"""The images in a user's folder: their files, pixels, weights and coordinates."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.core.files import as_text
from tuningfork.surveys.folder.coordinates import Footprint, footprint_of
from tuningfork.surveys.folder.fits_file import open_fits
from tuningfork.surveys.folder.flux_unit import require_linear
from tuningfork.surveys.folder.names import UNREAD_ENDINGS, UNREAD_PICTURE_ENDINGS, Layout, is_picture
from tuningfork.surveys.folder.picture_file import read_picture_file, require_picture
from tuningfork.surveys.folder.planes.bands import planes_of
from tuningfork.surveys.folder.planes.extensions import bad_pixels, is_sky, plane_of, planes_in, read_planes, weights_of
from tuningfork.surveys.folder.planes.places import places_in
from tuningfork.surveys.folder.planes.roles import MASK, name_of
from tuningfork.surveys.folder.psf_files import EXTENSION, FILE_ERRORS

LOOKUP_TABLES = ("CPDIS", "CQDIS", "D2IM")
"""Beginnings of the keywords by which a WCS refers to tables in other extensions."""
TRUNCATED = "truncated"
"""Beginning of what is said of a file that ends too early."""
MAX_PICTURE_PIXELS = 100_000_000
"""Most pixels of a picture."""


Read = TypeVar("Read")


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


def read_band(
    path: Path, band: str, bands: list[str], combined: bool, beside: Mapping[str, Path] | None = None
) -> BandImage:
    """Read one band of an image.

    Parameters
    ----------
    path : Path
    band : str
    bands : list of str
        All bands, blue to red.
    combined : bool
        Whether the file holds all bands.
    beside : mapping, optional
        Role -> file beside the image with its weight, variance, error or mask; it goes before those in the image's file.

    Returns
    -------
    BandImage

    Raises
    ------
    InputError
        If the file cannot be read, or does not have the band.
    """
    if is_picture(path):
        return _of_file(path, lambda: _read_picture(path, bands.index(band), len(bands)))
    image = _of_file(path, lambda: _read_fits(path, band, bands, combined))
    planes: dict[str, np.ndarray] = {}
    for role, other in (beside or {}).items():
        planes[role] = _of_file(other, partial(_read_beside, other, role, band, bands, image))
    weights = weights_of(planes)
    if MASK in planes:
        image.pixels[planes[MASK]] = np.nan
    return image if weights is None else image._replace(weights=weights)


def _of_file(path: Path, read: Callable[[], Read]) -> Read:
    """Return what `read` returns; whatever is wrong with the file becomes an error that names it."""
    try:
        if path.is_symlink() and not path.exists():
            raise ValueError("a link to a file that does not exist")
        return read()
    except Exception as error:  # what decoders raise for damaged files has no common type
        text = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{as_text(path)}: not a readable image ({text})") from None


def _read_fits(path: Path, band: str, bands: list[str], combined: bool) -> BandImage:
    if path.suffix.lower() in UNREAD_ENDINGS:
        raise ValueError(f"files with the ending {path.suffix} are not unpacked; unpack it")
    with open_fits(path) as hdus:
        if sum(is_sky(hdu, bands) for hdu in hdus) > 1:
            places_in(hdus, path, bands, combined)
        hdu, pixels, weights = read_planes(hdus, band, bands, combined)
        header = hdu.header.copy()
        header.extend(hdus[0].header, unique=True)
        require_linear(header)
        return BandImage(pixels, weights, footprint_of(hdu, hdus, path).wcs, header)


def _read_beside(path: Path, role: str, band: str, bands: list[str], image: BandImage) -> np.ndarray:
    """Return the weight, variance, error or mask in a file of its own, (H, W); of a mask, which pixels are bad.

    The planes of a cube are those that its header states, else those of the image.
    """
    with open_fits(path) as hdus:
        images = [hdu for hdu in hdus if hdu.is_image and len(hdu.shape) >= 2]
        if not images:
            raise ValueError("it holds no image")
        header, number = images[0].header, planes_in(images[0])
        planes = planes_of(header, number, planes_of(image.header, number, bands)) if number == len(bands) > 1 else []
        values = plane_of(images[0], planes.index(band) if band in planes else None)
        if values.shape != image.pixels.shape:
            raise ValueError(f"its shape is {values.shape}; expected the {image.pixels.shape} of the image")
        return bad_pixels(values, header, hdus[0].header) if role == MASK else values


def footprint(layout: Layout, bands: list[str]) -> Footprint:
    """Return where an image lies on the sky, from the headers alone: that of the first band with a WCS.

    The shape of a picture, which has no WCS, is not determined: it is (0, 0).

    Raises
    ------
    InputError
        If no header can be read.
    """
    found: list[Footprint] = []
    unreadable: list[InputError] = []
    for path in dict.fromkeys(layout.files.values()):
        try:
            found += _of_file(path, partial(_footprints, path, bands, layout.combined))
        except InputError as error:
            unreadable.append(error)
        if found and found[-1].wcs is not None:
            return found[-1]
    if unreadable and not found:
        raise unreadable[0]
    return next((place for place in found if place.fault), found[0])


def _footprints(path: Path, bands: list[str], combined: bool) -> list[Footprint]:
    """Return the coordinates of the images of the sky in a file; a picture has none."""
    if is_picture(path):
        require_picture(path, MAX_PICTURE_PIXELS)
        return [Footprint(None, (0, 0))]
    try:
        with open_fits(path) as hdus:
            return _placed_first(places_in(hdus, path, bands, combined))
    except EOFError as error:
        damage: Exception = error
    except FILE_ERRORS as error:
        if not str(error).startswith(TRUNCATED):
            raise
        damage = error
    place = _before_the_damage(path, bands)
    if place is None:
        raise damage
    return [place]


def _placed_first(places: list[Footprint]) -> list[Footprint]:
    """Return the places up to the first that has a WCS."""
    number = next((number for number, place in enumerate(places) if place.wcs is not None), len(places))
    return places[: number + 1]


def _before_the_damage(path: Path, bands: list[str]) -> Footprint | None:
    """Return the coordinates of the first image of the sky in a truncated file whose header is complete, if it has any."""
    with open_fits(path, until=lambda header: _suffices(header, bands)) as hdus:
        for hdu in hdus:
            if is_sky(hdu, bands) and (place := footprint_of(hdu, hdus, path)).wcs is not None:
                return place
    return None


def _suffices(header: fits.Header, bands: list[str]) -> bool:
    """Return whether a header is that of an image of the sky with a WCS that needs no other extension."""
    packed = header.get("ZIMAGE") is True
    if not packed and str(header.get("XTENSION", "IMAGE")).strip() != "IMAGE":
        return False
    if header["ZNAXIS" if packed else "NAXIS"] < 2 or EXTENSION.fullmatch(str(header.get("EXTNAME", "")).strip()):
        return False
    if name_of(header, bands).role is not None or not any(key.startswith("CTYPE") for key in header):
        return False
    return not any(key.startswith(LOOKUP_TABLES) for key in header)


def _read_picture(path: Path, number: int, bands: int) -> BandImage:
    """Read the channel of a picture that stands for a band: the bluest band is blue, the reddest red."""
    if path.suffix.lower() in UNREAD_PICTURE_ENDINGS:
        raise ValueError(f"files with the ending {path.suffix} are not read; convert it to PNG or FITS")
    values, _ = read_picture_file(path, MAX_PICTURE_PIXELS)
    if values.ndim == 3:
        channels = {1: [[0, 1, 2]], 2: [[2], [0]], 3: [[2], [1], [0]]}.get(bands)
        if channels is None:
            raise ValueError(f"a picture has three colours, survey.folder.bands has {bands} bands")
        values = values[..., channels[number]].mean(axis=-1)
    return BandImage(np.ascontiguousarray(values, dtype=np.float32), None, None, fits.Header())

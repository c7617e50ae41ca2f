"""What the extensions of a FITS file are: bands of the sky, weights, variances, masks, or something that is not used."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.io import fits

from tuningfork.sky.wcs_header import image_axes
from tuningfork.surveys.asinh import OFFSET, SOFTENING, linear
from tuningfork.surveys.folder.fits_file import values_of
from tuningfork.surveys.folder.planes.bands import MARKS, band_named, find_image, plane_number, stated_planes
from tuningfork.surveys.folder.planes.roles import ERROR, MASK, VARIANCE, WEIGHT, Name, name_of
from tuningfork.surveys.folder.psf_files import is_psf

logger = logging.getLogger(__name__)

BAD_PLANES = ("MP_BAD", "MP_CR", "MP_NO_DATA", "MP_SAT", "MP_UNMASKEDNAN")
"""Keywords with the numbers of the bits of a mask of the Rubin Observatory whose pixels are bad; others mark detections."""
DO_NOT_USE = 1
"""Bit of the data quality of JWST and Roman whose pixels are bad; others tell how a pixel was corrected."""
FIRST_BIT_TELESCOPES = {"JWST", "ROMAN"}


def read_planes(
    hdus: fits.HDUList, band: str, bands: list[str], combined: bool
) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Read the pixels of a band and their weights; masked pixels are NaN.

    Parameters
    ----------
    hdus : astropy.io.fits.HDUList
    band : str
    bands : list of str
        All bands, blue to red.
    combined : bool
        Whether the file holds all bands.

    Returns
    -------
    hdu : HDU
        That of the band.
    pixels : ndarray
        float32 (H, W).
    weights : ndarray or None
        Inverse variances, float32 (H, W).

    Raises
    ------
    ValueError
        If the file does not have the band, or does not say which mask belongs to it.
    """
    images = [(hdu, name_of(hdu.header, bands)) for hdu in hdus if _is_image(hdu)]
    if not images:
        raise ValueError("it holds no image")
    science = [hdu for hdu, name in images if name.role is None]
    if not science:
        raise ValueError(f"it holds no image of the sky, only {', '.join(hdu.name or 'a weight' for hdu, _ in images)}")
    hdu, plane = _find(science, band, bands, combined)
    pixels = plane_of(hdu, plane).astype(np.float32)
    found: dict[str, Any] = {
        role: _belonging(role, hdu, images, science, band, bands) for role in (VARIANCE, ERROR, WEIGHT, MASK)
    }
    of_band = {
        role: plane_of(other, _plane_beside(other, plane, band, bands))
        for role, other in found.items()
        if other is not None
    }
    if MASK in of_band:
        pixels[bad_pixels(of_band[MASK], found[MASK].header, hdus[0].header)] = np.nan
    return hdu, pixels, weights_of(of_band)


def weights_of(planes: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return inverse variances from the first that is known of variance, error and weight.

    Parameters
    ----------
    planes : mapping
        Role -> image (H, W).

    Returns
    -------
    ndarray or None
        float32 (H, W); zero where the variance is no positive number.
    """
    for role, power in ((VARIANCE, -1), (ERROR, -2)):
        if role in planes:
            values = np.asarray(planes[role], dtype=np.float64)
            good = np.isfinite(values) & (values > 0)
            return np.power(values, power, out=np.zeros_like(values), where=good).astype(np.float32)
    weights = planes.get(WEIGHT)
    return None if weights is None else weights.astype(np.float32)


def bad_pixels(mask: np.ndarray, header: fits.Header, first: fits.Header) -> np.ndarray:
    """Return which pixels a mask calls bad: all that are not zero, but for masks whose bits are known.

    Parameters
    ----------
    mask : ndarray
        (H, W).
    header, first : astropy.io.fits.Header
        That of the mask, and the first of the file.

    Returns
    -------
    ndarray of bool
        (H, W).
    """
    known = [header[key] for key in BAD_PLANES if type(header.get(key)) is int and 0 <= header[key] < 63]
    bits = sum(1 << number for number in known)
    if str(first.get("TELESCOP", "")).strip().upper() in FIRST_BIT_TELESCOPES:
        bits = DO_NOT_USE
    return np.asarray((mask.astype(np.int64) & bits) != 0 if bits else mask != 0)


def is_sky(hdu: Any, bands: Sequence[str]) -> bool:
    """Return whether an HDU is an image of the sky."""
    return _is_image(hdu) and name_of(hdu.header, bands).role is None


def _is_image(hdu: Any) -> bool:
    return bool(hdu.is_image and not is_psf(hdu) and len(hdu.shape) >= 2 and np.prod(hdu.shape) > 0)


def _axes_of(hdu: Any) -> tuple[int, int]:
    """Return the axes of the array that are those of the image, which the header counts from the other end."""
    columns, rows = (len(hdu.shape) - axis for axis in image_axes(hdu.header))
    return rows, columns


def _shape_of(hdu: Any) -> tuple[int, int]:
    rows, columns = _axes_of(hdu)
    return hdu.shape[rows], hdu.shape[columns]


def planes_in(hdu: Any) -> int:
    """Return the number of planes of an image; axes of length one do not count."""
    return int(np.prod(hdu.shape)) // int(np.prod(_shape_of(hdu)))


def plane_of(hdu: Any, plane: int | None) -> np.ndarray:
    """Return the image in an HDU, or a plane of its cube; the inverse hyperbolic sine of Pan-STARRS is undone.

    Parameters
    ----------
    hdu : HDU
    plane : int or None
        Number of the plane in a cube.

    Returns
    -------
    ndarray
        (H, W).

    Raises
    ------
    ValueError
        If it is a cube and no plane is named, or the scale of Pan-STARRS has no numbers.
    """
    shape = hdu.shape
    if planes_in(hdu) > 1 and plane is None:
        raise ValueError(f"expected a two-dimensional image, found the shape {shape}")
    if len(shape) == 2:
        return _linear(hdu, values_of(hdu))
    inside = _axes_of(hdu)
    others = [length for axis, length in enumerate(shape) if axis not in inside]
    place = iter(np.unravel_index((plane or 0) if planes_in(hdu) > 1 else 0, others))
    part = tuple(slice(None) if axis in inside else int(next(place)) for axis in range(len(shape)))
    return _linear(hdu, values_of(hdu, part).reshape(_shape_of(hdu)))


def _linear(hdu: Any, values: np.ndarray) -> np.ndarray:
    """Return values of an image without the inverse hyperbolic sine of Pan-STARRS, if its header has the scale of one."""
    if SOFTENING not in hdu.header:
        return values
    softening, offset = hdu.header[SOFTENING], hdu.header.get(OFFSET)
    if not all(isinstance(value, int | float) for value in (softening, offset)) or not softening > 0:
        raise ValueError(
            f"its keywords {SOFTENING} and {OFFSET} are {softening!r} and {offset!r}; expected a positive number and a number, "
            "which undo the inverse hyperbolic sine of Pan-STARRS"
        )
    return linear(values, softening, offset)


def _find(science: list[Any], band: str, bands: list[str], combined: bool) -> tuple[Any, int | None]:
    """Return the HDU that holds a band and, in a cube, the number of its plane."""
    cube = next((hdu for hdu in science if planes_in(hdu) > 1), None) if combined else None
    if cube is not None:
        return cube, plane_number(cube.header, planes_in(cube), band, bands)
    return find_image(science, band, bands, combined), None


def _plane_beside(hdu: Any, plane: int | None, band: str, bands: list[str]) -> int | None:
    """Return the number of the plane of a band in a weight, variance, error or mask: as it says, else as in the image."""
    number = planes_in(hdu)
    stated = stated_planes(hdu.header, number, bands) if number > 1 else None
    return stated.index(band) if stated and band in stated else plane


def _mark_of(hdu: Any, name: Name) -> str:
    """Return what an image says about its band, in any words; empty if nothing."""
    return next(filter(None, (name.band, *(str(hdu.header.get(key, "")).strip() for key in MARKS))), "")


def _belonging(
    role: str, hdu: Any, images: list[tuple[Any, Name]], science: list[Any], band: str, bands: list[str]
) -> Any | None:
    """Return the weight, variance, error or mask of an image of the sky, or None if the file has none."""
    others = [(other, name) for other, name in images if name.role == role]
    marks = [_mark_of(other, name) for other, name in others]
    own = _mark_of(hdu, name_of(hdu.header, bands))
    fitting = [
        (other, mark) for (other, _), mark in zip(others, marks, strict=True) if _shape_of(other) == _shape_of(hdu)
    ]
    fitting = [(other, mark) for other, mark in fitting if planes_in(other) in {1, planes_in(hdu)}]
    of_band = [other for other, mark in fitting if mark and (band_named(mark, bands) == band or mark == own)]
    unmarked = [other for other, mark in fitting if not mark or (band_named(mark, bands) is None and not own)]
    if of_band or not unmarked:
        if others and not (of_band or unmarked) and any(band_named(mark, bands) is None for mark in marks):
            logger.warning("%s %s is not used: expected the shape %s of the image", role, others[0][0].name, hdu.shape)
        return of_band[0] if of_band else None
    if len(unmarked) == 1:
        return unmarked[0]
    if len(unmarked) == len(science):
        return unmarked[next(number for number, other in enumerate(science) if other is hdu)]
    raise ValueError(
        f"it holds {len(unmarked)} images that are its {role}; expected one, or one for each image: add the band to EXTNAME"
    )

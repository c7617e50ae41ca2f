"""What the extensions of a FITS file are: bands of the sky, weights, variances, masks, or something that is not used."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits

from tuningfork.sky.wcs_header import image_axes
from tuningfork.surveys.folder.fits_file import values_of
from tuningfork.surveys.folder.psf_files import is_psf, planes_of

logger = logging.getLogger(__name__)

WEIGHT, VARIANCE, ERROR, MASK, OTHER = "weight", "variance", "error", "mask", "other"
ROLES = {
    WEIGHT: {"invvar", "ivar", "wgt", "weight", "weights", "wht"},
    VARIANCE: {"var", "variance"},
    ERROR: {"err", "error", "errors", "rms", "sigma", "std", "stddev", "unc", "uncert", "uncertainty"},
    MASK: {"badpix", "bitmask", "bpm", "dq", "flag", "flags", "mask", "msk"},
    OTHER: {
        "area", "back", "background", "bkg", "chi", "con", "context", "cov", "coverage", "ctx", "det", "detection",
        "exp", "exposure", "exptime", "model", "nexp", "nimage", "resid", "residual", "seg", "segm", "segmap",
        "segmentation", "sky", "wt",
    },
}  # fmt: skip
"""What an image of this EXTNAME holds. Of the last, nothing is used; wt is a variance in Pan-STARRS and a weight elsewhere."""
ROLE_OF = {name: role for role, names in ROLES.items() for name in names}
BESIDE = sorted(
    {
        *ROLES[WEIGHT],
        *ROLES[VARIANCE],
        *ROLES[ERROR],
        *ROLES[MASK],
        *ROLES[OTHER] & {"ctx", "seg", "segm", "segmap", "wt"},
    }
)
"""Names by which a file beside an image is known as something that belongs to it."""
SKY = {"data", "flux", "image", "img", "map", "sci", "science"}
"""Words in the name of an extension that do not say anything else than that it is an image of the sky."""
BAD_PLANES = ("MP_BAD", "MP_CR", "MP_NO_DATA", "MP_SAT", "MP_UNMASKEDNAN")
"""Keywords with the numbers of the bits of a mask of the Rubin Observatory whose pixels are bad; others mark detections."""
DO_NOT_USE = 1
"""Bit of the data quality of JWST and Roman whose pixels are bad; others tell how a pixel was corrected."""
FIRST_BIT_TELESCOPES = {"JWST", "ROMAN"}


class Name(NamedTuple):
    """What the name of an extension says: `role` is None for an image of the sky, `band` is empty if it names none."""

    role: str | None
    band: str


def name_of(header: fits.Header, bands: Sequence[str]) -> Name:
    """Return what the header of an image says that it holds.

    EXTNAME is split into words at '-', '_', '.' and blanks: SCI_R, r.image and R are images of the sky in the band r,
    VAR_R is its variance. A variance, error, mask or weight with another word, such as VAR_POISSON, is only a part of it and not used.

    Parameters
    ----------
    header : astropy.io.fits.Header
    bands : sequence of str

    Returns
    -------
    Name
    """
    name = str(header.get("EXTNAME", "")).strip()
    if name.lower() in {band.lower() for band in bands}:
        return Name(None, name)
    role, rest = _split(name)
    kind = str(header.get("IMAGETYP", "")).strip().lower()
    if role is None and ROLE_OF.get(kind, OTHER) != OTHER:
        role = ROLE_OF[kind]
    if not rest or rest.lower() in {band.lower() for band in bands}:
        return Name(role, rest)
    return Name(None if role is None else OTHER, "")


def _split(name: str) -> tuple[str | None, str]:
    """Return the role that the first or last word of a name states, and the other words without those in `SKY`."""
    words = [word for word in re.split(r"[-_. ]+", name) if word and not word.isdigit()]
    roles = [ROLE_OF.get(word.lower().rstrip("0123456789")) for word in words]
    place = next((place for place in (0, len(words) - 1) if words and roles[place]), None)
    rest = [word for number, word in enumerate(words) if number != place and word.lower() not in SKY]
    return (None if place is None else roles[place]), " ".join(rest)


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
    hdu, plane = _find(science, band, bands) if combined else (science[0], None)
    if not combined and len(science) > 1:
        logger.info("%s: %d images of the sky; the first is used", hdus.filename() or "a file", len(science))
    pixels = plane_of(hdu, plane).astype(np.float32)
    found: dict[str, Any] = {
        role: _belonging(role, hdu, images, science, band, bands) for role in (VARIANCE, ERROR, WEIGHT, MASK)
    }
    of_band = {role: plane_of(other, plane) for role, other in found.items() if other is not None}
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
    """Return the image in an HDU, or a plane of its cube.

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
        If it is a cube and no plane is named.
    """
    shape = hdu.shape
    if planes_in(hdu) > 1 and plane is None:
        raise ValueError(f"expected a two-dimensional image, found the shape {shape}")
    if len(shape) == 2:
        return values_of(hdu)
    inside = _axes_of(hdu)
    others = [length for axis, length in enumerate(shape) if axis not in inside]
    place = iter(np.unravel_index((plane or 0) if planes_in(hdu) > 1 else 0, others))
    part = tuple(slice(None) if axis in inside else int(next(place)) for axis in range(len(shape)))
    return values_of(hdu, part).reshape(_shape_of(hdu))


def _find(science: list[Any], band: str, bands: list[str]) -> tuple[Any, int | None]:
    """Return the HDU that holds a band and, in a cube, the number of its plane."""
    for hdu in science:
        number = planes_in(hdu)
        if number > 1:
            planes = planes_of(hdu.header, number, bands)
            if len(planes) != number or band not in planes:
                named = str(hdu.header.get("BANDS", "")).strip()
                raise ValueError(f"{number} planes {named}, no band {band}; survey.folder.bands is {bands}")
            return hdu, planes.index(band)
    for key in ("BAND", "FILTER", "EXTNAME"):
        for hdu in science:
            # FITS writes the names of extensions in capitals.
            marked = name_of(hdu.header, bands).band if key == "EXTNAME" else str(hdu.header.get(key, "")).strip()
            if marked == band or (key == "EXTNAME" and marked.lower() == band.lower()):
                return hdu, None
    names = {re.sub(r"\d", "", hdu.name) for hdu in science} - {"", "PRIMARY"}
    if len(science) != len(bands) or len(names) > 1:
        raise ValueError(
            f"it holds {len(science)} images ({', '.join(hdu.name or 'without a name' for hdu in science)}), none of them "
            f"marked as band {band}; survey.folder.bands is {bands}"
        )
    return science[bands.index(band)], None


def _belonging(
    role: str, hdu: Any, images: list[tuple[Any, Name]], science: list[Any], band: str, bands: list[str]
) -> Any | None:
    """Return the weight, variance, error or mask of an image of the sky, or None if the file has none."""
    others = [(other, name) for other, name in images if name.role == role]
    marks = [name.band or str(other.header.get("BAND", "")).strip() for other, name in others]
    fitting = [
        (other, mark) for (other, _), mark in zip(others, marks, strict=True) if _shape_of(other) == _shape_of(hdu)
    ]
    fitting = [(other, mark) for other, mark in fitting if planes_in(other) in {1, planes_in(hdu)}]
    known = {name.lower() for name in bands}
    of_band = [other for other, mark in fitting if mark.lower() == band.lower()]
    unmarked = [other for other, mark in fitting if mark.lower() not in known]
    if of_band or not unmarked:
        if others and not (of_band or unmarked) and any(mark.lower() not in known for mark in marks):
            logger.warning("%s %s is not used: expected the shape %s of the image", role, others[0][0].name, hdu.shape)
        return of_band[0] if of_band else None
    if len(unmarked) == 1:
        return unmarked[0]
    if len(unmarked) == len(science):
        return unmarked[next(number for number, other in enumerate(science) if other is hdu)]
    raise ValueError(
        f"it holds {len(unmarked)} images that are its {role}; expected one, or one for each image: add the band to EXTNAME"
    )

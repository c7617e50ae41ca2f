"""Read the celestial coordinates of a FITS header, or say in one line why they cannot be used.

astropy and WCSLIB pass over what they do not understand: a number in quotes becomes 0, a missing scale 1 deg per pixel,
an unknown frame RA and Dec. Such headers are refused here by keyword and value. Spellings of units, systems and equinoxes
that have one meaning only are put right before astropy reads them.
"""

import re
import warnings

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyError, VerifyWarning
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.sky.coordinates import directions, jacobian
from tuningfork.sky.frames import FRAMES, sky_positions
from tuningfork.sky.wcs_cards import put_right, text_of

NO_TYPE = ("", "LINEAR", "PIXEL")
"""Values of CTYPE that say nothing about the sky."""
UNKNOWN_FRAMES = {"HP": "helioprojective", "HG": "heliographic", "CR": "heliographic", "TL": "terrestrial"}
UNREAD_PROJECTIONS = ("TNX", "ZPX")
"""Projections of IRAF; WCSLIB writes beyond its memory with some of their coefficients (WATi_nnn)."""
MAX_AXES = 9
MAX_ANGLE = 720.0
"""Largest CRVAL (deg); far larger ones leave no digits for the position of a pixel."""
SCALES = 1e-5, 3600.0
"""Smallest and largest width of a pixel (arcsec)."""
MAX_ELONGATION = 2.0
"""Largest ratio of the axes of a pixel on the sky; the measurements take pixels as square."""
WCS_ERRORS = (
    ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError, MemoryError, NameError, OSError,
    VerifyError,
)  # fmt: skip
"""Exceptions that astropy raises for headers it cannot use."""


def image_axes(header: fits.Header) -> tuple[int, int]:
    """Return the numbers of the two axes of an image: the first that are longer than one pixel, else 1 and 2."""
    count = min(int(header.get("NAXIS", 0)), MAX_AXES)
    axes = [axis for axis in range(1, count + 1) if header.get(f"NAXIS{axis}", 0) > 1]
    return (axes[0], axes[1]) if len(axes) > 1 else (1, 2)


def read_wcs(header: fits.Header, hdus: fits.HDUList | None = None) -> WCS | None:
    """Return the celestial WCS of an image from its header.

    Without a primary WCS, the first alternate one (CTYPE1A, ...) that is celestial is taken.

    Parameters
    ----------
    header : astropy.io.fits.Header
        With NAXISi, the width of the image.
    hdus : astropy.io.fits.HDUList, optional
        The open file, for lookup tables of a distortion.

    Returns
    -------
    astropy.wcs.WCS or None
        Of two axes, in the order of the pixels; None if the header has no celestial WCS.

    Raises
    ------
    InputError
        If there is one that cannot be used; the message names keyword and value, but not the file.
    """
    try:
        with warnings.catch_warnings():
            for kind in (AstropyWarning, VerifyWarning):
                warnings.simplefilter("ignore", kind)
            axes = image_axes(header)
            key = _version(header, axes)
            if key is None:
                return None
            wcs = WCS(put_right(header, axes, key), fobj=hdus, key=key or " ", naxis=2)
            _require_use(wcs, header, axes)
            return wcs
    except WCS_ERRORS as error:
        raise InputError(f"its WCS cannot be read ({_reason(error)})") from None


def _reason(error: BaseException) -> str:
    """Return what an exception says, without the places in WCSLIB's source."""
    text = " ".join(str(error).split()) or type(error).__name__
    return re.split(r"ERROR \d+ in \w+\(\) at line \d+ of file \S+: ", text)[-1].rstrip(".")


def _version(header: fits.Header, axes: tuple[int, int]) -> str | None:
    """Return which WCS of the header is celestial ('' for the primary one), or None."""
    for key in ("", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        names = [f"CTYPE{axis}{key}" for axis in axes]
        if not any(name in header for name in names):
            continue
        types = [text_of(header, name) for name in names]
        if all(kind in NO_TYPE for kind in types):
            continue
        found = " and ".join(f"{name} is {kind!r}" for name, kind in zip(names, types, strict=True))
        heads = [kind.split("-")[0] for kind in types]
        if not any(set(heads) == set(pair) for pair in FRAMES):
            if key:
                continue
            frame = UNKNOWN_FRAMES.get(heads[0][:2])
            raise InputError(
                f"{found}{f', {frame} coordinates' if frame else ''}; expected a pair of "
                f"{', '.join(map('/'.join, FRAMES))}"
            )
        if any(kind.split("-")[-1] in UNREAD_PROJECTIONS for kind in types):
            raise InputError(f"{found}, a projection of IRAF that is not read; convert it to TPV or SIP")
        return key
    return None


def _require_use(wcs: WCS, header: fits.Header, axes: tuple[int, int]) -> None:
    """Check that a WCS gives the centre of the image a position, a scale and pixels that are about square."""
    if not wcs.has_celestial:
        types = " and ".join(f"CTYPE{axis} is {header.get(f'CTYPE{axis}')!r}" for axis in axes)
        raise InputError(f"{types}; expected such as 'RA---TAN' and 'DEC--TAN'")
    for key, angles in (("CRVAL", wcs.wcs.crval), ("LONPOLE", [wcs.wcs.lonpole])):
        angle = max(angles, key=abs)
        if abs(angle) > MAX_ANGLE:
            raise InputError(f"{key} says {angle:g} deg; expected an angle up to {MAX_ANGLE:g}")
    x, y = (np.array([(int(header.get(f"NAXIS{axis}", 1)) - 1) / 2]) for axis in axes)
    ra, dec = sky_positions(wcs, x, y)
    matrix = jacobian(wcs, x, y)
    if not (np.isfinite(ra + dec).all() and np.isfinite(matrix).all()):
        raise InputError("its WCS gives no position for the centre of the image")
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = float(directions(matrix)[0][0])
    if not SCALES[0] <= scale <= SCALES[1]:
        raise InputError(
            f"its WCS says that a pixel is {scale:.3g} arcsec wide; expected {SCALES[0]:g} to {SCALES[1]:g}"
        )
    long, short = np.linalg.svd(matrix[0], compute_uv=False)
    if long > MAX_ELONGATION * short:
        raise InputError(
            f"its WCS says that a pixel is {long:.3g} by {short:.3g} arcsec; expected pixels that are about square"
        )

"""Read the celestial coordinates of a FITS header, or say in one line why they cannot be used.

astropy and WCSLIB pass over what they do not understand: a number in quotes becomes 0, a missing scale 1 deg per pixel,
an unknown frame RA and Dec. Such headers are refused here by keyword and value. Spellings of units, systems and equinoxes
that have one meaning only are put right before astropy reads them.
"""

import re
import warnings
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyError, VerifyWarning
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.sky.coordinates import directions, jacobian
from tuningfork.sky.frames import ECLIPTIC, EQUATORIAL, FRAMES, SYSTEMS, sky_positions

NO_TYPE = ("", "LINEAR", "PIXEL")
"""Values of CTYPE that say nothing about the sky."""
UNKNOWN_FRAMES = {"HP": "helioprojective", "HG": "heliographic", "CR": "heliographic", "TL": "terrestrial"}
UNREAD_PROJECTIONS = ("TNX", "ZPX")
"""Projections of IRAF; WCSLIB writes beyond its memory with some of their coefficients (WATi_nnn)."""
UNITS = {
    "deg": ("", "DEG", "DEGREE", "DEGREES", "DEGS"),
    "arcmin": ("ARCMIN", "ARCMINS", "ARCMINUTE", "ARCMINUTES"),
    "arcsec": ("ARCSEC", "ARCSECS", "ARCSECOND", "ARCSECONDS", "ASEC"),
    "mas": ("MAS", "MARCSEC", "MILLIARCSEC", "MILLIARCSECOND", "MILLIARCSECONDS"),
    "rad": ("RAD", "RADIAN", "RADIANS"),
}
UNIT_OF = {spelling: unit for unit, spellings in UNITS.items() for spelling in spellings}
NUMBER = r"(?:CRVAL|CRPIX|CDELT|CROTA)\d{{1,2}}{0}|(?:CD|PC|PV)\d{{1,2}}_\d{{1,2}}{0}|(?:LON|LAT)POLE{0}"
ONE_AXIS = re.compile(r"(CTYPE|CUNIT|CNAME|CRVAL|CRPIX|CDELT|CROTA|CRDER|CSYER|NAXIS|PV|PS)(\d{1,3})((?:_\d+)?[A-Z]?)")
TWO_AXES = re.compile(r"(CD|PC)(?:00)?(\d{1,2})(?:_|00)(\d{1,2})([A-Z]?)")
"""Keywords with the numbers of one axis, or of two (PC001002 is an old spelling of PC1_2)."""
SIP = r"[AB]P?_(?:ORDER|\d+_\d+)"
OF_POSITIONS = re.compile(r"C(TYPE|UNIT|RVAL|RPIX|DELT|ROTA|D)\d|P[CV]\d|(LON|LAT)POLE|RADE|EQUINOX|EPOCH|[AB]P?_")
DISTORTION = re.compile(r"(CPDIS|D2IMDIS)\d")
IRRELEVANT = re.compile(r"WAT\d.*|WCSAXES[A-Z]?|DATE.*|MJD.*|OBSGEO.*|COMMENT|HISTORY|")
"""Keywords that WCSLIB reads, and that say nothing about positions."""
EQUINOX_TEXT = re.compile(r"([BJ]?)\s*(\d{4}(?:\.\d*)?)")
MAX_AXES, MAX_SIP_ORDER = 9, 20
FIRST_EQUINOX, LAST_EQUINOX = 1600.0, 2200.0
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
            wcs = WCS(_put_right(header, axes, key), fobj=hdus, key=key or " ", naxis=2)
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
        types = [_type(header, name) for name in names]
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


def _type(header: fits.Header, name: str) -> str:
    value = header.get(name, "")
    if isinstance(value, fits.card.Undefined):
        return ""
    if not isinstance(value, str):
        raise InputError(f"{name} is {value!r}; expected text, such as 'RA---TAN'")
    return value.strip().upper()


def _put_right(header: fits.Header, axes: tuple[int, int], key: str) -> fits.Header:
    """Return a copy of a header in which all that matters is as astropy expects it."""
    header = header.copy()
    for name in {name for name in header if IRRELEVANT.fullmatch(name)}:
        header.remove(name, ignore_missing=True, remove_all=True)
    _require_numbers(header, axes, key)
    _require_tables(header)
    header = _two_axes(header, axes, key)
    for axis in (1, 2):
        name, unit = f"CTYPE{axis}{key}", f"CUNIT{axis}{key}"
        header[name], header[unit] = _type(header, name), _unit(header, unit)
    pair = {str(header[f"CTYPE{axis}{key}"]).split("-")[0] for axis in (1, 2)}
    _put_right_system(header, key, pair in (set(EQUATORIAL), set(ECLIPTIC)))
    return header


def _two_axes(header: fits.Header, axes: tuple[int, int], key: str) -> fits.Header:
    """Return a header in which the axes of the image are 1 and 2, and no others are left.

    What WCSLIB does not understand about a frequency or a polarisation would cost the celestial axes theirs.
    """
    place = {str(axis): str(number) for number, axis in enumerate(axes, 1)}
    renamed: dict[str, str] = {}
    for name in sorted(set(header)):
        if match := ONE_AXIS.fullmatch(name):
            kind, first, second, rest = match[1], match[2], "", match[3]
        elif match := TWO_AXES.fullmatch(name):
            kind, first, second, rest = match.groups()
        else:
            continue
        inside = [axis in place for axis in (first, second or first)]
        if all(inside):
            renamed[name] = f"{kind}{place[first]}{f'_{place[second]}' if second else ''}{rest}"
            continue
        if any(inside) and rest == key and header[name] != 0:
            raise InputError(f"{name} is {header[name]}; expected 0, because it mixes the image with another axis")
        header.remove(name, remove_all=True)
    for name, new in renamed.items():
        if new != name:
            header.rename_keyword(name, new, force=True)
    header["NAXIS"] = 2
    return header


def _axes_of(name: str) -> tuple[int, ...]:
    """Return the numbers of the axes in a keyword."""
    if match := ONE_AXIS.fullmatch(name):
        return (int(match[2]),)
    return (int(match[2]), int(match[3])) if (match := TWO_AXES.fullmatch(name)) else ()


def _require_numbers(header: fits.Header, axes: tuple[int, int], key: str) -> None:
    """Check that all numbers of a WCS are there, are numbers, and are not contradicted by others."""
    pattern = re.compile(f"{NUMBER.format(key)}|{SIP}")
    names = {name for name in header if all(axis in axes for axis in _axes_of(name))}
    for name in sorted(name for name in names if header.count(name) > 1 and OF_POSITIONS.match(name)):
        if len({str(header[(name, number)]) for number in range(header.count(name))}) > 1:
            raise InputError(f"{name} occurs {header.count(name)} times with different values; keep one")
    for name in sorted(filter(pattern.fullmatch, names)):
        value = header[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise InputError(f"{name} is {_shown(value)}; expected a number")
        if name.endswith("_ORDER") and not (0 <= value <= MAX_SIP_ORDER and value == int(value)):
            raise InputError(f"{name} is {value}; expected a whole number up to {MAX_SIP_ORDER}")
    for axis in axes:
        for name in (f"CRVAL{axis}{key}", f"CRPIX{axis}{key}"):
            if name not in names:
                raise InputError(f"it has CTYPE{axis}{key}, but no {name}")
        if not any(re.fullmatch(rf"CDELT{axis}{key}|CD{axis}_\d+{key}|CD00{axis}00\d", name) for name in header):
            raise InputError(f"it has CTYPE{axis}{key}, but neither CDELT{axis}{key} nor CD{axis}_{axis}{key}")


def _require_tables(header: fits.Header) -> None:
    """Check that distortions are lookup tables or SIP; astropy passes over other functions."""
    for name in sorted({name for name in header if DISTORTION.fullmatch(name)}):
        if str(header[name]).strip().upper() != "LOOKUP":
            raise InputError(
                f"{name} is {_shown(header[name])}; expected 'LOOKUP', because no other distortion is read"
            )


def _shown(value: Any) -> str:
    return "empty" if value is None or isinstance(value, fits.card.Undefined) else repr(value)


def _unit(header: fits.Header, name: str) -> str:
    value = header.get(name, "")
    value = "" if isinstance(value, fits.card.Undefined) else value
    unit = UNIT_OF.get(str(value).strip().upper())
    if unit is None:
        raise InputError(f"{name} is {value!r}; expected {', '.join(UNITS)}")
    return unit


def _put_right_system(header: fits.Header, key: str, matters: bool) -> None:
    """Write RADESYS and EQUINOX as numbers and names that astropy knows, or remove them where they mean nothing."""
    given = {name: header[name] for name in (f"RADESYS{key}", "RADECSYS", f"EQUINOX{key}", "EPOCH") if name in header}
    for name in given:
        header.remove(name, remove_all=True)
    given = {name: value for name, value in given.items() if not isinstance(value, fits.card.Undefined)}
    if not matters:
        return
    system = ""
    for name in (f"RADESYS{key}", "RADECSYS"):
        system = system or str(given.get(name, "")).strip().upper()
        if system and system not in SYSTEMS:
            raise InputError(f"{name} is {given[name]!r}; expected one of {', '.join(SYSTEMS)}")
    for name in (f"EQUINOX{key}", "EPOCH") if system != "ICRS" else ():
        if name in given and str(given[name]).strip():
            letter, header[f"EQUINOX{key}"] = _equinox(name, given[name])
            system = system or {"B": "FK4", "J": "FK5"}.get(letter, "")
            break
    if system:
        header[f"RADESYS{key}"] = system


def _equinox(name: str, value: Any) -> tuple[str, float]:
    """Return the letter (B, J or none) and the year of an equinox."""
    match = EQUINOX_TEXT.fullmatch(str(value).strip().upper())
    year = float(match[2]) if match and not isinstance(value, bool) else np.nan
    if not FIRST_EQUINOX <= year <= LAST_EQUINOX:
        raise InputError(
            f"{name} is {value!r}; expected an equinox from {FIRST_EQUINOX:.0f} to {LAST_EQUINOX:.0f}, such as 2000.0"
        )
    return (match[1] if match else ""), year


def _require_use(wcs: WCS, header: fits.Header, axes: tuple[int, int]) -> None:
    """Check that a WCS gives the centre of the image a position, a scale and pixels that are about square."""
    if not wcs.has_celestial:
        types = " and ".join(f"CTYPE{axis} is {header.get(f'CTYPE{axis}')!r}" for axis in axes)
        raise InputError(f"{types}; expected such as 'RA---TAN' and 'DEC--TAN'")
    if np.abs(wcs.wcs.crval).max() > MAX_ANGLE:
        raise InputError(f"CRVAL says {max(wcs.wcs.crval, key=abs):g} deg; expected an angle up to {MAX_ANGLE:g}")
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

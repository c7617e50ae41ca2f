"""Put right the cards of a FITS header that say where its pixels lie, or name the one that cannot be used."""

import re
from typing import Any

import numpy as np
from astropy.io import fits

from tuningfork.core.errors import InputError
from tuningfork.sky.frames import ECLIPTIC, EQUATORIAL, SYSTEMS

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
MAX_SIP_ORDER = 20
FIRST_EQUINOX, LAST_EQUINOX = 1600.0, 2200.0


def text_of(header: fits.Header, name: str) -> str:
    """Return the text of a keyword in capitals; empty without it.

    Raises
    ------
    InputError
        If it is no text.
    """
    value = header.get(name, "")
    if isinstance(value, fits.card.Undefined):
        return ""
    if not isinstance(value, str):
        raise InputError(f"{name} is {value!r}; expected text, such as 'RA---TAN'")
    return value.strip().upper()


def put_right(header: fits.Header, axes: tuple[int, int], key: str) -> fits.Header:
    """Return a copy of a header in which all that matters is as astropy expects it.

    Parameters
    ----------
    header : astropy.io.fits.Header
    axes : tuple of int
        Numbers of the axes of the image, which become 1 and 2.
    key : str
        Version of the WCS: empty for the primary one, or a letter.

    Returns
    -------
    astropy.io.fits.Header

    Raises
    ------
    InputError
        If a keyword is missing, or its value cannot be used.
    """
    header = header.copy()
    for name in {name for name in header if IRRELEVANT.fullmatch(name)}:
        header.remove(name, ignore_missing=True, remove_all=True)
    _require_numbers(header, axes, key)
    _require_tables(header)
    header = _two_axes(header, axes, key)
    for axis in (1, 2):
        name, unit = f"CTYPE{axis}{key}", f"CUNIT{axis}{key}"
        header[name], header[unit] = text_of(header, name), _unit(header, unit)
    _require_one_meaning(header, key)
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


def _require_one_meaning(header: fits.Header, key: str) -> None:
    """Check that the polynomial of a TPV projection is of degrees, and its first axis the longitude.

    WCSLIB applies it before CDELT, so that its argument is in pixels, and by other rules if the latitude comes first.
    Above the fourth, or of the latitude, the coefficients of TAN are those of TPV, too.
    """
    types = [str(header[f"CTYPE{axis}{key}"]) for axis in (1, 2)]
    coefficients = [match for name in header if (match := re.fullmatch(rf"PV([12])_(\d+){key}", name))]
    scamp = any(int(match[2]) > 4 or types[int(match[1]) - 1][1:].startswith(("EC", "LAT")) for match in coefficients)
    if not (types[0].endswith("-TPV") or (types[0].endswith("-TAN") and scamp)):
        return
    if types[0][1:].startswith(("EC", "LAT")):
        raise InputError(f"CTYPE1{key} is {types[0]!r} with the polynomial of TPV; expected the longitude first")
    steps = [header.get(f"CDELT{axis}{key}", 1) for axis in (1, 2)]
    if steps != [1, 1] and not any(re.fullmatch(rf"CD\d_\d{key}", name) for name in header):
        raise InputError(f"CDELT1{key} is {steps[0]} with the polynomial of TPV; expected the matrix CD1_1 ... CD2_2")


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

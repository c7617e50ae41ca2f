"""Coordinates written as degrees, or as hours or degrees with minutes and seconds.

Without unit letters, `'hh:mm:ss'` is in hours for a right ascension and `'dd:mm:ss'` in degrees for a declination, as
everywhere in astronomy. Anything that could mean two things is refused, with the degrees that were probably meant.
"""

import re
from typing import Any, Literal

Kind = Literal["ra", "dec"]
UNITS = {"ra": "hourangle", "dec": "deg"}
"""Unit of the first number of `nn:mm:ss`."""
NAMES = {"ra": "right ascension", "dec": "declination"}
EXAMPLES = {"ra": "'0h42m44.3s' or '00:42:44.3' (hours)", "dec": "'+41d16m09s' or '+41:16:09' (degrees)"}
SECONDS = r"([0-5]?[0-9])(\.[0-9]*)?"
WITH_UNITS = re.compile(
    rf"(?P<sign>[-+]?)(?P<whole>[0-9]{{1,3}})(?P<unit>[hd])((?P<m>[0-5]?[0-9])m((?P<s>{SECONDS})s)?)?"
)
WITH_COLONS = re.compile(rf"(?P<sign>[-+]?)(?P<whole>[0-9]{{1,3}}):(?P<m>[0-5]?[0-9]):(?P<s>{SECONDS})")
PATTERNS = {
    "ra": r"^\+?[0-9]{1,3}([hd]([0-9]{1,2}m([0-9.]+s)?)?|:[0-9]{1,2}:[0-9.]+)$",
    "dec": r"^[-+]?[0-9]{1,2}(d([0-9]{1,2}m([0-9.]+s)?)?|:[0-9]{1,2}:[0-9.]+)$",
}
"""What editors let pass as text for a coordinate."""
ANY = re.compile(
    r"([-+]?)([0-9_]{1,6})\s*[:\shd°]\s*([0-9]{1,3})(?:\s*[:\sm'′]\s*([0-9]{1,3}(?:\.[0-9]*)?)?[s\"″]?)?\s*"
)
"""What may have been meant for a sexagesimal number."""


def degrees_of(value: Any, kind: Kind) -> Any:
    """Return a coordinate in degrees if it is text with hours, degrees, minutes and seconds; other values unchanged.

    Parameters
    ----------
    value
        Of the configuration.
    kind : "ra" or "dec"

    Returns
    -------
    float, or `value`

    Raises
    ------
    ValueError
        The text is no such coordinate.
    """
    if not isinstance(value, str):
        return value
    match = WITH_UNITS.fullmatch(value) or WITH_COLONS.fullmatch(value)
    if match is None or (kind == "dec" and match.groupdict().get("unit") == "h"):
        meant = probable_degrees(value, kind)
        raise ValueError(
            f"{value[:40]!r} is not allowed: expected a {NAMES[kind]} in degrees, or text such as {EXAMPLES[kind]}"
            + (f"; write {meant}" if meant else "")
        )
    unit = {"h": "hourangle", "d": "deg", None: UNITS[kind]}[match.groupdict().get("unit")]
    return _degrees(match["sign"], match["whole"], match["m"] or "0", match["s"] or "0", unit)


def probable_degrees(text: str, key: str) -> str | None:
    """Return what sexagesimal text probably means, as a number of degrees; None if it is no coordinate.

    Parameters
    ----------
    text : str
    key : str
        Name of the coordinate: of one that begins with `ra`, numbers without a unit are hours, and degrees otherwise.

    Returns
    -------
    str or None
        With a decimal point. For a right ascension that may be in hours or in degrees, both.
    """
    match = ANY.fullmatch(text.strip())
    if match is None or int(match[3]) >= 60 or float(match[4] or 0) >= 60 or "_" in match[2]:
        return None
    parts = (match[1], match[2], match[3], match[4] or "0")
    kind = "ra" if re.match(r"ra(_|$)", key) else "dec"
    if "h" in text or "d" in text or "°" in text:
        return f"{_degrees(*parts, 'hourangle' if 'h' in text else 'deg'):.8g}"
    in_degrees = f"{_degrees(*parts, 'deg'):.8g}"
    if kind == "dec":
        return in_degrees if key in COORDINATES else None
    return f"{_degrees(*parts, 'hourangle'):.8g} (if it is in hours; {in_degrees} if it is in degrees)"


COORDINATES = {"dec", "dec_min", "dec_max", "radius"}
"""Keys other than right ascensions whose values are angles in degrees."""


def _degrees(sign: str, whole: str, minutes: str, seconds: str, unit: str) -> float:
    # Imported here because astropy's coordinates are slow to import, and few configurations need them.
    from astropy.coordinates import Angle

    # In hours, astropy refuses 24 and more in its own words; the limits of the key refuse them in ours.
    return float(Angle(f"{sign}{whole}:{minutes}:{seconds}", unit="deg").deg) * (15 if unit == "hourangle" else 1)

"""Units of the columns of a list, in any spelling that is found in tables, and their conversion to ours."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import astropy.units as u

from tuningfork.core.errors import InputError

COLUMN_UNITS = {
    "ra": u.deg, "dec": u.deg, "radius": u.arcsec, "r_eff": u.arcsec, "position_angle": u.deg, "psf_fwhm": u.arcsec,
    "pixel_scale": u.arcsec, "mag": u.mag, "zero_point": u.mag, "redshift": u.one, "sersic_n": u.one, "axis_ratio": u.one,
    "bulge_to_total": u.one,
}  # fmt: skip
"""Our name, or the beginning of the name of a band's column -> our unit."""
SPELLINGS = {
    "deg": ("degree", "degrees", "deg.", "degs", "°", "d:m:s", '"d:m:s"', "dms", "decimal degrees"),
    "hourangle": ("h:m:s", '"h:m:s"', "hms", "hour angle"),
    "arcsec": ("arcsecs", "arcsecond", "arcseconds", "asec", "arcsec.", '"', "''"),
    "arcmin": ("arcmins", "arcminute", "arcminutes", "amin", "arcmin.", "'"),
    "rad": ("radian", "radians"),
    "mas": ("milliarcsec", "milliarcsecond", "milliarcseconds"),
    "mag": ("mags", "magnitude", "magnitudes", "abmag", "mag_ab", "mag (ab)", "ab mag"),
    "": ("unitless", "dimensionless", "1"),
}
"""Unit as astropy writes it -> other spellings, in small letters."""
UNKNOWN = ("", "none", "-", "--", "---", "null", "n/a", "unknown")
"""What tables write where they state no unit, in small letters."""
IN_BRACKETS = re.compile(r".*\[([^\[\]]+)\]\s*", re.DOTALL)
IN_PARENTHESES = re.compile(r".*\(([^()]+)\)\s*", re.DOTALL)
HOURS = ("h", "hr", "hrs", "hour", "hours")
"""Units of time that mean angles where they are those of a right ascension."""


WHOLE_TABLE = "\0"
"""Stands for all columns of a table where a coordinate system is stated."""
OF_J2000 = re.compile(r"2000|icrs", re.IGNORECASE)
"""In the name of a column of positions, whatever the table says of the others."""


@dataclass(frozen=True)
class Units:
    """Units of the columns of a list.

    Attributes
    ----------
    key : str
        Configuration key of `given`, for messages.
    given : mapping
        Our name -> unit, as configured; it goes before what the file states.
    stated : mapping
        Column -> unit, as the file states it.
    systems : mapping
        Column, or `WHOLE_TABLE` -> coordinate system that is not close to ICRS, as the file states it.
    """

    key: str = "sources.catalogue.units"
    given: Mapping[str, str] = field(default_factory=dict)
    stated: Mapping[str, str] = field(default_factory=dict)
    systems: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str, column: str) -> str:
        """Return the unit of a column under our name `name`; an empty text if it is unknown."""
        return self.given[name] if name in self.given else self.stated.get(column) or unit_in_name(column)

    def system_of(self, name: str, column: str) -> str:
        """Return the coordinate system of a column if it is not close to ICRS, and a configured unit does not tell."""
        if name not in ("ra", "dec") or name in self.given:
            return ""
        of_all = "" if OF_J2000.search(column) else self.systems.get(WHOLE_TABLE, "")
        return self.systems.get(column, of_all)


def unit_in_name(column: str) -> str:
    """Return the unit in brackets at the end of a column's name; in parentheses only that of an angle or a length.

    Parentheses may hold anything, such as `mag (AB)`, `mag (g)` or `ra (J2000)`.
    """
    if match := IN_BRACKETS.fullmatch(column):
        return match[1]
    match = IN_PARENTHESES.fullmatch(column)
    if match is None:
        return ""
    text = match[1].strip()
    if text.lower() in HOURS:
        return text
    try:
        unit = parse_unit(text)
    except ValueError:
        return ""
    known = text in ("'", '"', "°") or len(text) > 1
    return text if known and (unit == u.pix or unit.physical_type in ("angle", "length")) else ""


def parse_unit(text: str, name: str = "") -> u.UnitBase:
    """Return a unit.

    Parameters
    ----------
    text : str
        Unit in any format of astropy, or in one of `SPELLINGS`.
    name : str
        Our name of the column.

    Returns
    -------
    astropy.units.UnitBase

    Raises
    ------
    ValueError
        If there is no such unit.
    """
    plain = text.strip()
    if name == "ra" and plain.lower() in HOURS:
        return u.hourangle
    plain = next((unit for unit, others in SPELLINGS.items() if plain.lower() in (unit, *others)), plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)
        for style in (None, "fits", "cds"):
            try:
                return u.Unit(plain, format=style)
            except (ValueError, TypeError):
                continue
    raise ValueError(f"{text!r} is no unit")


def same_unit(first: str, second: str) -> bool:
    """Return whether two texts are the same unit."""
    try:
        return bool(parse_unit(first) == parse_unit(second))
    except ValueError:
        return first.strip() == second.strip()


def our_unit(name: str) -> u.UnitBase | None:
    """Return our unit of a column, None for a column without a known one."""
    return COLUMN_UNITS.get(name, COLUMN_UNITS.get(name.rpartition("_")[0]))


def unit_factor(name: str, column: str, units: Units, what: str) -> float:
    """Return the factor that converts the values of a column to our unit.

    Parameters
    ----------
    name : str
        Our name of the column.
    column : str
        Its name in the list.
    units : Units
        Units of the list; an unknown one counts as ours.
    what : str
        Configuration key and name of the list, for messages.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If the unit is not of the expected kind, or the column is not in ICRS.
    """
    if system := units.system_of(name, column):
        raise InputError(
            f"{what}: column {column} is in the coordinate system {system}; expected ICRS, or FK5 at J2000; convert "
            f"the positions to ICRS (in astropy: SkyCoord.icrs); if the file is wrong, {units.key}: {{{name}: deg}} "
            "says that the column is in ICRS and in degrees"
        )
    text, ours = units.of(name, column), our_unit(name)
    if text.strip().lower() in UNKNOWN or ours is None:
        return 1.0
    try:
        unit = parse_unit(text, name)
        if ours == u.mag and isinstance(unit, u.MagUnit) and unit.physical_unit in (u.AB, u.one):
            unit = u.mag
        return float(unit.to(ours))
    except (ValueError, TypeError, AttributeError, u.UnitConversionError):
        kind = ours.to_string() or "no unit"
        if name in units.given:
            raise InputError(
                f"{units.key}.{name}: {text!r} is no unit for {name}; expected {kind}, or a unit that converts to it"
            ) from None
        raise InputError(
            f"{what}: column {column} has the unit {text!r}; expected {kind}, or a unit that converts to it; "
            f"{units.key}: {{{name}: UNIT}} overrides it"
        ) from None

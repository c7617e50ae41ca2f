"""Coordinate systems of positions: ICRS, and FK5 at J2000, which is within 0.1 arcsec of it, are as they should be."""

from collections.abc import Mapping
from typing import Any

OTHER_SYSTEMS = (
    "eq_fk4", "fk4", "ecl", "gal", "super", "generic", "az", "alt", "body", "geo", "xy", "cirs", "itrs", "helio", "barycentric",
    "geocentric", "precessed", "teme", "tete", "hcrs", "gcrs", "lsr",
)  # fmt: skip
"""Beginnings of the names, in small letters, of systems whose positions are not those of ICRS."""
J2000 = 2000.0
EQUINOX, SYSTEM = "equinox", ("radesys", "radecsys", "coordsys", "coord_system")
"""Keywords of FITS and IPAC tables, in small letters."""


def other_system(name: str, equinox: str) -> str:
    """Return the name of a coordinate system that is not close to ICRS, otherwise an empty text.

    Parameters
    ----------
    name : str
        Name in a VOTable, a FITS header or astropy; empty if only the equinox is known.
    equinox : str
        Such as J2000, 1950.0 or B1950; empty if it is unknown. ICRS has none.

    Returns
    -------
    str
    """
    plain = name.strip().strip("'\"").lower()
    if plain == "icrs":
        return ""
    epoch = equinox.strip().strip("'\"").lower()
    if plain.startswith(OTHER_SYSTEMS) or (epoch not in ("", "none", "icrs") and not _is_j2000(epoch)):
        return f"{name.strip()} {equinox.strip()}".strip()
    return ""


def keyword_system(keywords: Mapping[str, Any]) -> str:
    """Return the coordinate system that keywords of a table name, an empty text if none, or one close to ICRS."""
    known = {str(key).strip().lower(): value for key, value in keywords.items()}
    name = next((str(known[key]) for key in SYSTEM if key in known and known[key] is not None), "")
    equinox = known.get(EQUINOX)
    return other_system(name, "" if equinox is None else str(equinox))


def _is_j2000(equinox: str) -> bool:
    try:
        return float(equinox.removeprefix("j")) == J2000
    except ValueError:
        return False

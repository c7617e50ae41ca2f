"""The files of Euclid's MER pipeline: their names, and the tiles that they belong to."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from tuningfork.core.errors import InputError
from tuningfork.surveys.base import IMAGE, Tile

NOISE, MASK, PSF = "noise", "mask", "psf"
FILTER_OF_BAND = {"VIS": "VIS", "Y": "NIR-Y", "J": "NIR-J", "H": "NIR-H"}
"""Band as IRSA names it -> filter in the names of files."""
TILE_NUMBER = re.compile(r"\d{9}")
PRODUCT_NAME = re.compile(
    r"EUC_MER_(?P<kind>BGSUB-MOSAIC|MOSAIC|GRID-PSF)-(?P<filter>VIS|NIR-[YJH])(?P<plane>-RMS|-FLAG)?"
    r"_TILE(?P<tile>\d{9})-(?P<version>[0-9A-F]{6}_\d{8}T\d{6}\.\d{1,6}Z_\d\d\.\d\d)\.fits"
)
"""Name of a file."""
ROLE_OF_PRODUCT = {
    ("BGSUB-MOSAIC", None): IMAGE,
    ("MOSAIC", "-RMS"): NOISE,
    ("MOSAIC", "-FLAG"): MASK,
    ("GRID-PSF", None): PSF,
}
"""Kind and plane in the name of a file -> role of the file."""


@dataclass(frozen=True)
class Product:
    """A file of a tile.

    Attributes
    ----------
    name : str
    tile : str
        Nine digits.
    band : str
    role : str
        image, noise (standard deviation), mask (bits) or psf (a grid of PSFs).
    made : str
        Time of its creation, in a form that sorts.
    """

    name: str
    tile: str
    band: str
    role: str
    made: str

    @classmethod
    def parse(cls, name: str) -> "Product | None":
        """Return the product that a file name denotes, or None if it is not one that is used here."""
        match = PRODUCT_NAME.fullmatch(name)
        role = ROLE_OF_PRODUCT.get((match["kind"], match["plane"])) if match else None
        if match is None or role is None:
            return None
        band = next(band for band, filter_name in FILTER_OF_BAND.items() if filter_name == match["filter"])
        return cls(name, match["tile"], band, role, match["version"].partition("_")[2])


def checked_url(url: str, service: str) -> str:
    """Return an address from the service's answer, after a check that it leads to a known file on the same host.

    Parameters
    ----------
    url : str
    service : str
        Address of the service; a host of IPAC may refer to another host of IPAC.

    Raises
    ------
    InputError
        If it leads elsewhere.
    """
    try:
        target, service_parts = urlsplit(url), urlsplit(service)
        same = (target.hostname, target.port) == (service_parts.hostname, service_parts.port)
        family = all(
            (part.hostname or "").endswith(".ipac.caltech.edu") and not part.port for part in (target, service_parts)
        )
        good = target.scheme in {"http", "https"} and (same or family) and "@" not in target.netloc
    except ValueError:
        good = False
    if not good or Product.parse(url.rpartition("/")[2]) is None:
        raise InputError(f"{service} names the file {url[:200]!r}: expected a MER mosaic on the same host")
    return url


def tiles_of_rows(rows: Iterable[Mapping[str, Any]], bands: Sequence[str], service: str) -> dict[str, Tile]:
    """Return the tiles that an answer of IRSA's image service describes.

    Parameters
    ----------
    rows : iterable of mapping
        Rows with access_url, s_ra, s_dec and s_region; rows about other files are skipped.
    bands : sequence of str
        Bands whose files are wanted.
    service : str
        Address of the service, see :func:`checked_url`.

    Returns
    -------
    dict
        Name -> tile. The tile's facts have `files`: band -> role -> address. If a file was made twice, the later one
        is used.

    Raises
    ------
    InputError
        If a file lies on a foreign host.
    """
    tiles: dict[str, Tile] = {}
    newest: dict[tuple[str, str, str], str] = {}
    for row in rows:
        url = str(row["access_url"])
        product = Product.parse(url.rpartition("/")[2])
        if product is None or product.band not in bands:
            continue
        if product.tile not in tiles:
            ra, dec = float(row["s_ra"]), float(row["s_dec"])
            tiles[product.tile] = Tile(product.tile, ra, dec, corners(str(row["s_region"])), facts={"files": {}})
        slot = (product.tile, product.band, product.role)
        if product.made > newest.get(slot, ""):
            newest[slot] = product.made
            tiles[product.tile].facts["files"].setdefault(product.band, {})[product.role] = checked_url(url, service)
    return dict(sorted(tiles.items()))


def corners(region: str) -> tuple[tuple[float, float], ...]:
    """Return the corners (deg) of a region in STC-S, such as `POLYGON ICRS 10 0 9 0 9 1 10 1`; none of other shapes."""
    words = region.split()
    if len(words) < 8 or words[0].upper() != "POLYGON":
        return ()
    numbers = words[2:] if words[1].isalpha() else words[1:]
    try:
        values = np.array(numbers, dtype=float)
    except ValueError:
        return ()
    if len(values) % 2 or not np.isfinite(values).all():
        return ()
    pairs = [(float(ra), float(dec)) for ra, dec in values.reshape(-1, 2)]
    closed = len(pairs) > 3 and pairs[0] == pairs[-1]
    return tuple(pairs[:-1] if closed else pairs)

"""The SDSS catalogue and the list of its fields, from SkyServer by SQL."""

import csv
import io
import re
from collections.abc import Sequence
from typing import TypeAlias
from urllib.parse import urlsplit

import numpy as np
from astroquery.sdss import SDSSClass, conf

from tuningfork.core.errors import InputError, TransferError
from tuningfork.sky.shards import Shard
from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.base import Tile
from tuningfork.surveys.sdss.archive import FieldName, corners
from tuningfork.surveys.transfer.attempts import AttemptError
from tuningfork.surveys.transfer.network import NO_LIMIT, Limit, Network

PUBLIC_LIMIT = Limit(rate=0.9, connections=2)
"""Limit of the public SkyServer: 60 queries per minute."""
ROW_LIMIT = 500_000
"""Largest number of rows that SkyServer returns."""
Row: TypeAlias = dict[str, int | float]
FIELDS_PER_QUERY = 50
"""Fields that are requested by name in one query."""
INTEGER_COLUMNS = {"total", "objid", "rerun", "run", "camcol", "field"}
COLUMN_LIMITS = {"ra": (0, 360), "dec": (-90, 90), "mag": (0, 40), "radius": (-1e4, 1e4), "psf": (-1e4, 1e4)}
"""Limits of some columns, by the first part of their names; an answer that exceeds them is damaged."""
COLUMN_NAME = re.compile(r" AS (\w\w+)")
"""The name of a column of the answer; the names of tables in a query have one letter."""
# Each row states the number of rows, so that a truncated answer is recognised.
GALAXY_QUERY = """
SELECT COUNT(*) OVER () AS total, p.objID AS objid, p.ra AS ra, p.dec AS dec, p.petroMag_{band} AS mag, p.petroR50_{band} AS radius, s.z AS redshift
FROM Galaxy AS p LEFT OUTER JOIN SpecObj AS s ON s.bestObjID = p.objID AND s.zWarning = 0
WHERE {box} AND (p.petroMag_{band} BETWEEN {mag_min} AND {mag_max})"""
# All zoom levels of a frame have the same great circle.
FIELD_QUERY = """
SELECT COUNT(*) OVER () AS total, f.rerun AS rerun, f.run AS run, f.camcol AS camcol, f.field AS field, f.ra AS ra, f.dec AS dec,
(SELECT MAX(g.node) FROM Frame AS g WHERE g.fieldID = f.fieldID) AS node,
(SELECT MAX(g.incl) FROM Frame AS g WHERE g.fieldID = f.fieldID) AS incl, {psf}
FROM Field AS f WHERE """
PRIMARY_CONDITION = "f.fieldID IN (SELECT p.fieldID FROM PhotoPrimary AS p WHERE {box})"


class SkyServer:
    """SkyServer.

    Parameters
    ----------
    url : str
        Address of the service.
    release : int
        Data release.
    bands : sequence of str
        Bands whose PSF widths become facts of the tiles.
    network : Network
    """

    def __init__(self, url: str, release: int, bands: Sequence[str], network: Network) -> None:
        self._url, self._release, self._network = url, release, network
        self._limit = PUBLIC_LIMIT if str(urlsplit(url).hostname).endswith("sdss.org") else NO_LIMIT
        self._fields = FIELD_QUERY.format(psf=", ".join(f"f.psfWidth_{band} AS psf_width_{band}" for band in bands))

    def galaxies(self, shard: Shard, band: str, mag_min: float, mag_max: float) -> dict[int, tuple[float, ...]]:
        """Return the primary galaxies around a shard.

        Parameters
        ----------
        shard : Shard
        band : str
            Band of the magnitude.
        mag_min, mag_max : float
            Limits of the Petrosian magnitude.

        Returns
        -------
        dict
            objid -> ra, dec (deg), redshift, magnitude, radius (arcsec).

        Raises
        ------
        TransferError
            If SkyServer does not answer, or answers with an error.
        """
        template = GALAXY_QUERY.format(box="{box}", band=band, mag_min=mag_min, mag_max=mag_max)
        galaxies: dict[int, tuple[float, ...]] = {}
        for row in self._rows(template, Surroundings.around(shard)):
            galaxies.setdefault(
                int(row["objid"]), tuple(row[key] for key in ("ra", "dec", "redshift", "mag", "radius"))
            )
        return galaxies

    def fields(self, shard: Shard, margin: float) -> list[Tile]:
        """Return the fields that are primary somewhere within `margin` (deg) of the shard, in order of name."""
        rows = self._rows(self._fields + PRIMARY_CONDITION, Surroundings.around(shard).enlarged(margin))
        return _tiles(rows)

    def locate(self, fields: Sequence[FieldName]) -> list[Tile]:
        """Return the fields with these names.

        Raises
        ------
        InputError
            If SkyServer does not know one of them.
        """
        tiles: dict[str, Tile] = {}
        for start in range(0, len(fields), FIELDS_PER_QUERY):
            names = fields[start : start + FIELDS_PER_QUERY]
            which = " OR ".join(
                "(" + " AND ".join(f"f.{key} = {value}" for key, value in vars(name).items()) + ")" for name in names
            )
            tiles |= {tile.name: tile for tile in _tiles(self._ask(self._fields + which))}
        for name in fields:
            if str(name) not in tiles:
                raise InputError(f"SDSS tile {name}: Data Release {self._release} has no such field")
        return [tiles[str(name)] for name in fields]

    def _rows(self, template: str, box: Surroundings) -> list[Row]:
        """Query a box, and split it if the answer is longer than SkyServer allows."""
        rows = self._ask(template.format(box=box.condition("p.ra", "p.dec")))
        if len(rows) < ROW_LIMIT:
            return rows
        return [row for half in box.halves() for row in self._rows(template, half)]

    def _ask(self, query: str) -> list[Row]:
        query = " ".join(query.split())
        columns = COLUMN_NAME.findall(query)

        def once() -> list[Row]:
            service = SDSSClass()
            service._session = self._network.session()
            with conf.set_temp("skyserver_baseurl", self._url):
                # With a timeout of None, the request has that of the session.
                response = service.query_sql_async(query, timeout=None, data_release=self._release, cache=False)
            return _parse(response.text, columns)

        try:
            return self._network.ask(once, self._url, self._limit)
        except TransferError as error:
            raise TransferError(
                f"SkyServer: {error}; check survey.sdss.skyserver_url and the network, then run again"
            ) from None


def _tiles(rows: list[Row]) -> list[Tile]:
    tiles = {}
    for row in rows:
        name = str(FieldName(*(int(row[key]) for key in ("rerun", "run", "camcol", "field"))))
        geometry = [float(row[key]) for key in ("ra", "dec", "node", "incl")]
        facts = {key: value for key, value in row.items() if key.startswith("psf_width_") and np.isfinite(value)}
        tiles[name] = Tile(name, geometry[0], geometry[1], corners(*geometry), facts=facts)
    return [tiles[name] for name in sorted(tiles)]


def _parse(text: str, columns: list[str]) -> list[Row]:
    """Return the rows of SkyServer's answer, which reports errors in the text, with status 200."""
    if "error_message" in text:
        message = " ".join(text.split("error_message", 1)[1].split())[:300]
        raise AttemptError(f"the query failed: {message}", final=True)
    reader = csv.DictReader(io.StringIO(text.partition("\n")[2] if text.startswith("#") else text), strict=True)
    try:
        if reader.fieldnames != columns:
            raise AttemptError(f"expected a table in CSV, received {' '.join(text[:80].split())!r}")
        rows = [{key: _number(key, text) for key, text in row.items()} for row in reader]
    except (AttributeError, ValueError, csv.Error) as error:
        raise AttemptError(f"the table is damaged ({error})") from None
    if rows and len(rows) < min(rows[0]["total"], ROW_LIMIT):
        raise AttemptError(f"{len(rows)} of {rows[0]['total']} rows were received")
    return rows


def _number(key: str, text: str) -> int | float:
    if key in INTEGER_COLUMNS:
        return int(text)
    if text.strip().lower() in {"", "null"}:
        return float("nan")
    value = float(text)
    low, high = COLUMN_LIMITS.get(key.split("_")[0], (-np.inf, np.inf))
    if not low <= value <= high:
        raise ValueError(f"{key} {text}")
    return value

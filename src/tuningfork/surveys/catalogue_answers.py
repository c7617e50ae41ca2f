"""Conversion of catalogue services' answers into the table of the stage sources, and into the PSF width of a tile."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.table import Table

from tuningfork.core.columns.table import shard_table
from tuningfork.core.errors import TransferError
from tuningfork.sky.coordinates import wrapped
from tuningfork.sky.shards import Shard
from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.base import FetchedTile, Tile
from tuningfork.surveys.tap import ask_tap
from tuningfork.surveys.transfer.network import Limit, Network

logger = logging.getLogger(__name__)

PSF = "psf"
"""Role of the file of :func:`keep_widths`."""


def sources_of(answer: Table, shard: Shard) -> pa.Table:
    """Return the sources of a shard, each once, in order of source_id.

    Parameters
    ----------
    answer : astropy.table.Table
        Columns source_id, ra, dec (deg), mag and radius (arcsec), and optionally flags, with rows in any order. Of rows
        with the same source_id, the brightest is kept. A magnitude or radius that is not a positive number is unknown.
    shard : Shard

    Returns
    -------
    pyarrow.Table
        Table of the stage `sources`.
    """
    ids = np.asarray(answer["source_id"], dtype=np.int64)
    ra, dec = (floats(answer, name) for name in ("ra", "dec"))
    kept = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    kept = kept[shard.contains(ra[kept], dec[kept])]
    kept = kept[np.lexsort((ra[kept], floats(answer, "mag")[kept], ids[kept]))]
    _, first = np.unique(ids[kept], return_index=True)
    kept = kept[first]
    known = {name: floats(answer, name)[kept] for name in ("mag", "radius")}
    flags = answer["flags"][kept] if "flags" in answer.colnames else np.zeros(len(kept))
    values = {
        "source_id": ids[kept],
        "flags": np.asarray(flags, dtype=np.int64),
        "ra": wrapped(ra[kept]),
        "dec": dec[kept],
        "survey_mag": np.where(known["mag"] > 0, known["mag"], np.nan),
        "survey_radius": np.where(known["radius"] > 0, known["radius"], np.nan),
    }
    return shard_table("sources", values)


def floats(table: Table, name: str) -> np.ndarray:
    """Return a column of an answer as floats.

    Parameters
    ----------
    table : astropy.table.Table
        Answer of N rows.
    name : str
        Column.

    Returns
    -------
    ndarray of float64
        Shape (N,); NaN for null.
    """
    return np.ma.filled(np.ma.asarray(table[name]).astype(float), np.nan)


def box_of(tile: Tile) -> Surroundings:
    """Return a box that contains a tile, whose corners must be known."""
    ra, dec = np.array(tile.corners).T
    half = float(np.abs((ra - tile.ra + 180) % 360 - 180).max())
    polar = np.abs(dec).max() > 89 or half > 90
    return Surroundings(tile.ra, 180.0 if polar else half, float(dec.min()), float(dec.max()) if not polar else 90.0)


def keep_widths(network: Network, name: str, url: str, query: str, bands: Sequence[str], limit: Limit) -> str | None:
    """Save the PSF width of a tile, as the stars of the survey's catalogue give it, as a file in the cache.

    Parameters
    ----------
    network : Network
    name : str
        Name of the file in the cache.
    url : str
        Address of the TAP service.
    query : str
        ADQL whose answer has one row, with the width (any unit) in each band as width_<band>.
    bands : sequence of str
    limit : Limit
        What the service allows.

    Returns
    -------
    str or None
        `name`; None if the service gave no answer, and the survey's median width must be used.

    Raises
    ------
    TransferError
        If offline and the file is not in the cache: the result of a job must not depend on whether it had a network.
    """

    def write(path: Path) -> None:
        answer = ask_tap(network, url, query, limit)
        widths = {band: float(floats(answer, f"width_{band}")[0]) for band in bands} if len(answer) else {}
        path.write_text(json.dumps({band: width for band, width in widths.items() if np.isfinite(width)}))

    try:
        return network.make(name, write)
    except TransferError as error:
        if network.settings.offline:
            raise
        logger.warning("%s: using the PSF width in the survey's description (%s)", name, error)
        return None


def with_widths(fetched: FetchedTile, bands: Sequence[str], widths: Callable[[Tile], str | None]) -> FetchedTile:
    """Add the file of PSF widths to a fetched tile, if the tile has any image.

    Parameters
    ----------
    fetched : FetchedTile
    bands : sequence of str
        All bands; they become missing if the widths are required and cannot be fetched.
    widths : callable
        Tile -> name of the file of widths in the cache, or None; see :func:`keep_widths`.

    Returns
    -------
    FetchedTile
    """
    if not fetched.files:
        return fetched
    try:
        name = widths(fetched.tile)
    except TransferError as error:
        return FetchedTile(fetched.tile, {}, dict.fromkeys(bands, str(error)))
    added = {PSF: name} if name else {}
    return replace(fetched, files={band: roles | added for band, roles in fetched.files.items()})


def kept_width(path: Path, band: str, limits: tuple[float, float]) -> float | None:
    """Return the width that :func:`keep_widths` saved for a band.

    Parameters
    ----------
    path : Path
        File of widths.
    band : str
    limits : tuple of float
        Smallest and largest plausible width, in the unit of the file.

    Returns
    -------
    float or None
        None if there is no width, or it is not plausible.
    """
    try:
        width = float(json.loads(path.read_text())[band])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return width if limits[0] <= width <= limits[1] else None

"""From a catalogue service's answer to the table of the stage sources, and to the PSF's width of a tile."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.table import Table

from tuningfork.core.errors import TransferError
from tuningfork.core.tables import shard_table
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
        Columns source_id, ra, dec (deg), mag and radius (arcsec), and perhaps flags, in any order of rows. Of rows
        with the same source_id the brightest counts. A magnitude or radius that is no positive number is not known.
    shard : Shard

    Returns
    -------
    pyarrow.Table
        Of the stage `sources`.
    """
    ids = np.asarray(answer["source_id"], dtype=np.int64)
    ra, dec = (floats(answer, name) for name in ("ra", "dec"))
    here = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    here = here[shard.contains(ra[here] % 360, dec[here])]
    here = here[np.lexsort((ra[here], floats(answer, "mag")[here], ids[here]))]
    _, first = np.unique(ids[here], return_index=True)
    here = here[first]
    known = {name: floats(answer, name)[here] for name in ("mag", "radius")}
    flags = answer["flags"][here] if "flags" in answer.colnames else np.zeros(len(here))
    values = {
        "source_id": ids[here],
        "flags": np.asarray(flags, dtype=np.int64),
        "ra": ra[here] % 360,
        "dec": dec[here],
        "survey_mag": np.where(known["mag"] > 0, known["mag"], np.nan),
        "survey_radius": np.where(known["radius"] > 0, known["radius"], np.nan),
    }
    return shard_table("sources", values)


def floats(table: Table, name: str) -> np.ndarray:
    """Return a column of an answer as float64, NaN for null."""
    return np.ma.filled(np.ma.asarray(table[name]).astype(float), np.nan)


def box_of(tile: Tile) -> Surroundings:
    """Return a box that holds a tile, whose corners must be known."""
    ra, dec = np.array(tile.corners).T
    half = float(np.abs((ra - tile.ra + 180) % 360 - 180).max())
    polar = np.abs(dec).max() > 89 or half > 90
    return Surroundings(tile.ra, 180.0 if polar else half, float(dec.min()), float(dec.max()) if not polar else 90.0)


def keep_widths(network: Network, name: str, url: str, query: str, bands: Sequence[str], limit: Limit) -> str | None:
    """Have the PSF's width in a tile, which the survey's catalogue knows from its stars, in the cache.

    Parameters
    ----------
    network : Network
    name : str
        Name of the file in the cache.
    url : str
        The TAP service.
    query : str
        ADQL whose answer has one row, with the width (any unit) in each band as width_<band>.
    bands : sequence of str
    limit : Limit

    Returns
    -------
    str or None
        `name`; None if the service gave no answer, and the survey's median has to do.

    Raises
    ------
    TransferError
        Offline, and the file is not in the cache: what a job does must not depend on whether the network was used.
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
        logger.warning("%s: the PSF's width is taken from the description of the survey (%s)", name, error)
        return None


def with_widths(fetched: FetchedTile, bands: Sequence[str], widths: Callable[[Tile], str | None]) -> FetchedTile:
    """Return a fetched tile with the file of its PSF's widths, where it has any image.

    Parameters
    ----------
    fetched : FetchedTile
    bands : sequence of str
        All bands, which are missing if the widths cannot be had although they must.
    widths : callable
        Has the file in the cache, see :func:`keep_widths`.
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
    """Return what :func:`keep_widths` has written for a band, if it lies between `limits`."""
    try:
        width = float(json.loads(path.read_text())[band])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return width if limits[0] <= width <= limits[1] else None

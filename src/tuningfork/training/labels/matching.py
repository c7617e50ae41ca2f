"""Which source each row of a table of measurements or votes belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from tuningfork.core.tables import read_table
from tuningfork.sky.coordinates import ARCSEC, unit_vectors
from tuningfork.sky.shards import valid_position
from tuningfork.surveys.lists.labels.placed import Placed

SOURCE_COLUMNS = ("source_id", "name", "ra", "dec")


@dataclass
class Matches:
    """The source of each row of a table, or why the row is not used; all arrays are (N,).

    Attributes
    ----------
    reason : ndarray of object
        Why the row is not used; empty if it is.
    source : ndarray of int
        Index of the source in the list of all sources; -1 without one.
    separation : ndarray
        Distance of the nearest source (arcsec); NaN where none was searched for.
    """

    reason: np.ndarray
    source: np.ndarray
    separation: np.ndarray

    @property
    def used(self) -> np.ndarray:
        """Return the rows that are used, in order of their sources."""
        rows = np.flatnonzero(self.reason == "")
        return rows[np.argsort(self.source[rows])]


def list_sources(sources: Sequence[Path]) -> pd.DataFrame:
    """Return the sources of some shards, joined.

    Parameters
    ----------
    sources : sequence of Path
        Their tables.

    Returns
    -------
    DataFrame
        `source_id`, `name`, `ra`, `dec` (deg) and `shard`.
    """
    tables = [read_table(path, SOURCE_COLUMNS).to_pandas().assign(shard=Path(path).stem) for path in sources]
    return pd.concat(tables, ignore_index=True)


def match(measured: Placed, listed: pd.DataFrame, radius: float) -> Matches:
    """Find the source of every usable row. Of several rows of one source, the nearest and then the first is used.

    Parameters
    ----------
    measured : Placed
    listed : DataFrame
        From :func:`list_sources`.
    radius : float
        Largest distance between a row and its source (arcsec).

    Returns
    -------
    Matches
    """
    number = len(measured.rows)
    matches = Matches(measured.fault.copy(), np.full(number, -1), np.full(number, np.nan))
    usable = np.flatnonzero(matches.reason == "")
    if measured.by_position:
        _by_position(measured.rows.iloc[usable], listed, usable, matches)
        far = usable[~(matches.separation[usable] <= radius)]
        matches.reason[far] = f"no source within {radius:g} arcsec"
    else:
        _by_identifier(measured.rows.iloc[usable], listed, usable, matches)
        matches.reason[usable[matches.source[usable] < 0]] = "no source with this source_id"
    matches.source[matches.reason != ""] = -1
    nearest = np.lexsort((np.arange(number), np.nan_to_num(matches.separation)))
    nearest = nearest[matches.source[nearest] >= 0]
    again = nearest[pd.Series(matches.source[nearest]).duplicated().to_numpy()]
    matches.reason[again] = "another row is about the same source"
    return matches


def _by_position(rows: pd.DataFrame, listed: pd.DataFrame, usable: np.ndarray, matches: Matches) -> None:
    ra, dec = (listed[name].to_numpy(dtype=float) for name in ("ra", "dec"))
    known = np.flatnonzero(valid_position(ra, dec))
    if len(known) and len(usable):
        tree = cKDTree(unit_vectors(ra[known], dec[known]))
        chord, nearest = tree.query(unit_vectors(rows["ra"].to_numpy(), rows["dec"].to_numpy()))
        matches.source[usable] = known[nearest]
        matches.separation[usable] = np.rad2deg(2 * np.arcsin(np.minimum(chord / 2, 1))) * ARCSEC


def _by_identifier(rows: pd.DataFrame, listed: pd.DataFrame, usable: np.ndarray, matches: Matches) -> None:
    # Identifiers that are not integers are names of sources.
    names = enumerate(listed["name"])
    places = {str(name): place for place, name in names if name is not None}
    places |= {str(value): place for place, value in enumerate(listed["source_id"])}
    matches.source[usable] = [places.get(text, -1) for text in rows["source_id"]]

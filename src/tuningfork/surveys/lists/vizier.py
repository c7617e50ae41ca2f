"""Catalogues of VizieR (Ochsenbein et al. 2000), queried through its TAP service."""

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from astropy.table import Table

from tuningfork.core.config.sources import VizierCatalogue
from tuningfork.core.errors import InputError
from tuningfork.sky.shards import Shard
from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.lists.columns import COLUMN_ALIASES, NUMBER_COLUMNS, numbers
from tuningfork.surveys.lists.formats.base import frame_of
from tuningfork.surveys.lists.missing import MARKED
from tuningfork.surveys.lists.sources.rows import identified
from tuningfork.surveys.lists.units import Units
from tuningfork.surveys.tap import ask_around
from tuningfork.surveys.transfer.network import Limit, Network

POSITION_COLUMNS = {"ra": "RAJ2000", "dec": "DEJ2000"}
"""Columns in which most tables of VizieR have the position (deg)."""
VIZIER_LIMIT = Limit(rate=5, connections=4)
"""Our own limit: VizieR publishes none, and has served this rate without trouble."""


def of_vizier(catalogue: VizierCatalogue, shard: Shard, network: Network) -> pa.Table:
    """Return the rows of a shard.

    Parameters
    ----------
    catalogue : VizierCatalogue
        Table and columns.
    shard : Shard
    network : Network

    Returns
    -------
    pyarrow.Table
        Table of the stage `sources`.

    Raises
    ------
    InputError
        If a column is not what the configuration says.
    TransferError
        If VizieR does not answer, or has no such table or column.
    """
    mapping = POSITION_COLUMNS | catalogue.columns
    names = [name for name in COLUMN_ALIASES if name in mapping and name != "file"]
    columns = list(dict.fromkeys(mapping[name] for name in names))
    wanted = ", ".join(map(quoted, columns))

    def query(box: Surroundings) -> str:
        condition = box.condition(quoted(mapping["ra"]), quoted(mapping["dec"]))
        return f"SELECT {wanted} FROM {quoted(catalogue.table)} WHERE {condition}"

    table = ask_around(network, catalogue.tap_url, query, Surroundings.around(shard), VIZIER_LIMIT)
    what = f"sources.catalogue.table: {catalogue.table} of VizieR"
    if len(table.colnames) != len(columns):
        raise InputError(f"{what}: expected {len(columns)} columns, received {len(table.colnames)}")
    frame = _frame(table, {name: columns.index(mapping[name]) for name in names}, catalogue.units, what)
    return identified(frame[shard.contains(frame["ra"].to_numpy(), frame["dec"].to_numpy())])


def quoted(name: str) -> str:
    """Return a name as a delimited identifier of ADQL, which may contain any character."""
    return '"' + name.replace('"', '""') + '"'


def _frame(table: Table, places: Mapping[str, int], given: Mapping[str, str], what: str) -> pd.DataFrame:
    """Return columns of a table, given by their numbers, under our names and in our units."""
    values = frame_of(table)
    stated = {name: str(table[name].unit) for name in table.colnames if table[name].unit is not None}
    units = Units(given=given, stated=stated)
    frame = pd.DataFrame(index=values.index)
    for name, number in places.items():
        column = table.colnames[number]
        if name in NUMBER_COLUMNS:
            frame[name], marked = numbers(values[column], name, column, units, what)
            if marked.any():
                frame[f"{MARKED}{name}"] = marked
        else:
            frame[name] = values[column]
    return frame

"""Volunteer votes, from a file or from VizieR."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.config.votes import Votes
from tuningfork.core.decision_tree import vote_columns
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.sky.shards import Shard
from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.lists.columns import choose_columns, numbers
from tuningfork.surveys.lists.files import open_table
from tuningfork.surveys.lists.formats.base import TableFile, frame_of
from tuningfork.surveys.lists.labels import placed
from tuningfork.surveys.lists.labels.placed import Placed
from tuningfork.surveys.lists.labels.trees.tree import Tree, read_tree
from tuningfork.surveys.lists.units import Units
from tuningfork.surveys.lists.vizier import POSITION_COLUMNS, VIZIER_LIMIT, quoted
from tuningfork.surveys.tap import ask_around
from tuningfork.surveys.transfer.network import Network

VOTES_KEY = "train.morphology.votes"
"""Configuration key of the settings of votes."""
MAX_VOTE_ROWS = 1_000_000
"""Largest number of rows of a table: its votes are held in memory."""


def read_votes(settings: Votes, shards: Sequence[Shard], transfer: Transfer) -> Placed:
    """Read a table of volunteer votes.

    Parameters
    ----------
    settings : Votes
        Settings that name a file or a table of VizieR.
    shards : sequence of Shard
        Shards about which VizieR is queried; a file is read whole.
    transfer : Transfer

    Returns
    -------
    Placed
        Rows with the columns of votes of the training set.

    Raises
    ------
    InputError
        If the table cannot be used.
    TransferError
        If VizieR does not answer, or has no such table.
    """
    if settings.vizier is not None:
        return _of_vizier(settings, shards, Network(transfer))
    what = f"{VOTES_KEY}.table: {settings.table}"
    file = _open(settings, what)
    columns, votes = check_votes(settings, file.columns, what)
    texts = [column for name, column in columns.items() if name == "source_id"]
    whole = placed.whole_table(file, [*columns.values(), *votes.values()], texts, what, MAX_VOTE_ROWS)
    return _voted(settings, whole, columns, votes, _units(settings, file), what)


def check_votes(settings: Votes, available: Sequence[str], what: str) -> tuple[dict[str, str], dict[str, str]]:
    """Check that a table has positions or identifiers, and votes on at least one of our questions.

    Parameters
    ----------
    settings : Votes
    available : sequence of str
        Columns of the table.
    what : str
        Configuration key and name of the table, for messages.

    Returns
    -------
    columns : dict
        Our name of a position or identifier -> column.
    votes : dict
        Plain name of a vote -> column.

    Raises
    ------
    InputError
        If the table lacks one of them.
    """
    tree = read_tree(settings.tree)
    columns = choose_columns(available, settings.columns, what, placed.PLACE_ALIASES, f"{VOTES_KEY}.columns")
    placed.require_place(columns, available, what, VOTES_KEY)
    votes = tree.columns_in(available)
    if tree.votes({name: np.zeros(1) for name in votes}) is None:
        raise InputError(
            f"{what}: its columns answer no question of the tree {settings.tree} ({tree.title}), whose columns have "
            f"names such as {tree.example()}; it has {', '.join(available)[:500]}; {VOTES_KEY}.tree can name a file that "
            "describes its columns"
        )
    return columns, votes


def shards_with_votes(settings: Votes, footprint: Sequence[Shard]) -> list[Shard]:
    """Return the shards whose sources are matched to votes: the configured ones, or those of the footprint.

    Raises
    ------
    ConfigurationError
        If a configured name is not that of a shard, or the table cannot be used or has no row in the footprint.
    """
    try:
        return _shards(settings, footprint)
    except InputError as error:
        raise ConfigurationError(str(error)) from None


def _open(settings: Votes, what: str) -> TableFile:
    tree = read_tree(settings.tree)

    def suits(available: Sequence[str]) -> bool:
        return bool(tree.columns_in(available))

    return open_table(Path(str(settings.table)), what, settings.extension, suits, VOTES_KEY)


def _units(settings: Votes, file: TableFile) -> Units:
    return Units(f"{VOTES_KEY}.units", settings.units, file.units, file.systems)


def _shards(settings: Votes, footprint: Sequence[Shard]) -> list[Shard]:
    if not settings.wanted:
        return []
    shards = list(footprint)
    if settings.table is not None:
        what = f"{VOTES_KEY}.table: {settings.table}"
        file = _open(settings, what)
        columns, _ = check_votes(settings, file.columns, what)
        if {"ra", "dec"} <= set(columns) and not settings.shards and shards:
            whole = placed.whole_table(file, [columns["ra"], columns["dec"]], [], what, MAX_VOTE_ROWS)
            rows = pd.DataFrame(placed.numbers_of(whole, ("ra", "dec"), columns, _units(settings, file), what))
            fault = np.where(placed.misplaced(rows, True)[0], "no valid position", "").astype(object)
            shards_of_table = Placed(what, rows, fault, True).shards(shards[0].order) or []
            shards = sorted(set(shards) & set(shards_of_table))
            if not shards:
                raise InputError(
                    f"{what}: none of its {len(rows)} rows lies in the {len(footprint)} shards of the footprint; name "
                    f"shards in {VOTES_KEY}.shards, or change sky.footprint"
                )
    if settings.shards:
        try:
            return [Shard.parse(name) for name in settings.shards]
        except InputError as error:
            raise InputError(f"{VOTES_KEY}.shards: {error}") from None
    step = max(1, -(-len(shards) // settings.max_shards))
    return shards[::step]


def _of_vizier(settings: Votes, shards: Sequence[Shard], network: Network) -> Placed:
    """Query all columns, because only the answer shows how VizieR spells their names."""
    what = f"{VOTES_KEY}.vizier: {settings.vizier}"
    ra, dec = (settings.columns.get(name, POSITION_COLUMNS[name]) for name in ("ra", "dec"))
    frames, units = [], dict[str, str]()
    for shard in shards:

        def query(box: Surroundings) -> str:
            return f"SELECT * FROM {quoted(str(settings.vizier))} WHERE {box.condition(quoted(ra), quoted(dec))}"

        table = ask_around(network, settings.tap_url, query, Surroundings.around(shard), VIZIER_LIMIT)
        units |= {name: str(table[name].unit) for name in table.colnames if table[name].unit is not None}
        frames.append(frame_of(table))
    whole = pd.concat(frames, ignore_index=True).drop_duplicates(ignore_index=True)
    columns, votes = check_votes(settings, list(whole.columns), what)
    return _voted(settings, whole, columns, votes, Units(f"{VOTES_KEY}.units", settings.units, units), what)


def _voted(
    settings: Votes,
    whole: pd.DataFrame,
    columns: Mapping[str, str],
    votes: Mapping[str, str],
    units: Units,
    what: str,
) -> Placed:
    tree: Tree = read_tree(settings.tree)
    rows = pd.DataFrame(placed.numbers_of(whole, ("ra", "dec"), columns, units, what))
    rows["source_id"] = placed.identifiers_of(whole, columns, what)
    counts = tree.votes({name: numbers(whole[column], "", column, Units(), what)[0] for name, column in votes.items()})
    rows[vote_columns()] = counts
    fault = np.full(len(rows), "", dtype=object)
    fault[rows[vote_columns()].sum(axis=1) <= 0] = "no votes"
    by_position = {"ra", "dec"} <= set(columns)
    unplaced, reason = placed.misplaced(rows, by_position)
    fault[unplaced] = reason
    placed.require_usable(fault, what)
    return Placed(what, rows, fault, by_position)

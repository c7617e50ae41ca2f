"""Votes of people, from a file or from VizieR."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.table import Table

from tuningfork.core.columns import vote_columns
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.config.votes import Votes
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.sky.shards import Shard
from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.lists.columns import as_numbers, choose_columns
from tuningfork.surveys.lists.files import open_table
from tuningfork.surveys.lists.labels import placed
from tuningfork.surveys.lists.labels.placed import Placed
from tuningfork.surveys.lists.labels.trees.tree import Tree, read_tree
from tuningfork.surveys.lists.vizier import POSITION_COLUMNS, VIZIER_LIMIT, quoted
from tuningfork.surveys.tap import ask_around
from tuningfork.surveys.transfer.network import Network

VOTES_KEY = "train.morphology.votes"
MAX_VOTE_ROWS = 1_000_000
"""Rows that a table may have: its votes are held in memory."""


def read_votes(settings: Votes, shards: Sequence[Shard], transfer: Transfer) -> Placed:
    """Return the votes of a table; its rows hold the columns of votes of the training set.

    Parameters
    ----------
    settings : Votes
        With a table, or one of VizieR.
    shards : sequence of Shard
        About which VizieR is asked; a file is read whole.
    transfer : Transfer

    Raises
    ------
    InputError
        The table cannot be used.
    TransferError
        VizieR does not answer, or has no such table.
    """
    if settings.vizier is not None:
        return _of_vizier(settings, shards, Network(transfer))
    what = f"{VOTES_KEY}.table: {settings.table}"
    file = open_table(Path(str(settings.table)), what)
    columns, votes = check_votes(settings, file.columns, what)
    texts = [column for name, column in columns.items() if name == "source_id"]
    whole = placed.whole_table(file, [*columns.values(), *votes.values()], texts, what, MAX_VOTE_ROWS)
    return _voted(settings, whole, columns, votes, file.units, what)


def check_votes(settings: Votes, available: Sequence[str], what: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return which columns hold place and identifier, and which the votes (plain name -> column).

    Raises
    ------
    InputError
        There is no place, or no question of ours can be read.
    """
    tree = read_tree(settings.tree)
    columns = choose_columns(available, settings.columns, what, placed.PLACE_ALIASES, f"{VOTES_KEY}.columns")
    placed.require_place(columns, available, what, VOTES_KEY)
    votes = tree.columns_in(available)
    if tree.votes({name: np.zeros(1) for name in votes}) is None:
        raise InputError(
            f"{what}: its columns answer no question of the tree {settings.tree} ({tree.title}), whose columns are "
            f"called like {tree.example()}; it has {', '.join(available)[:500]}; {VOTES_KEY}.tree can name a file that says "
            "how they are called"
        )
    return columns, votes


def shards_with_votes(settings: Votes, footprint: Sequence[Shard]) -> list[Shard]:
    """Return the shards whose sources are looked up: those that the configuration names, or those of the footprint.

    Raises
    ------
    ConfigurationError
        A name is none of a shard, the table cannot be used, or has no row in the footprint.
    """
    try:
        return _shards(settings, footprint)
    except InputError as error:
        raise ConfigurationError(str(error)) from None


def _shards(settings: Votes, footprint: Sequence[Shard]) -> list[Shard]:
    if not settings.wanted:
        return []
    found = list(footprint)
    if settings.table is not None:
        what = f"{VOTES_KEY}.table: {settings.table}"
        file = open_table(Path(settings.table), what)
        columns, _ = check_votes(settings, file.columns, what)
        if {"ra", "dec"} <= set(columns) and not settings.shards and found:
            whole = placed.whole_table(file, [columns["ra"], columns["dec"]], [], what, MAX_VOTE_ROWS)
            rows = pd.DataFrame(placed.numbers_of(whole, ("ra", "dec"), columns, file.units, what))
            fault = np.where(placed.misplaced(rows, True)[0], "no possible position", "").astype(object)
            theirs = Placed(what, rows, fault, True).shards(found[0].order) or []
            found = sorted(set(found) & set(theirs))
            if not found:
                raise InputError(
                    f"{what}: none of its {len(rows)} rows lies in the {len(footprint)} shards of the footprint; name "
                    f"shards in {VOTES_KEY}.shards, or change sky.footprint"
                )
    if settings.shards:
        return [Shard.parse(name) for name in settings.shards]
    step = max(1, -(-len(found) // settings.max_shards))
    return found[::step]


def _of_vizier(settings: Votes, shards: Sequence[Shard], network: Network) -> Placed:
    """Ask for all columns: how VizieR writes their names is known from the answer alone."""
    what = f"{VOTES_KEY}.vizier: {settings.vizier}"
    ra, dec = (settings.columns.get(name, POSITION_COLUMNS[name]) for name in ("ra", "dec"))
    frames, units = [], dict[str, str]()
    for shard in shards:

        def query(box: Surroundings) -> str:
            return f"SELECT * FROM {quoted(str(settings.vizier))} WHERE {box.condition(quoted(ra), quoted(dec))}"

        table = ask_around(network, settings.tap_url, query, Surroundings.around(shard), VIZIER_LIMIT)
        units |= {name: str(table[name].unit) for name in table.colnames if table[name].unit is not None}
        frames.append(_frame(table))
    whole = pd.concat(frames, ignore_index=True).drop_duplicates(ignore_index=True)
    columns, votes = check_votes(settings, list(whole.columns), what)
    return _voted(settings, whole, columns, votes, units, what)


def _frame(table: Table) -> pd.DataFrame:
    plain = table[[name for name in table.colnames if table[name].ndim == 1]]
    plain.convert_bytestring_to_unicode()
    return plain.to_pandas()


def _voted(
    settings: Votes,
    whole: pd.DataFrame,
    columns: Mapping[str, str],
    votes: Mapping[str, str],
    units: Mapping[str, str],
    what: str,
) -> Placed:
    tree: Tree = read_tree(settings.tree)
    rows = pd.DataFrame(placed.numbers_of(whole, ("ra", "dec"), columns, units, what))
    rows["source_id"] = placed.identifiers_of(whole, columns)
    counts = tree.votes({name: as_numbers(whole[column]) for name, column in votes.items()})
    rows[vote_columns()] = counts
    fault = np.full(len(rows), "", dtype=object)
    fault[rows[vote_columns()].sum(axis=1) <= 0] = "no votes in it"
    by_position = {"ra", "dec"} <= set(columns)
    nowhere, reason = placed.misplaced(rows, by_position)
    fault[nowhere] = reason
    placed.require_usable(fault, what)
    return Placed(what, rows, fault, by_position)

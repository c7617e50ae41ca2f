"""Accounts for every source: what came in, what went out, what was measured, and why the rest was not."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tuningfork.core.errors import InputError
from tuningfork.core.flags import Flag, count

MEASURED_COLUMNS = {"classified": "morphology", "with_structure": "mag", "with_bar": "bar_length"}
"""What is counted -> the column that is not null where it was measured. Of stars and artifacts nothing is counted."""


@dataclass
class Account:
    """The account of one shard, or of several together.

    Attributes
    ----------
    sources_in, rows_out : int
        Rows of the sources table, rows of the catalogue.
    measured : Counter
        `classified` (galaxies with a class), `with_structure`, `with_bar` -> rows.
    classes : Counter
        Most likely class -> rows.
    flags : Counter
        Name of a flag -> rows that have it.
    tiles : Counter
        `ok`, `missing` -> tiles and bands.
    reasons : Counter
        Why a tile or band is missing -> how many.
    missing_values : Counter
        Column -> values that are null because the list of sources has a number that stands for that, such as -99.
    """

    sources_in: int = 0
    rows_out: int = 0
    measured: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    tiles: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    missing_values: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """Return the account as JSON values."""
        return {
            "sources_in": self.sources_in,
            "rows_out": self.rows_out,
            "measured": {name: self.measured[name] for name in MEASURED_COLUMNS},
            "classes": dict(sorted(self.classes.items())),
            "flags": dict(self.flags),
            "missing_values": dict(sorted(self.missing_values.items())),
            "tiles": {
                "ok": self.tiles["ok"],
                "missing": self.tiles["missing"],
                "reasons": dict(self.reasons.most_common()),
            },
        }


def of_shard(
    sources_in: int, rows: pa.Table, manifest: pa.Table, missing_values: Mapping[str, int] | None = None
) -> Account:
    """Return the account of one shard.

    Parameters
    ----------
    sources_in : int
        Rows of the shard's sources table.
    rows : pyarrow.Table
        The shard's rows of the catalogue.
    manifest : pyarrow.Table
        The shard's tiles; a band of a tile has one row per file, and counts once.
    missing_values : mapping, optional
        Column -> numbers in the list of sources that stand for missing values.

    Returns
    -------
    Account
    """
    galaxies = rows.filter(pa.array(rows["flags"].to_numpy() & Flag.STAR_OR_ARTIFACT == 0))
    bands = set(zip(*(manifest[name].to_pylist() for name in ("tile", "band", "status")), strict=True))
    status = Counter(status for _, _, status in bands)
    return Account(
        sources_in=sources_in,
        rows_out=rows.num_rows,
        measured=Counter(
            {name: len(galaxies) - galaxies[column].null_count for name, column in MEASURED_COLUMNS.items()}
        ),
        classes=Counter(pc.drop_null(rows["morphology"]).to_pylist()),
        flags=Counter(count(rows["flags"].to_numpy())),
        tiles=status,
        reasons=Counter(pc.drop_null(manifest["reason"]).to_pylist()),
        missing_values=Counter(missing_values or {}),
    )


def total(accounts: Iterable[Account]) -> Account:
    """Return the sum of the accounts."""
    result = Account()
    for account in accounts:
        result.sources_in += account.sources_in
        result.rows_out += account.rows_out
        for name in ("measured", "classes", "flags", "tiles", "reasons", "missing_values"):
            getattr(result, name).update(getattr(account, name))
    return result


def require_balance(account: Account, written: int) -> None:
    """Check that every source that came in is in the written file.

    Parameters
    ----------
    account : Account
        The sum over all shards.
    written : int
        Rows that the written file has.

    Raises
    ------
    InputError
        Sources were lost or doubled.
    """
    if not account.sources_in == account.rows_out == written:
        raise InputError(
            f"{account.sources_in} sources came in, {account.rows_out} rows went out and the file has {written}; "
            "nothing is published: delete the per-shard tables and run again"
        )

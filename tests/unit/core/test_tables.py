"""Tables of a shard: types, nulls, lineage."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuningfork.core.columns import published
from tuningfork.core.columns.table import shard_table
from tuningfork.core.errors import InputError
from tuningfork.core.files import write_json
from tuningfork.core.flags import MEANINGS, Flag, count, decode
from tuningfork.core.tables import (
    LINEAGE_KEY,
    detail_of,
    lineage_of,
    numpy_column,
    read_table,
    require_same_sources,
    write_table,
)


def sources(number: int = 3) -> pa.Table:
    ra = np.where(np.arange(number) == 1, np.nan, 10.0)
    return shard_table("sources", {"source_id": np.arange(number), "flags": np.zeros(number, int), "ra": ra})


def test_missing_values_are_null_and_come_back_as_nan(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", sources())
    table = read_table(tmp_path / "a.parquet")
    assert table["ra"].null_count == 1
    assert table["redshift"].null_count == 3
    assert np.array_equal(numpy_column(table, "ra"), [10, np.nan, 10], equal_nan=True)
    assert table.schema.field("ra").metadata[b"unit"] == b"deg"


def test_an_undeclared_column_is_refused() -> None:
    with pytest.raises(InputError, match="colour"):
        shard_table("sources", {"source_id": [1], "flags": [0], "colour": [1.0]})


def test_a_mix_of_parameters_is_refused_and_both_files_are_named(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", sources(), {"sources": "1", "tiles": "2"}, shard="8-1")
    write_table(tmp_path / "b.parquet", sources(), {"sources": "1", "tiles": "3"})
    write_json(tmp_path / "c.json", {"lineage": {"train-structure": "9"}})
    assert lineage_of(tmp_path / "a.parquet", tmp_path / "c.json") == {
        "sources": "1",
        "tiles": "2",
        "train-structure": "9",
    }
    assert detail_of(tmp_path / "a.parquet", "shard") == "8-1"
    with pytest.raises(InputError, match=r"b\.parquet.*a\.parquet.*stage tiles"):
        lineage_of(tmp_path / "a.parquet", tmp_path / "b.parquet")


def test_tables_with_other_sources_are_refused() -> None:
    with pytest.raises(InputError, match=r"x\.parquet"):
        require_same_sources(sources(3), sources(2), "x.parquet")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(InputError, match=r"a\.parquet: not a readable Parquet file"):
        read_table(tmp_path / "a.parquet")


def test_published_columns_have_unique_lower_case_names() -> None:
    names = [column.name for column in published(["g", "r", "i"])]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() for name in names)


@given(st.sets(st.sampled_from(list(Flag))))
def test_flags_decode_to_what_was_set(flags: set[Flag]) -> None:
    value = sum(flags)
    assert set(decode(value)) == {flag.name for flag in flags}
    assert {name for name, number in count(np.array([value])).items() if number} == {flag.name for flag in flags}


def test_every_flag_has_a_meaning_and_fits_a_signed_integer() -> None:
    assert set(MEANINGS) == set(Flag)
    assert max(Flag) < 2**62


@pytest.mark.parametrize("name", ["foreign.parquet", "empty.parquet", "card.json", "empty.json"])
def test_a_file_without_lineage_is_refused_and_named(tmp_path: Path, name: str) -> None:
    """It could be of any configuration."""
    path = tmp_path / name
    if name == "foreign.parquet":
        pq.write_table(sources(), path)
    elif name == "empty.parquet":
        write_table(path, sources())
    else:
        write_json(path, {"lineage": {}} if name == "empty.json" else {"task": "morphology"})
    with pytest.raises(InputError, match=rf"{name}: does not say by which stages it was made"):
        lineage_of(path)


@pytest.mark.parametrize("lineage", [{"simulate": 5}, {"simulate": None}, [["simulate", "a"]], "simulate", 3])
@pytest.mark.parametrize("name", ["a.json", "a.parquet"])
def test_a_lineage_that_is_no_text_per_stage_is_refused(tmp_path: Path, name: str, lineage: Any) -> None:
    path = tmp_path / name
    if name.endswith(".json"):
        path.write_text(json.dumps({"lineage": lineage}))
    else:
        table = pa.table({"a": [1]}).replace_schema_metadata({LINEAGE_KEY: json.dumps(lineage)})
        pq.write_table(table, path)
    with pytest.raises(InputError, match=rf"{name}: .*its lineage must give a text for each stage.*; delete it"):
        lineage_of(path)

"""Folders of Parquet files: which files are parts of the table, and how far is looked for them."""

import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from helpers.sourcelists import rows_of

from tuningfork.core.config.measurements import Measurements
from tuningfork.core.errors import InputError
from tuningfork.surveys.lists.formats import parquet
from tuningfork.surveys.lists.labels.measured import read_measured


def part(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"id": [number], "ra": [10.0 + number], "dec": [1.0], "mag": [17.0]}).to_parquet(path, index=False)
    return path


def ids(folder: Path) -> list[int]:
    return [row["source_id"] for row in rows_of(folder)]


def test_only_the_folder_itself_and_its_partitions_hold_parts(tmp_path: Path) -> None:
    part(tmp_path / "a.parquet", 1)
    part(tmp_path / "Norder=0" / "Dir=0" / "Npix=1.parquet", 2)
    part(tmp_path / "bin=x" / "b.pq", 3)
    part(tmp_path / "other" / "c.parquet", 4)
    part(tmp_path / "other" / "bin=1" / "c.parquet", 5)
    part(tmp_path / "_temporary" / "d.parquet", 6)
    part(tmp_path / ".hidden=1" / "d.parquet", 7)
    (tmp_path / "bin=x" / "loop=1").symlink_to(tmp_path / "bin=x" / "none")
    known = pq.ParquetDataset([str(path) for path in tmp_path.rglob("*") if path.name in {"a.parquet", "b.pq", "Npix=1.parquet"}], partitioning=None)  # fmt: skip
    assert ids(tmp_path) == sorted(known.read()["id"].to_pylist()) == [1, 2, 3]


def test_a_folder_that_holds_folders_alone_is_refused_without_looking_into_them(tmp_path: Path) -> None:
    part(tmp_path / "home" / "user" / "a.parquet", 1)
    with pytest.raises(InputError, match=r"a folder without Parquet files .* only if they are called KEY=VALUE"):
        ids(tmp_path)
    start = time.monotonic()
    with pytest.raises(InputError, match=r"sources\.catalogue\.path: /: .*a folder without Parquet files"):
        ids(Path("/"))
    assert time.monotonic() - start < 5


def test_a_folder_with_too_many_entries_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MAX_ENTRIES", 5)
    for number in range(5):
        part(tmp_path / f"{number}.parquet", number)
    assert ids(tmp_path) == [0, 1, 2, 3, 4]
    (tmp_path / "README").touch()
    message = r"a folder of more than 5 files and folders; name a folder that holds the parts of the table alone"
    with pytest.raises(InputError, match=message):
        ids(tmp_path)
    with pytest.raises(InputError, match=message):
        read_measured(Measurements(table=str(tmp_path)))


def test_a_loop_of_folders_ends(tmp_path: Path) -> None:
    part(tmp_path / "bin=1" / "a.parquet", 1)
    (tmp_path / "bin=1" / "again=1").symlink_to(tmp_path / "bin=1")
    assert len(parquet.parts_of(tmp_path)) <= parquet.MAX_DEPTH


@pytest.mark.parametrize("damaged", [0, 1])
@pytest.mark.parametrize("content", [b"PAR1 and no more", b""])
def test_the_damaged_part_is_named(tmp_path: Path, damaged: int, content: bytes) -> None:
    for number in range(3):
        part(tmp_path / f"part-{number}.parquet", number)
    (tmp_path / f"part-{damaged}.parquet").write_bytes(content)
    with pytest.raises(InputError, match=rf"not a readable table \(its part part-{damaged}\.parquet: "):
        ids(tmp_path)

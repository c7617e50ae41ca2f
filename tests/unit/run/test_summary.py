"""The summary of a run: what cannot be read is named in one line."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tuningfork.run.summary import summary

ACCOUNT = {
    "total": {
        "sources_in": 3,
        "rows_out": 3,
        "classes": {"spiral": 2, "smooth": 1},
        "flags": {"PADDED": 1},
        "tiles": {"ok": 3, "missing": 0, "reasons": {}},
    }
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "accounting.json").write_text(json.dumps(ACCOUNT))
    pq.write_table(pa.table({"flags": [0, 4, 0]}), tmp_path / "results" / "catalogue.parquet")
    return tmp_path


def test_the_summary_is_that_of_the_named_folder(folder: Path) -> None:
    text = summary(folder)
    assert "3 sources in, 3 rows in the catalogue" in text
    assert "1 of them are flagged" in text
    assert f"  {folder}/results/catalogue.parquet" in text
    assert f"  cd {folder}\n" in text


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", "{}", '{"total": 3}', '{"total": {"sources_in": 1}}', "\udcff"]
)
def test_a_damaged_account_is_named_in_one_line(folder: Path, content: str) -> None:
    path = folder / "results" / "accounting.json"
    path.write_text(content, errors="surrogateescape")
    assert summary(folder).startswith(f"{path}: no account of a catalogue (")
    assert len(summary(folder).splitlines()) == 1


@pytest.mark.parametrize("damage", ["empty", "text", "without flags", "text for flags"])
def test_a_damaged_catalogue_is_named_in_one_line(folder: Path, damage: str) -> None:
    path = folder / "results" / "catalogue.parquet"
    if damage in ("empty", "text"):
        path.write_bytes(b"" if damage == "empty" else b"no table")
    else:
        pq.write_table(pa.table({"flags" if damage == "text for flags" else "a": ["a"]}), path)
    lines = [line for line in summary(folder).splitlines() if str(path) in line and "not a readable" in line]
    assert len(lines) == 1
    assert "3 sources in" in summary(folder)

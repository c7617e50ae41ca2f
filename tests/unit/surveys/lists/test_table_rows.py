"""Rows of text that lack values or swallow others are refused, in tables of sources, measurements and votes alike."""

from pathlib import Path

import pandas as pd
import pytest
from astropy.io import ascii as ascii_tables
from helpers.sourcelists import rows_of

from tuningfork.core.config.measurements import Measurements
from tuningfork.core.errors import InputError
from tuningfork.surveys.lists.formats import base, stream
from tuningfork.surveys.lists.labels.measured import read_measured


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "ROWS_PER_PART", 2)


@pytest.mark.parametrize("name", ["t.txt", "t.fwf"])
@pytest.mark.parametrize(
    ("rows", "row", "count"),
    [
        ("1 10.5 41.2 17\n2 11.5      18.0\n", 2, 3),
        ("1 10.5 41.2 17\n\n2 11.5 42 nan\n3 12 43 18\n4\n", 4, 1),
        ("  1  10.5  41.2\n  2  11.5  42.2\n", 1, 3),
    ],
)
def test_a_gap_between_spaces_is_refused(tmp_path: Path, name: str, rows: str, row: int, count: int) -> None:
    path = tmp_path / name
    path.write_text("ID RA DEC MAG\n" + rows)
    with pytest.raises(ascii_tables.InconsistentTableError):
        ascii_tables.read(str(path), format="basic")
    message = rf"{name}: .*row {row} \(.*\) has {count} values, and the head 4 columns; .*write nan"
    with pytest.raises(InputError, match=message):
        rows_of(path)
    with pytest.raises(InputError, match=message):
        read_measured(Measurements(table=str(path)))


def test_missing_values_between_spaces_that_are_written_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text('ID RA DEC NAME MAG\n1 10.5 41.2 "NGC 1" nan\n2 11.5 42.2 x --\n3 12 43 "a b c" 18\n')
    assert [(row["dec"], row["name"], row["survey_mag"]) for row in rows_of(path)] == [
        (41.2, "NGC 1", None), (42.2, "x", None), (43, "a b c", 18),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('id,ra,dec,note\n1,10,1,"\n2,11,2,b\n3,12,3,"\n', 2),
        ('id,name,ra,dec\n1,"NGC 1,10,1\n2,B",11,2\n3,C,12,3\n', 2),
        ('# one\nid;ra;dec;note\n0;9;1;x\n1;10;1;"a\n2;11;2;"b\n', 4),
        ("id ra dec note\n" + "1 10 1 x\n" * 3 + '2 10 1 "a\n3 11 2 b\n4 12 3 c"\n', 5),
    ],
)
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_a_quotation_mark_that_swallows_rows_is_refused(
    tmp_path: Path, content: str, line: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BLOCK_BYTES", block)
    path = tmp_path / "t.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"t\.txt: .*line {line} \(.*\) opens a quotation mark that the next line"):
        rows_of(path)


@pytest.mark.parametrize(
    "content",
    [
        'id,ra,dec,name\n1,10,1,"line one, of the note\nline two"\n2,11,2,"b"\n',
        'name,id,ra,dec\n"NGC\n1",1,10,1\nb,2,11,2\n',
        'id,name,ra,dec\n1,"a ""b"" c",10,1\n2,5" star,11,2\n',
        'id,name,ra,dec\n1,5" star,10,1\n2,7" star,11,2\n',
        'id,ra,dec,name\n1,10,1,"a\n\n,b"\n2,11,2,"c,\n,d"\n',
    ],
)
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_line_breaks_within_values_are_read(
    tmp_path: Path, content: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BLOCK_BYTES", block)
    path = tmp_path / "t.csv"
    path.write_text(content)
    known = pd.read_csv(path)
    rows = rows_of(path)
    assert [row["name"] for row in rows] == list(known["name"])
    assert [row["ra"] for row in rows] == list(known["ra"])

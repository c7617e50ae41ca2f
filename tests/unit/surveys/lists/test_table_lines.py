"""Where the lines of tables of text end: no row is lost at the head, none is made of what is no row."""

import io
from pathlib import Path

import pandas as pd
import pytest
from astropy.io import ascii as ascii_tables
from astropy.table import Table
from helpers.sourcelists import rows_of

from tuningfork.core.errors import InputError
from tuningfork.surveys.lists.formats import base

ROWS = "1,10,-1,17\n2,11,2,18\n3,12,3,19\n"
PLAIN = "id,ra,dec,mag\n" + ROWS
VALUES = [tuple(row) for row in pd.read_csv(io.StringIO(PLAIN)).itertuples(index=False)]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "ROWS_PER_PART", 2)


def values_of(path: Path, content: str, encoding: str = "utf-8") -> list[tuple]:
    path.write_bytes(content.encode(encoding))
    rows = rows_of(path)
    assert all(row["name"] is None and row["flags"] == 0 for row in rows)
    return [(row["source_id"], row["ra"], row["dec"], row["survey_mag"]) for row in rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("sign", ["\x0c", "\x0b", "\x1c", "\x85", "\u2028", "\u2029", "\r"])
def test_what_only_unicode_calls_the_end_of_a_line_ends_none(tmp_path: Path, sign: str, encoding: str) -> None:
    content = f"# page 1{sign}# page 2\n{PLAIN}"
    if sign != "\r":
        known = ascii_tables.read(content.split("\n"), format="csv", comment="#")
        assert len(known) == len(VALUES)
    assert values_of(tmp_path / "t.csv", content, encoding) == VALUES
    content = (
        PLAIN.replace("mag", f"mag,no{sign if sign != chr(13) else ''}te").replace("\n", ",x\n").replace("te,x", "te")
    )
    assert values_of(tmp_path / "t.csv", content, encoding) == VALUES


@pytest.mark.parametrize("end", ["\r", "\r\n", "\r\r\n", "\n\n", "\n\x0c\n"])
@pytest.mark.parametrize("count", [1, 3])
def test_ends_of_lines(tmp_path: Path, end: str, count: int) -> None:
    lines = PLAIN.splitlines()[: count + 1]
    assert values_of(tmp_path / "t.csv", end.join(lines) + end) == VALUES[:count]
    assert values_of(tmp_path / "t.csv", end.join(lines)) == VALUES[:count]


def test_an_ecsv_header_with_other_ends_of_lines_in_it(tmp_path: Path) -> None:
    table = Table(rows=VALUES, names=["id", "ra", "dec", "mag"])
    table["ra"].description = "one\u2028two\x85three"
    table.write(tmp_path / "t.ecsv")
    assert values_of(tmp_path / "u.ecsv", (tmp_path / "t.ecsv").read_text()) == VALUES


@pytest.mark.parametrize(
    "content",
    [
        " id | ra | dec | mag \n----+----+-----+-----\n" + ROWS.replace(",", " | ") + "(3 rows)\n\n",
        " id | ra | dec | mag \n----+----+-----+-----\n" + ROWS.replace(",", " | ") + "(3 rows)",
        PLAIN + "\x1a",
        PLAIN + "(3 rows affected)\r\n\x1a",
        PLAIN.replace("mag", '"mag"').replace("id", '"id"'),
    ],
)
def test_what_programs_write_around_the_rows_is_no_row(tmp_path: Path, content: str) -> None:
    assert values_of(tmp_path / "t.txt", content) == VALUES


def test_a_name_that_goes_over_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('id,ra,dec,"mag\n(AB)"\n' + ROWS)
    rows = rows_of(tmp_path / "t.csv", columns={"mag": "mag (AB)"})
    assert [(row["source_id"], row["ra"], row["dec"], row["survey_mag"]) for row in rows] == VALUES


def test_heads_that_are_longer_than_what_tells_the_format(tmp_path: Path) -> None:
    comments = "".join(f"# line {number} of a long head\n" for number in range(6000))
    assert values_of(tmp_path / "t.csv", comments + PLAIN) == VALUES
    wide = pd.read_csv(io.StringIO(PLAIN)).join(pd.DataFrame(0.5, range(3), [f"column{k}" for k in range(9000)]))
    assert values_of(tmp_path / "t.csv", wide[wide.columns[::-1]].to_csv(index=False)) == VALUES
    table = Table({f"c{number}": [1.0, 2, 3] for number in range(300)})
    for name in table.colnames:
        table[name].description = "so long that three hundred of them fill more than 64 kB " * 5
    for number, name in enumerate(["id", "ra", "dec", "mag"]):
        table[name] = [row[number] for row in VALUES]
    table.write(tmp_path / "t.ecsv")
    assert (tmp_path / "t.ecsv").stat().st_size > 1 << 16
    assert values_of(tmp_path / "u.ecsv", (tmp_path / "t.ecsv").read_text()) == VALUES


def test_a_head_without_an_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("# a comment\n" * 800_000 + PLAIN)
    with pytest.raises(InputError, match=r"t\.csv: .*its first 8 MiB hold no line with the names of its columns"):
        rows_of(tmp_path / "t.csv")

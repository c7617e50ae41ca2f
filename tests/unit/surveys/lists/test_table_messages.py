"""What people read when a file is no table, a value no number, or a path no file."""

import json
import logging
import pickle
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from astropy.table import Table
from helpers.sourcelists import rows_of

from tuningfork.core.config import validate
from tuningfork.core.config.reading.paths import require_paths
from tuningfork.core.errors import ConfigurationError, InputError

PLAIN = "id,ra,dec\n1,10,1\n2,11,2\n"
OTHERS = {
    "UTF-16 without a mark": (PLAIN.encode("utf-16-le"), r"text in UTF-16 without its byte order mark"),
    "UTF-16 of the other order": (PLAIN.encode("utf-16-be"), r"text in UTF-16 without its byte order mark"),
    "UTF-32": (PLAIN.encode("utf-32"), r"text in UTF-16 .*, or in UTF-32; save it in UTF-8"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500, r"an Excel file \(\.xls\); save it as CSV"),
    "Z": (b"\x1f\x9d\x90abc", r"packed by compress \(\.Z\); unpack it"),
    "zst": (b"\x28\xb5\x2f\xfdabc", r"packed by zstd; unpack it"),
    "pickle": (pickle.dumps([1, 2]), r"a pickle of Python"),
    "JSON": (json.dumps([{"id": 1, "ra": 10.5, "dec": 3}]).encode(), r"JSON; save it as CSV"),
    "long JSON": (json.dumps({"data": [{"id": 1, "ra": 1.5}] * 9000}).encode(), r"JSON; save it as CSV"),
    "DS9": (b'# Region file format: DS9 version 4.1\nfk5\ncircle(10.5,41.2,3")\n', r"a DS9 region file"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_files_of_other_kinds_are_named(tmp_path: Path, kind: str) -> None:
    content, message = OTHERS[kind]
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"t\.csv: not a readable table \(it is {message}") as caught:
        rows_of(tmp_path / "t.csv")
    assert str(caught.value).isprintable()


def test_databases_and_feather_are_named(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("create table t (ra real)")
    pd.DataFrame({"ra": [1.0]}).to_feather(tmp_path / "b.feather", version=1)
    for name, message in (("a.db", "an SQLite database"), ("b.feather", "Feather")):
        with pytest.raises(InputError, match=rf"it is {message}"):
            rows_of(tmp_path / name)


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
def test_the_line_in_which_spreadsheets_name_the_separator(tmp_path: Path, separator: str) -> None:
    (tmp_path / "t.csv").write_bytes(f"sep={separator}\r\n{PLAIN}".replace(",", separator).encode())
    assert [(row["source_id"], row["ra"], row["dec"]) for row in rows_of(tmp_path / "t.csv")] == [
        (1, 10, 1),
        (2, 11, 2),
    ]


@pytest.mark.parametrize("kind", ["csv", "parquet", "ecsv", "vot"])
@pytest.mark.parametrize(
    ("name", "bad", "said"),
    [
        ("ra", "10,5", "write a decimal point instead of the comma"),
        ("mag", "17,5", "write a decimal point instead of the comma"),
        ("dec", "−1.5", r"write a hyphen \(-\) as the minus sign"),
        ("ra", "1.05D+01", "write E instead of D"),
        ("mag", "1.05D+01", "write E instead of D"),
        ("ra", "10h42.7m", "write seconds after the minutes"),
        ("dec", "41:16.2", "write seconds after the minutes"),
        ("dec", "41.2N", "write a sign instead of the letter"),
    ],
)
def test_what_is_wrong_with_a_number_is_said(tmp_path: Path, kind: str, name: str, bad: str, said: str) -> None:
    columns = {"ra": ["1.0", "2.0"], "dec": ["1.0", "2.0"], "mag": ["1.0", "2.0"]} | {name: ["1.0", bad]}
    path = tmp_path / f"t.{kind}"
    Table(columns).write(path, format="votable" if kind == "vot" else None)
    with pytest.raises(InputError, match=rf"row 2: {name} is '.*'; expected [a-z, ]+: {said}"):
        rows_of(path)


@pytest.mark.parametrize(
    ("path", "said"),
    [("~/x.csv", "write the whole path"), ("$HOME/x.csv", "variables of the shell are not replaced"), ("${HOME}/x.csv", "variables of the shell"), ("https://x.y/z.csv", "addresses are not fetched"), ("table.csv ", "begins or ends with a space"), ("C:\\table.csv", "folders are separated by /")],
)  # fmt: skip
def test_why_there_is_no_file(path: str, said: str) -> None:
    with pytest.raises(InputError, match=rf"no such file; .*{said}"):
        rows_of(Path(path))
    with pytest.raises(ConfigurationError, match=rf"no such file; .*{said}"):
        require_paths(validate({"sources": {"catalogue": {"kind": "table", "path": path}}}))


HEAD = (
    '<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">'
)
END = "</RESOURCE></VOTABLE>"


def test_the_answers_of_services_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "t.vot"
    path.write_text(f'{HEAD}<INFO name="QUERY_STATUS" value="ERROR">Incorrect ADQL: no such\ntable</INFO>{END}')
    with pytest.raises(
        InputError, match=r"it holds the error of a service instead of a table: Incorrect ADQL: no such table"
    ):
        rows_of(path)
    Table({"ra": [10.0], "dec": [1.0]}).write(path, format="votable", overwrite=True)
    with caplog.at_level(logging.WARNING):
        assert len(rows_of(path)) == 1
        assert not caplog.messages
        path.write_text(path.read_text().replace("</TABLE>", '</TABLE><INFO name="QUERY_STATUS" value="OVERFLOW"/>'))
        assert len(rows_of(path)) == 1
    assert any("cut it short (QUERY_STATUS OVERFLOW)" in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("value", "said"), [(1.0, r"1\.0 is not allowed: .*; write 1$"), (True, r"true is not allowed: .*; write 'true' in quotes"), (1.5, "1.5 is not allowed: expected the name")]
)  # fmt: skip
def test_an_extension_is_a_name_or_a_number(tmp_path: Path, value: object, said: str) -> None:
    sections = {
        "sources.catalogue": {"sources": {"catalogue": {"kind": "table", "path": "t.csv", "extension": value}}},
        "train.structure.measurements": {"train": {"structure": {"measurements": {"table": "t", "extension": value}}}},
        "train.morphology.votes": {"train": {"morphology": {"votes": {"table": "t.csv", "extension": value}}}},
    }
    for key, values in sections.items():
        with pytest.raises(ConfigurationError, match=rf"{key}(\.table)?\.extension: {said}") as caught:
            validate(values)
        assert len([line for line in str(caught.value).splitlines() if "extension" in line]) == 1


def test_a_number_of_a_table_in_quotes(tmp_path: Path) -> None:
    path = tmp_path / "t.fits"
    Table({"ra": [10.0], "dec": [1.0]}).write(path)
    Table({"ra": [20.0], "dec": [1.0]}).write(path, append=True)
    assert [row["ra"] for row in rows_of(path, extension="2")] == [20] == [Table.read(path, hdu=2)["ra"][0]]

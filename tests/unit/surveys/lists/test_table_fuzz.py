"""Tables of any content in every format: each value is that which astropy reads, and no row is lost."""

from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from astropy.table import MaskedColumn, Table
from helpers.sourcelists import rows_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuningfork.core.errors import InputError
from tuningfork.core.flags import Flag

FORMATS = {"csv": "ascii.csv", "ecsv": "ascii.ecsv", "fits": "fits", "vot": "votable", "xml": "votable", "parquet": "parquet", "tsv": "ascii.tab"}  # fmt: skip
UNITS = ["", "deg", "rad", "hourangle", "arcmin", "mas"]
WORDS = st.text("#aB3 ,;\"'|é-_.", min_size=1, max_size=8).map(str.strip).filter(lambda word: word and word.lower() not in {"-", "--", "---", "na", "nan"})  # fmt: skip
SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, Table, dict[str, str]]:
    """Return a format, a table, and the units that only a key can state."""
    kind = draw(st.sampled_from(sorted(FORMATS)))
    count = draw(st.integers(1, 6))

    def column(values: st.SearchStrategy) -> list[Any]:
        return draw(st.lists(values, min_size=count, max_size=count))

    dtype = draw(st.sampled_from([np.float64, np.float32, np.dtype(">f8"), np.int32]))
    table = Table()
    table["ra"] = np.array(column(st.floats(-180, 360)), dtype)
    table["dec"] = np.array(column(st.floats(-100, 100)), dtype)
    given = {}
    for name, unit in zip(("ra", "dec"), draw(st.tuples(st.sampled_from(UNITS), st.sampled_from(UNITS))), strict=True):
        if unit and not (kind == "fits" and unit == "hourangle"):  # astropy cannot write it
            table[name] = (np.array(table[name], float) * u.deg.to(unit)).astype(float if dtype == np.int32 else dtype)
            if kind in {"csv", "tsv"}:
                given[name] = unit
            else:
                table[name].unit = unit
    if draw(st.booleans()):
        table["mag"] = MaskedColumn(column(st.floats(10, 25)), mask=column(st.booleans()))
    if draw(st.booleans()):
        table["name"] = column(WORDS)
        if kind in {"fits"}:
            table["name"] = [name.encode("ascii", "ignore").decode() or "x" for name in table["name"]]
    if draw(st.booleans()):
        table["objid"] = np.array(column(st.integers(0, 2**63 - 1)), np.int64)
    return kind, table, given


def degrees(table: Table, name: str, given: dict[str, str]) -> np.ndarray:
    unit = u.Unit(given.get(name) or table[name].unit or "deg")
    return np.array((np.ma.filled(np.ma.asarray(table[name]).astype(float), np.nan) * unit).to_value(u.deg))


def compare(folder: Path, kind: str, table: Table, given: dict[str, str]) -> None:
    """Write a table, and compare what the stage makes of it with what was written."""
    path = folder / f"t.{kind}"
    table.write(path, format=FORMATS[kind], overwrite=True)
    rows = rows_of(path, units=given)
    ra, dec = (degrees(table, name, given) for name in ("ra", "dec"))
    ids = [int(value) for value in table["objid"]] if "objid" in table.colnames else list(range(len(table)))
    order = np.argsort(ids, kind="stable")
    assert [row["source_id"] for row in rows] == [ids[k] for k in order]
    if len(set(ids)) < len(ids):
        return
    # Formats of text give numbers of single precision with eight digits.
    close = 1e-4 if table["ra"].dtype.itemsize == 4 else 1e-9
    good = (np.abs(dec) <= 90) & (ra >= -360) & (ra <= 720)
    for row, k in zip(rows, order, strict=True):
        assert bool(row["flags"] & Flag.NO_POSITION) == (not good[k])
        if good[k]:
            assert abs((row["ra"] - ra[k] + 180) % 360 - 180) < close
            assert row["dec"] == pytest.approx(dec[k], abs=close)
        else:
            assert row["ra"] is None
        if "mag" in table.colnames:
            value = table["mag"][k]
            assert row["survey_mag"] == (None if np.ma.is_masked(value) else pytest.approx(float(value), rel=1e-6))
        if "name" in table.colnames:
            assert row["name"] == str(table["name"][k])


@settings(max_examples=100, **SETTINGS)
@given(tables())
def test_tables_of_all_formats(tmp_path: Path, case: tuple) -> None:
    compare(tmp_path, *case)


@pytest.mark.byhand
@settings(max_examples=1500, **SETTINGS)
@given(tables())
def test_many_tables_of_all_formats(tmp_path: Path, case: tuple) -> None:
    compare(tmp_path, *case)


FIELDS = st.sampled_from(["1", "-2.5", "+3", "", "x", "#", "#1", "10:00:00", '"a, b"', "nan", "-99", "1e400", "1,5", "\t", '"', "é", " "])  # fmt: skip


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, str]:
    """Return the ending of a file and lines that somebody may have typed."""
    separator = draw(st.sampled_from([",", ";", "\t", " ", "|"]))
    names = draw(st.lists(st.sampled_from(["ra", "dec", "mag", "name", "RA", "", "x"]), min_size=1, max_size=5))
    lines = draw(st.lists(st.sampled_from(["# a comment", "#", ""]), max_size=2))
    lines += [separator.join(["ra", "dec", *names] if draw(st.booleans()) else names)]
    lines += [separator.join(row) for row in draw(st.lists(st.lists(FIELDS, min_size=1, max_size=7), max_size=5))]
    return draw(st.sampled_from(["csv", "dat", "TSV", "txt"])), draw(st.sampled_from(["\n", "\r\n"])).join(lines)


def read(path: Path) -> list[dict[str, Any]]:
    """Return the sources of a table; none if it is refused in one line that names the file."""
    refusal = str(path)
    rows = []
    try:
        rows = rows_of(path)
    except InputError as error:
        refusal = str(error)
    assert str(path) in refusal
    assert "\n" not in refusal
    return rows


def read_or_refuse(folder: Path, ending: str, content: str) -> None:
    """Read text: it is read with a row for each line, or an error of one line names the file."""
    path = folder / f"t.{ending}"
    path.write_bytes(content.encode())
    rows = read(path)
    assert len(rows) <= len(content.splitlines())
    assert all(row["ra"] is None or 0 <= row["ra"] < 360 for row in rows)


@settings(max_examples=60, **SETTINGS)
@given(texts())
def test_any_text_is_read_or_refused_by_name(tmp_path: Path, case: tuple[str, str]) -> None:
    read_or_refuse(tmp_path, *case)


@pytest.mark.byhand
@settings(max_examples=1500, **SETTINGS)
@given(texts())
def test_many_texts_are_read_or_refused_by_name(tmp_path: Path, case: tuple[str, str]) -> None:
    read_or_refuse(tmp_path, *case)


@pytest.mark.parametrize("kind", ["csv", "ecsv", "fits", "vot", "parquet"])
@settings(max_examples=20, **SETTINGS)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_by_name(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    path = tmp_path / f"t.{kind}"
    frame = pd.DataFrame({"ra": np.arange(20.0), "dec": np.arange(20.0)})
    Table.from_pandas(frame).write(path, format=FORMATS[kind], overwrite=True)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))]))
    read(path)

"""The user's own table: each shard gets exactly its rows, whatever the format and the size."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.sourcelists import ORDER, all_rows, check, sky
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuningfork.core.config.sources import TableCatalogue
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.flags import Flag
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.lists.formats import base
from tuningfork.surveys.lists.sources.table import UserTable

FORMATS = ["parquet", "csv", "fits", "vot"]


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path, row_group_size=70)
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        Table.from_pandas(frame).write(path, format="votable" if path.suffix == ".vot" else "fits")
    return path


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read tables in parts of 100 rows, so that the small ones of these tests have several."""
    monkeypatch.setattr(base, "ROWS_PER_PART", 100)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_row_is_in_exactly_its_shard(tmp_path: Path, kind: str) -> None:
    frame = sky()
    table = UserTable(TableCatalogue(path=str(write(frame, tmp_path / f"t.{kind}"))))
    found = all_rows(table, frame).sort_values("source_id", ignore_index=True)
    pd.testing.assert_frame_equal(found[["source_id", "ra", "dec"]], frame, check_exact=kind != "csv")
    assert (found["flags"] == 0).all()


@pytest.mark.parametrize("kind", FORMATS)
def test_an_identifier_that_comes_twice_is_flagged_wherever_both_are(tmp_path: Path, kind: str) -> None:
    frame = sky()
    frame.loc[[3, 480], "source_id"] = frame.loc[100, "source_id"]
    table = UserTable(TableCatalogue(path=str(write(frame, tmp_path / f"t.{kind}"))))
    found = all_rows(table, frame)
    assert len(found) == len(frame)
    assert found.loc[found["flags"] > 0, "source_id"].tolist() == [frame.loc[100, "source_id"]] * 3
    assert set(found["flags"]) == {0, int(Flag.DUPLICATE_ID)}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_word_among_the_identifiers_makes_them_names_in_every_shard(tmp_path: Path, kind: str) -> None:
    frame = sky()
    texts = frame["source_id"].astype(str).copy()
    texts[499], texts[7] = "NGC 1300", texts[8]
    frame["source_id"] = texts
    found = all_rows(UserTable(TableCatalogue(path=str(write(frame, tmp_path / f"t.{kind}")))), frame)
    assert sorted(found["source_id"]) == list(range(500))
    assert found.set_index("source_id")["name"].to_dict() == texts.to_dict()
    assert sorted(found.loc[found["flags"] > 0, "source_id"]) == [7, 8]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(-400, 800), st.floats(-95, 95)), max_size=40), st.integers(0, 4))
def test_no_row_is_lost_whatever_its_position(tmp_path: Path, rows: list, order: int) -> None:
    """Right ascensions of any convention, row groups that are left out by their statistics, impossible positions."""
    frame = pd.DataFrame(sorted(rows, key=lambda row: row[1]), columns=["ra", "dec"], dtype=float)
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=3)
    table = UserTable(TableCatalogue(path=str(tmp_path / "t.parquet")))
    shards = table.shards(order)
    assert table.home(order) in shards
    found = [row for shard in shards for row in table.sources(shard)["source_id"].to_pylist()]
    assert sorted(found) == list(range(len(frame)))


def test_columns_of_other_names_and_units(tmp_path: Path) -> None:
    table = Table({"alpha": [10.0], "delta": [np.deg2rad(20.0)], "R50": [0.5], "zph": [0.1], "rmag": [15.5]})
    table["delta"].unit, table["R50"].unit = "rad", "arcmin"
    table.write(tmp_path / "t.fits")
    columns = {"ra": "alpha", "dec": "DELTA", "radius": "R50", "redshift": "zph", "mag": "rmag"}
    user = UserTable(TableCatalogue(path=str(tmp_path / "t.fits"), columns=columns))
    [row] = user.sources(user.home(ORDER)).to_pylist()
    assert [row[name] for name in ("ra", "dec", "survey_radius", "redshift", "survey_mag")] == pytest.approx(
        [10, 20, 30, 0.1, 15.5]
    )


def test_a_missing_integer_of_fits_is_no_identifier(tmp_path: Path) -> None:
    column = fits.Column("objid", "K", null=-99, array=np.array([5, -99, 7]))
    hdu = fits.BinTableHDU.from_columns([column, *(fits.Column(n, "D", array=np.ones(3)) for n in ("ra", "dec"))])
    hdu.writeto(tmp_path / "t.fits")
    user = UserTable(TableCatalogue(path=str(tmp_path / "t.fits")))
    rows = user.sources(user.home(ORDER)).to_pylist()
    assert [(row["source_id"], row["name"]) for row in rows] == [(0, "5"), (1, None), (2, "7")]


def test_a_published_table_of_galaxy_zoo(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "ROWS_PER_PART", 5000)
    path = real_data / "tables" / "gz2_stripe82_table5.csv.gz"
    header = pd.read_csv(path, nrows=3)
    names = {str(name).lower(): str(name) for name in header.columns}
    columns = {"source_id": next(names[key] for key in ("dr7objid", "objid", "dr8objid") if key in names)}
    user = UserTable(TableCatalogue(path=str(path), columns=columns))
    frame = pd.read_csv(path, usecols=[columns["source_id"], user.columns["ra"], user.columns["dec"]])
    shard = user.home(5)
    found = user.sources(shard).to_pandas()
    here = shard.contains(frame[user.columns["ra"]].to_numpy(), frame[user.columns["dec"]].to_numpy())
    assert sorted(found["source_id"]) == sorted(frame.loc[here, columns["source_id"]])
    assert len(found) > 20


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("x,y\n1,2\n", {}, r"t\.csv has the columns x, y; expected ra and dec \(deg\); sources\.catalogue\.columns can name"),
        ("ra,dec\n1,2\n", {"mag": "r"}, r"t\.csv has no column 'r' \(sources\.catalogue\.columns\.mag\); it has ra, dec"),
        ("ra,dec\n12:34:56,1\n", {}, r"t\.csv: row 1: ra is '12:34:56'; expected degrees \(188\.733333 if"),
        ("", {}, r"t\.csv: not a readable table"),
        ("file,ra\na,3\n", {}, r"expected ra and dec"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_is_refused_before_any_job(
    tmp_path: Path, text: str, columns: dict[str, str], message: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ConfigurationError, match=message) as caught:
        check({"kind": "table", "path": str(tmp_path / "t.csv"), "columns": columns})
    assert "\n" not in str(caught.value)


def test_a_changed_list_concerns_the_sources_alone(tmp_path: Path) -> None:
    catalogue = {"kind": "table", "path": str(tmp_path / "t.csv")}
    (tmp_path / "t.csv").write_text("ra,dec\n1,2\n")
    before = check(catalogue)
    (tmp_path / "t.csv").write_text("ra,dec\n1,3\n")
    after = check(catalogue)
    assert {stage for stage in before if before[stage] != after[stage]} == {"sources"}
    assert not any(check({"kind": "survey"}).values())


def test_a_large_parquet_table_is_read_by_its_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard reads the row groups that may hold it: the others may even be damaged."""
    frame = sky(20_000).sort_values("dec", ignore_index=True)
    frame["name"] = "galaxy"
    path = tmp_path / "t.parquet"
    frame.to_parquet(path, row_group_size=1000)
    footer = pq.read_metadata(path)
    name = footer.row_group(0).num_columns - 1
    first = footer.row_group(19).column(name)
    assert first.path_in_schema == "name"
    content = bytearray(path.read_bytes())
    start = first.dictionary_page_offset or first.data_page_offset
    content[start : start + first.total_compressed_size] = b"\xff" * first.total_compressed_size
    path.write_bytes(bytes(content))
    table = UserTable(TableCatalogue(path=str(path)))
    south = Shard(3, int(pixels(np.array([100.0]), np.array([-60.0]), 3)[0]))
    here = south.contains(frame["ra"].to_numpy(), frame["dec"].to_numpy())
    assert table.home(3) != south
    assert sorted(table.sources(south)["source_id"].to_pylist()) == sorted(frame.loc[here, "source_id"])
    north = Shard(3, int(pixels(np.array([100.0]), np.array([85.0]), 3)[0]))
    with pytest.raises(InputError, match=r"t\.parquet: not a readable table"):
        table.sources(north)

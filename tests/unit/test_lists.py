"""Lists of sources: the user's table, VizieR, HATS; each shard gets exactly its rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from frozen import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers.base import Answer, Request, Service
from servers.tap import Tap
from synthetic_results import parameters, results

from tuningfork.catalogue.merge import build_catalogue
from tuningfork.core.config import validate
from tuningfork.core.config.sources import HatsCatalogue, Sources, TableCatalogue, VizierCatalogue
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import describe
from tuningfork.core.errors import ConfigurationError, InputError, TransferError
from tuningfork.core.flags import Flag
from tuningfork.core.tables import read_table
from tuningfork.sky.shards import Shard, pixels, shards_of_positions
from tuningfork.surveys.inputs import inputs_of
from tuningfork.surveys.lists import files
from tuningfork.surveys.lists.hats import Hats
from tuningfork.surveys.lists.rows import ids_of_positions
from tuningfork.surveys.lists.sources import list_of_sources
from tuningfork.surveys.lists.table import UserTable
from tuningfork.surveys.transfer.network import Network

ORDER = 0
FORMATS = ["parquet", "csv", "fits", "vot"]


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path, row_group_size=70)
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        Table.from_pandas(frame).write(path, format="votable" if path.suffix == ".vot" else "fits")
    return path


def sky(count: int = 500, seed: int = 1) -> pd.DataFrame:
    """Return positions over the whole sky, some about the pole and right ascension zero."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, count), np.rad2deg(np.arcsin(rng.uniform(-1, 1, count)))
    ra[:50], dec[:50] = rng.uniform(-1, 1, 50) % 360, rng.uniform(-1, 1, 50)
    dec[50:60] = 89.9
    return pd.DataFrame({"source_id": 7_000_000_000_000_000_000 + np.arange(count), "ra": ra, "dec": dec})


def all_rows(table: UserTable | Hats, frame: pd.DataFrame, order: int = ORDER) -> pd.DataFrame:
    shards = shards_of_positions(frame["ra"].to_numpy(), frame["dec"].to_numpy(), order)
    parts = [table.sources(shard) for shard in shards]
    for shard, part in zip(shards, parts, strict=True):
        assert part["source_id"].to_pylist() == sorted(part["source_id"].to_pylist())
        known = part.filter(pa.compute.is_valid(part["ra"]))
        assert shard.contains(known["ra"].to_numpy(), known["dec"].to_numpy()).all()
    return pa.concat_tables(parts).to_pandas()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read tables in parts of 100 rows, so that the small ones of these tests have several."""
    monkeypatch.setattr(files, "PART", 100)


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


def test_a_published_table_of_galaxy_zoo(real_data: Path) -> None:
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
        ("x,y\n1,2\n", {}, r"t\.csv has the columns x, y; expected ra and dec \(deg\); sources\.catalogue\.columns can say"),
        ("ra,dec\n1,2\n", {"mag": "r"}, r"t\.csv has no column 'r' \(sources\.catalogue\.columns\.mag\); it has ra, dec"),
        ("ra,dec\n12:34:56,1\n", {}, r"t\.csv: column ra holds '12:34:56'; expected degrees"),
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


def check(catalogue: dict[str, Any]) -> dict[str, dict[str, str]]:
    configuration = validate({"sources": {"catalogue": catalogue}})
    return inputs_of(configuration, describe(configuration, ROOT / "config" / "surveys"))


def test_a_changed_list_concerns_the_sources_alone(tmp_path: Path) -> None:
    catalogue = {"kind": "table", "path": str(tmp_path / "t.csv")}
    (tmp_path / "t.csv").write_text("ra,dec\n1,2\n")
    before = check(catalogue)
    (tmp_path / "t.csv").write_text("ra,dec\n1,3\n")
    after = check(catalogue)
    assert {stage for stage in before if before[stage] != after[stage]} == {"sources"}
    assert check({"kind": "survey"}) == {"sources": {}, "tiles": {}, "stamps": {}}


NAME = "J/MNRAS/435/2835/table5"


@pytest.fixture(scope="module")
def vizier() -> Iterator[tuple[Service, Tap, dict[str, Any]]]:
    frame = sky()
    columns = {
        "RAJ2000": frame["ra"].to_numpy(),
        "DEJ2000": frame["dec"].to_numpy(),
        "SDSS-id": 587_722_952_230_175_138 + np.arange(len(frame)),
        "Name": np.array([f"J{k:04d}" for k in range(len(frame))]),
        "r mag": np.where(np.arange(len(frame)) % 5, 16.5, np.nan).astype(np.float32),
    }
    columns["SDSS-id"][[1, 2]] = columns["SDSS-id"][0]
    tap = Tap({NAME: columns}, path="/TAPVizieR/tap", most=60)
    with Service(lambda request: tap.answer(request)) as service:
        yield service, tap, columns


def ask(url: str, shard: Shard, tmp_path: Path, **values: Any) -> pd.DataFrame:
    catalogue = VizierCatalogue(**({"table": NAME, "tap_url": f"{url}/TAPVizieR/tap"} | values))
    network = Network(Transfer(rate=5000, retries=1, backoff=0.001, cache=str(tmp_path)))
    survey: Any = None
    description: Any = None
    return list_of_sources(Sources(catalogue=catalogue), survey, shard, description, network).to_pandas()


def test_vizier_gives_each_shard_its_rows_even_when_it_cuts_answers(vizier: tuple, tmp_path: Path) -> None:
    service, tap, columns = vizier
    mapping = {"source_id": "SDSS-id", "name": "Name", "mag": "r mag"}
    shards = [Shard(0, pixel) for pixel in range(12)]
    found = pd.concat([ask(service.url, shard, tmp_path, columns=mapping) for shard in shards]).set_index("name")
    expected = pd.DataFrame(columns).set_index("Name")
    assert sorted(found.index) == sorted(expected.index)
    found = found.loc[expected.index]
    np.testing.assert_array_equal(found["source_id"], expected["SDSS-id"])
    np.testing.assert_array_equal(found["survey_mag"], expected["r mag"])
    assert f'SELECT "SDSS-id", "Name", "RAJ2000", "DEJ2000", "r mag" FROM "{NAME}" WHERE ' in tap.queries[0]
    assert len(tap.queries) > 12
    same = pixels(expected["RAJ2000"].to_numpy()[:3], expected["DEJ2000"].to_numpy()[:3], 0)
    assert [bool(flag) for flag in found["flags"].iloc[:3]] == [np.count_nonzero(same == pixel) > 1 for pixel in same]


def test_vizier_without_identifiers_gets_them_from_the_positions(vizier: tuple, tmp_path: Path) -> None:
    service, _, columns = vizier
    shard = Shard(1, int(pixels(columns["RAJ2000"][100:101], columns["DEJ2000"][100:101], 1)[0]))
    found = ask(service.url, shard, tmp_path)
    np.testing.assert_array_equal(found["source_id"], ids_of_positions(found["ra"].to_numpy(), found["dec"].to_numpy()))
    words = ask(service.url, shard, tmp_path, columns={"source_id": "Name"})
    assert words["source_id"].tolist() == found["source_id"].tolist()
    assert words["name"].str.startswith("J").all()


def test_vizier_says_what_it_does_not_know(vizier: tuple, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match=r"the query failed: .*no such table: J/A\+A/1/2") as caught:
        ask(vizier[0].url, Shard(1, 0), tmp_path, table="J/A+A/1/2")
    assert "\n" not in str(caught.value)


def test_a_recorded_answer_of_vizier(real_data: Path, tmp_path: Path) -> None:
    """The first table of a real answer: positions with units, as TAPVizieR and the older interface give them."""
    recorded = (real_data / "astroquery_recorded/vizier/tests/data/viz.xml").read_bytes()
    head, tail = recorded.index(b"<TABLE ID="), recorded.index(b"</TABLE>")
    body = (
        b'<VOTABLE version="1.2" xmlns="http://www.ivoa.net/xml/VOTable/v1.2"><RESOURCE type="results">'
        b'<INFO name="QUERY_STATUS" value="OK"/>' + recorded[head:tail] + b"</TABLE></RESOURCE></VOTABLE>"
    ).replace(b'ref="J2000" ', b"")  # fmt: skip

    def answer(request: Request) -> Answer:
        return Answer(body, headers={"Content-Type": "application/x-votable+xml"})

    shard = Shard(4, int(pixels(np.array([101.2871]), np.array([-16.7161]), 4)[0]))
    with Service(answer) as service:
        found = ask(service.url, shard, tmp_path, columns={"ra": "_RAJ2000", "dec": "_DEJ2000"})
    assert sorted(zip(found["ra"], found["dec"], strict=True)) == [
        (101.2871, -16.7161), (101.2875, -16.7183), (101.295, -16.6994), (101.295, -16.6994), (101.295, -16.6994),
    ]  # fmt: skip
    assert (found["flags"] > 0).sum() == 3


@pytest.fixture(scope="module")
def own_catalogue(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    run = results(tmp_path_factory.mktemp("results"))
    folder = run.folder / "catalogue"
    build_catalogue(parameters("catalogue"), **run.inputs(), output=folder, table=run.folder / "catalogue.parquet", accounts=run.folder / "a.json")  # fmt: skip
    return folder, read_table(run.folder / "catalogue.parquet").to_pandas()


@pytest.mark.parametrize("order", [2, 8, 10])
def test_a_hats_catalogue_of_tuningfork_gives_its_sources_back(own_catalogue: tuple, order: int) -> None:
    folder, expected = own_catalogue
    found = all_rows(Hats(HatsCatalogue(path=str(folder))), expected, order).set_index("source_id").sort_index()
    if order > 8:  # sources without a position have their row where the catalogue has put it
        expected, found = expected[expected["ra"].notna()], found[found["ra"].notna()]
    expected = expected.set_index("source_id").sort_index()
    assert ((found["flags"] & int(Flag.NO_POSITION) > 0) == found["ra"].isna()).all()
    assert found.index.tolist() == expected.index.tolist()
    placed = expected["ra"].notna()
    for name in ("ra", "dec", "survey_mag", "survey_radius"):
        np.testing.assert_array_equal(found.loc[placed, name], expected.loc[placed, name])
    mapped = all_rows(Hats(HatsCatalogue(path=str(folder), columns={"mag": "mag"})), expected, order)
    np.testing.assert_array_equal(mapped.set_index("source_id")["survey_mag"].loc[expected.index], expected["mag"])


def hats_by_hand(folder: Path, frame: pd.DataFrame, order: int = 1, ending: str = ".parquet") -> Path:
    """Write a catalogue without the index column, its partitions as files or as folders of files."""
    number = pixels(frame["ra"].to_numpy(), frame["dec"].to_numpy(), order)
    for pixel, part in frame.groupby(number):
        path = folder / "dataset" / f"Norder={order}" / "Dir=0" / f"Npix={pixel}{ending.rstrip('/')}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if ending == "/":
            path.mkdir()
        part.to_parquet(path / "part0.parquet" if ending == "/" else path, index=False)
    (folder / "hats.properties").write_text(
        f"dataproduct_type=object\nhats_col_ra=mean_ra\nhats_col_dec=mean_dec\nhats_npix_suffix={ending}\n"
    )
    return folder


@pytest.mark.parametrize("ending", [".parquet", "/"])
def test_a_hats_catalogue_of_others(tmp_path: Path, ending: str) -> None:
    frame = sky()
    theirs = frame.rename(columns={"source_id": "objid"}).assign(mean_ra=frame["ra"], mean_dec=frame["dec"], ra=0.0)
    hats_by_hand(tmp_path / "collection" / "main", theirs.assign(ra=frame["ra"]), ending=ending)
    (tmp_path / "collection" / "collection.properties").write_text("hats_primary_table_url=main\n")
    found = all_rows(Hats(HatsCatalogue(path=str(tmp_path / "collection"))), frame)
    assert sorted(found["source_id"]) == sorted(frame["source_id"])


def test_folders_that_are_no_hats_catalogue_are_said_in_one_line(tmp_path: Path) -> None:
    frame = sky().assign(mean_ra=1.0, mean_dec=2.0)
    folder = hats_by_hand(tmp_path / "c", frame)
    files_of = sorted(folder.rglob("*.parquet"))
    here = {"kind": "hats", "path": str(folder)}
    before = check(here)["sources"]["hats"]
    files_of[-1].write_bytes(b"PAR1 no more")
    assert check(here)["sources"]["hats"] != before
    broken = int(files_of[-1].stem.split("=")[1])
    with pytest.raises(InputError, match=rf"Npix={broken}\.parquet: not a readable Parquet file") as caught:
        Hats(HatsCatalogue(path=str(folder))).sources(Shard(1, broken))
    assert "\n" not in str(caught.value)
    (folder / "partition_info.csv").write_text("Norder,Npix\n1,5\n1,../../../etc\n")
    with pytest.raises(ConfigurationError, match=r"partition_info\.csv: no list of the partitions of a HATS catalogue"):
        check(here)
    (folder / "partition_info.csv").write_text("Norder,Npix\n7,5\n")
    with pytest.raises(ConfigurationError, match=r"Npix=5\.parquet: missing, though the catalogue lists it"):
        check(here)
    (folder / "hats.properties").write_text("hats_npix_suffix=/../../x\n")
    with pytest.raises(ConfigurationError, match=r"hats_npix_suffix '/\.\./\.\./x' is no ending of a file"):
        check(here)
    (folder / "hats.properties").unlink()
    with pytest.raises(ConfigurationError, match=r"sources\.catalogue\.path: .*c: no HATS catalogue"):
        check(here)


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

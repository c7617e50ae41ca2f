"""Catalogues of VizieR and in HATS folders: each shard gets exactly its rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.servers.base import Answer, Request, Service
from helpers.servers.tap import Tap
from helpers.sourcelists import all_rows, check, sky
from helpers.synthetic_results import parameters, results

from tuningfork.catalogue.merge import build_catalogue
from tuningfork.core.config.sources import HatsCatalogue, Sources, VizierCatalogue
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import ConfigurationError, InputError, TransferError
from tuningfork.core.flags import Flag
from tuningfork.core.tables import read_table
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.lists.sources.hats import Hats
from tuningfork.surveys.lists.sources.listed import list_of_sources
from tuningfork.surveys.lists.sources.rows import ids_of_positions
from tuningfork.surveys.transfer.network import Network

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
    tap = Tap({NAME: columns}, path="/TAPVizieR/tap", most=30)
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
    shards = [Shard(0, pixel) for pixel in range(1, 12, 3)]
    found = pd.concat([ask(service.url, shard, tmp_path, columns=mapping) for shard in shards]).set_index("name")
    expected = pd.DataFrame(columns).set_index("Name")
    number = pixels(expected["RAJ2000"].to_numpy(), expected["DEJ2000"].to_numpy(), 0)
    expected = expected[number % 3 == 1]
    assert sorted(found.index) == sorted(expected.index)
    found = found.loc[expected.index]
    np.testing.assert_array_equal(found["source_id"], expected["SDSS-id"])
    np.testing.assert_array_equal(found["survey_mag"], expected["r mag"])
    assert f'SELECT "SDSS-id", "Name", "RAJ2000", "DEJ2000", "r mag" FROM "{NAME}" WHERE ' in tap.queries[0]
    assert len(tap.queries) > 4
    assert (
        found["flags"].tolist()
        == np.where(found["source_id"].duplicated(keep=False), int(Flag.DUPLICATE_ID), 0).tolist()
    )
    assert found["flags"].any()


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
    build_catalogue(parameters("catalogue"), run.catalogue_files(output=folder))
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
    with pytest.raises(
        ConfigurationError, match=r"partition_info\.csv: not a list of the partitions of a HATS catalogue"
    ):
        check(here)
    (folder / "partition_info.csv").write_text("Norder,Npix\n7,5\n")
    with pytest.raises(
        ConfigurationError, match=r"Npix=5\.parquet: the file is missing, although the catalogue lists it"
    ):
        check(here)
    (folder / "hats.properties").write_text("hats_npix_suffix=/../../x\n")
    with pytest.raises(ConfigurationError, match=r"hats_npix_suffix '/\.\./\.\./x' is not the ending of a file"):
        check(here)
    (folder / "hats.properties").unlink()
    with pytest.raises(ConfigurationError, match=r"sources\.catalogue\.path: .*c: not a HATS catalogue"):
        check(here)

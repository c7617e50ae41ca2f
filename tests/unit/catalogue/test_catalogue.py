"""The published catalogue: complete, consistent, and read by the tools that astronomers use."""

import io
import json
from pathlib import Path

import duckdb
import hats
import hats.io.validation
import lsdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.io import votable
from astropy.table import Table
from helpers.synthetic_results import BANDS, CLASSES, INTERVALS, Results, parameters, results

from tuningfork.catalogue.hats import properties_text
from tuningfork.catalogue.merge import build_catalogue
from tuningfork.core.columns import published
from tuningfork.core.errors import InputError
from tuningfork.core.flags import Flag
from tuningfork.core.tables import lineage_of, read_table, write_table


def build(run: Results, **changes: object) -> tuple[Path, Path, Path]:
    files = run.catalogue_files(**changes)
    build_catalogue(parameters("catalogue"), files)
    return files.output, files.table, files.accounting


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Results:
    run = results(tmp_path_factory.mktemp("results"))
    build(run)
    return run


def test_every_source_is_one_row_with_exactly_the_published_columns(run: Results) -> None:
    table = pq.read_table(run.folder / "catalogue.parquet")
    ids = sorted(k for path in run.paths("sources") for k in pq.read_table(path)["source_id"].to_pylist())
    assert sorted(table["source_id"].to_pylist()) == ids
    assert table.column_names == ["_healpix_29", *(column.name for column in published(BANDS))]
    for column in published(BANDS):
        assert table.schema.field(column.name).type == column.dtype


def test_values_stay_with_their_source(run: Results) -> None:
    table = pq.read_table(run.folder / "catalogue.parquet").to_pandas().set_index("source_id")
    for stage, name in [
        ("structure", "r_eff"),
        ("bars", "bar_length"),
        ("morphology", "bar_vote_share"),
        ("sources", "ra"),
    ]:
        for path in run.paths(stage):
            part = pq.read_table(path).to_pandas().set_index("source_id")
            np.testing.assert_array_equal(table.loc[part.index, name], part[name])


def test_missing_values_are_nulls_and_never_nan(run: Results) -> None:
    table = pq.read_table(run.folder / "catalogue.parquet")
    for field in table.schema:
        if pa.types.is_floating(field.type):
            assert not pc.any(pc.is_nan(table[field.name])).as_py(), field.name
    assert table["ra"].null_count == 2
    assert table["mag"].null_count == 4


def test_flags_of_all_stages_are_joined(run: Results) -> None:
    path = run.paths("bars")[0]
    part = pq.read_table(path)
    table = pq.read_table(run.folder / "catalogue.parquet").to_pandas().set_index("source_id")
    flags = table.loc[part["source_id"].to_pylist(), "flags"].to_numpy()
    np.testing.assert_array_equal(flags, part["flags"].to_numpy())
    assert flags[0] & Flag.NO_POSITION
    assert flags[1] & Flag.BAD_TILE


def test_rows_are_in_healpix_order_and_a_source_without_position_stands_first(run: Results) -> None:
    table = pq.read_table(run.folder / "catalogue.parquet")
    index = table["_healpix_29"].to_numpy()
    assert np.all(np.diff(index) >= 0)
    assert table["ra"][0].as_py() is None
    assert index[0] == run.shards[0].pixel << 42


def test_hats_folder_is_valid_and_lsdb_searches_it(run: Results) -> None:
    folder = run.folder / "catalogue"
    assert hats.io.validation.is_valid_catalog(folder, strict=True)
    catalogue = hats.read_hats(folder)
    assert catalogue.catalog_info.total_rows == 60
    assert len(catalogue.get_healpix_pixels()) == 2
    frame = pd.read_parquet(run.folder / "catalogue.parquet")
    target = frame.dropna(subset="ra").iloc[5]
    found = lsdb.open_catalog(folder).cone_search(target["ra"], target["dec"], 5).compute()
    assert target["source_id"] in list(found["source_id"])
    assert len(found) < 30


def test_lsdb_crossmatches_the_catalogue_with_itself(run: Results) -> None:
    catalogue = lsdb.open_catalog(run.folder / "catalogue", columns=["source_id", "ra", "dec"]).query("ra.notna()")
    matched = catalogue.crossmatch(
        catalogue, radius_arcsec=0.1, suffixes=("_a", "_b"), suffix_method="all_columns", require_right_margin=False
    )
    pairs = matched.compute()
    assert len(pairs) == 58
    assert (pairs["source_id_a"] == pairs["source_id_b"]).all()


def test_astropy_shows_units_and_descriptions(run: Results) -> None:
    for path in [run.folder / "catalogue.parquet", *(run.folder / "catalogue").rglob("Npix=*.parquet")]:
        table = Table.read(path)
        assert table["r_eff"].unit == u.arcsec
        assert table["ra"].unit == u.deg
        assert "half-light" in table["r_eff"].description
        assert np.isnan(table["mag"][0])
        assert table["name"][5].startswith("galaxy ")
        assert table["morphology"][0] == "None"


def test_votable_in_the_file_names_every_column_with_its_unit(run: Results) -> None:
    path = run.folder / "catalogue.parquet"
    schema = pq.read_schema(path)
    assert schema.metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    document = votable.parse(io.BytesIO(schema.metadata[b"IVOA.VOTable-Parquet.content"]), verify="exception")
    fields = document.get_first_table().fields
    assert [field.name for field in fields] == schema.names
    by_name = {field.name: field for field in fields}
    assert by_name["bar_length"].unit == u.arcsec
    assert by_name["ra"].ucd == "pos.eq.ra;meta.main"
    assert schema.field("bar_length").metadata[b"unit"] == b"arcsec"


def test_astropy_reads_it_as_a_parquet_votable(run: Results) -> None:
    table = Table.read(run.folder / "catalogue.parquet", format="parquet.votable")
    assert len(table) == 60
    assert table["bar_length"].unit == u.arcsec


def test_pandas_and_duckdb_read_both_forms(run: Results) -> None:
    frame = pd.read_parquet(run.folder / "catalogue.parquet")
    assert len(frame) == 60
    assert set(frame["morphology"].dropna()) <= set(CLASSES)
    query = "select count(*), count(bar_length), max(bar_vote_share) from read_parquet(?)"
    single = duckdb.execute(query, [str(run.folder / "catalogue.parquet")]).fetchone()
    pattern = str(run.folder / "catalogue/dataset/*/*/*.parquet")
    assert single == duckdb.execute(query, [pattern]).fetchone()
    assert single
    assert single[0] == 60


def test_provenance_is_in_the_file_the_properties_and_the_accounts(run: Results) -> None:
    metadata = pq.read_schema(run.folder / "catalogue.parquet").metadata
    accounts = json.loads((run.folder / "accounting.json").read_text())
    lineage = lineage_of(run.folder / "catalogue.parquet")
    assert lineage == accounts["lineage"]
    assert lineage["catalogue"] == "catalogue-digest"
    assert lineage["train-structure"] == "m0"
    assert json.loads(metadata[b"tuningfork.models"])[0]["weights_sha256"] == "ab" * 32
    assert {"torch", "galsim", "tuningfork"} <= set(json.loads(metadata[b"tuningfork.versions"]))
    assert json.loads(metadata[b"tuningfork.intervals"]) == INTERVALS
    properties = hats.read_hats(run.folder / "catalogue").catalog_info.extra_dict()
    assert json.loads(properties["tuningfork_lineage"]) == lineage
    assert json.loads(properties["tuningfork_intervals"]) == INTERVALS


def test_accounts_add_up(run: Results) -> None:
    accounts = json.loads((run.folder / "accounting.json").read_text())
    total, shards = accounts["total"], accounts["shards"]
    assert total["sources_in"] == total["rows_out"] == 60
    assert [shards[shard.name]["rows_out"] for shard in run.shards] == [30, 30, 0]
    assert total["measured"]["classified"] == sum(total["classes"].values()) == 56
    assert total["flags"]["NO_POSITION"] == 2
    assert total["flags"]["BAD_TILE"] == 2
    assert total["tiles"] == {"ok": 8, "missing": 1, "reasons": {"404 Not Found": 1}}


def test_the_same_tables_give_the_same_bytes(run: Results, tmp_path: Path) -> None:
    again = tmp_path / "again.parquet"
    build(run, output=tmp_path / "hats", table=again, accounting=tmp_path / "a.json")
    assert again.read_bytes() == (run.folder / "catalogue.parquet").read_bytes()
    names = sorted(path.relative_to(tmp_path / "hats") for path in (tmp_path / "hats").rglob("*") if path.is_file())
    for name in names:
        assert (tmp_path / "hats" / name).read_bytes() == (run.folder / "catalogue" / name).read_bytes(), name


def test_a_table_with_other_sources_is_refused_by_name(tmp_path: Path) -> None:
    run = results(tmp_path, galaxies=4)
    path = run.paths("structure")[0]
    write_table(path, read_table(path).slice(1), lineage_of(path))
    with pytest.raises(InputError, match=f"structure/{run.shards[0].name}.parquet"):
        build(run)
    assert not (tmp_path / "catalogue").exists()
    assert not (tmp_path / "catalogue.parquet").exists()
    assert not list(tmp_path.glob(".catalogue*"))


def test_tables_of_different_parameters_are_refused(tmp_path: Path) -> None:
    run = results(tmp_path, galaxies=4)
    path = run.paths("bars")[1]
    write_table(path, read_table(path), {"stamps": "of another run"})
    with pytest.raises(InputError, match="different parameters of the stage stamps"):
        build(run)


def test_tables_in_another_order_are_refused(tmp_path: Path) -> None:
    run = results(tmp_path, galaxies=4)
    with pytest.raises(InputError, match="same order"):
        build(run, bars=run.paths("bars")[::-1])


def test_a_missing_table_is_refused_with_its_stage(tmp_path: Path) -> None:
    run = results(tmp_path, galaxies=4)
    number = len(run.shards)
    with pytest.raises(InputError, match=f"the stage bars has {number - 1} tables for {number} shards"):
        build(run, bars=run.paths("bars")[:-1])


def test_a_source_outside_its_shard_is_refused(tmp_path: Path) -> None:
    run = results(tmp_path, galaxies=4)
    path = run.paths("sources")[0]
    table = read_table(path)
    place = table.column_names.index("dec")
    table = table.set_column(place, table.schema.field("dec"), pa.array([0.0, 0.0, 40.0, 0.0]))
    write_table(path, table, lineage_of(path))
    with pytest.raises(InputError, match=r"lie outside shard"):
        build(run)


def test_no_sources_at_all_is_said_clearly(tmp_path: Path) -> None:
    run = results(tmp_path, galaxies=0)
    with pytest.raises(InputError, match=r"no sources.*enlarge sky\.footprint or raise sources\.mag_max"):
        build(run)
    assert not (tmp_path / "catalogue").exists()


def test_a_new_catalogue_replaces_the_old_one_whole(tmp_path: Path) -> None:
    run = results(tmp_path, galaxies=4)
    folder, _, _ = build(run)
    (folder / "left over").write_text("x")
    build(run)
    assert not (folder / "left over").exists()
    assert hats.io.validation.is_valid_catalog(folder, strict=True)
    assert not list(tmp_path.glob(".catalogue*"))


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    run = results(tmp_path, galaxies=4)
    run.paths("bars")[0].unlink()
    with pytest.raises(InputError, match=f"bars/{run.shards[0].name}.parquet"):
        build(run)


def test_properties_survive_equal_signs_and_backslashes() -> None:
    assert properties_text({"a b": "c=d\\e"}) == "a\\ b=c=d\\\\e\n"


def flagged_as_artifact(run: Results, stage: str, row: int) -> int:
    """Set STAR_OR_ARTIFACT in one row of a stage's first table; return its source_id."""
    path = run.paths(stage)[0]
    table = read_table(path)
    flags = table["flags"].to_numpy().copy()
    flags[row] |= int(Flag.STAR_OR_ARTIFACT)
    place = table.column_names.index("flags")
    write_table(path, table.set_column(place, table.schema.field("flags"), pa.array(flags)), lineage_of(path))
    return int(table["source_id"][row].as_py())


def test_stars_and_artifacts_have_neither_profile_nor_bar_and_count_as_no_galaxies(tmp_path: Path) -> None:
    """By votes or by size: the class says so, what describes a galaxy is null, and the votes stay as evidence."""
    run = results(tmp_path)
    build(run)
    before = json.loads((run.folder / "accounting.json").read_text())["total"]["measured"]
    bars = read_table(run.paths("bars")[0])["bar_length"].is_valid().to_numpy()
    barred = np.flatnonzero(bars)[:2].tolist()
    stars = [
        flagged_as_artifact(run, stage, row) for stage, row in zip(("morphology", "structure"), barred, strict=True)
    ]
    build(run)
    rows = pq.read_table(run.folder / "catalogue.parquet").to_pandas().set_index("source_id")
    about_galaxies = [c.name for c in published(BANDS) if c.stage in ("structure", "bars", "features")]
    assert rows.loc[stars, about_galaxies].isna().all(axis=None)
    assert list(rows.loc[stars, "morphology"]) == ["artifact"] * 2
    assert rows.loc[stars, ["bar_probability", "smooth_or_featured_artifact_fraction", "ra"]].notna().all(axis=None)
    # Samples of barred galaxies are chosen by this flag.
    assert (rows.loc[stars, "flags"] & int(Flag.NOT_BARRED) > 0).all()
    assert rows.drop(stars)["bar_length"].notna().any()
    after = json.loads((run.folder / "accounting.json").read_text())["total"]
    assert after["measured"] == {name: number - 2 for name, number in before.items()}
    assert after["classes"]["artifact"] == 2

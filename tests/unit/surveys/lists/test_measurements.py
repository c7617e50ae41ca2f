"""Measured galaxies: what is read of a table, which stamp a row belongs to, and that no row is lost without a word."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from helpers.small_sets import BANDS, parameters, stamp_files, write_stamps
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.columns.table import shard_table
from tuningfork.core.config import validate
from tuningfork.core.config.measurements import Measurements
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.files import open_array
from tuningfork.core.tables import read_table, write_table
from tuningfork.sky.coordinates import pixel_to_sky_angle
from tuningfork.stamps.store import StampFiles
from tuningfork.surveys.area import shards_of_measurements
from tuningfork.surveys.lists.labels.measured import PARAMETER_LIMITS, PARAMETERS, read_measured
from tuningfork.training.labels import matching
from tuningfork.training.labels.matched import MatchedFiles, split_of
from tuningfork.training.labels.measurements import match_measurements
from tuningfork.training.sets.dataset import open_training_set

COUNT = 12
ARCSEC = 1 / 3600


def write(frame: pd.DataFrame, path: Path) -> Path:
    """Write a table in the format that the ending of its name says."""
    match path.suffix:
        case ".parquet":
            frame.to_parquet(path)
        case ".csv":
            frame.to_csv(path, index=False)
        case suffix:
            Table.from_pandas(frame).write(path, format="votable" if suffix == ".vot" else "fits")
    return path


def read(frame: pd.DataFrame, path: Path, **changes: Any):
    write(frame, path)
    return read_measured(Measurements(table=str(path), **changes))


def measured_rows(count: int = COUNT) -> pd.DataFrame:
    """Return measurements of the sources of :func:`shards`, one each."""
    rng = np.random.default_rng(3)
    return pd.DataFrame({
        "ra": 150 + 0.001 * np.arange(count), "dec": np.full(count, 2.0), "mag": rng.uniform(14, 18, count),
        "r_eff": rng.uniform(1, 4, count), "axis_ratio": rng.uniform(0.2, 1, count), "position_angle": rng.uniform(0, 180, count),
    })  # fmt: skip


def shards(folder: Path) -> tuple[list[Path], list[Path]]:
    """Write sources and stamps of two shards of six sources; 1 and 4 of each have no stamp."""
    sources, stamps = [], []
    rows = measured_rows()
    turns = np.random.default_rng(4).uniform(-180, 180, COUNT)
    for shard in range(2):
        part = slice(6 * shard, 6 * shard + 6)
        ids = np.arange(6) + 100 * (shard + 1)
        sources.append(folder / "sources" / f"8-{shard}.parquet")
        values = {"source_id": ids, "flags": np.zeros(6, np.int64), "ra": rows["ra"][part], "dec": rows["dec"][part]}
        write_table(sources[-1], shard_table("sources", values | {"name": [f"NGC {k}" for k in ids]}), {"sources": "s"})
        stamps.append(folder / "stamps" / f"8-{shard}.parquet")
        stamps[-1].parent.mkdir(exist_ok=True)
        left = np.arange(6) % 2 == 0
        write_stamps(stamps[-1], 6, seed=shard, source_id=ids, north_angle=turns[part], east_is_left=left)
    return sources, stamps


def match(sources: list[Path], stamps: list[Path], outputs: list[Path], values: dict[str, Any]) -> None:
    """Match the configured table with sources and stamps, and write pixels, table and account to `outputs`."""
    pixels, table, rows = outputs
    match_measurements(
        parameters("match_measurements", train=values),
        sources=sources,
        stamps=[stamp_files(path) for path in stamps],
        outputs=MatchedFiles(StampFiles(table, pixels), rows),
    )


def run(folder: Path, rows: pd.DataFrame, **settings: Any) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Match a table with the two shards and return the part, its stamps and the account of the rows."""
    sources, stamps = shards(folder)
    rows.to_csv(folder / "t.csv", index=False)
    values = {"structure": {"measurements": {"table": str(folder / "t.csv"), **settings}}}
    outputs = [folder / f"measurements.{ending}" for ending in ("npy", "parquet", "csv")]
    match(sources, stamps, outputs, values)
    account = pd.read_csv(outputs[2], keep_default_na=False)
    return read_table(outputs[1]).to_pandas(), open_array(outputs[0]), account


@pytest.mark.parametrize("kind", ["parquet", "csv", "fits", "vot"])
def test_a_table_is_read_whatever_its_format(tmp_path: Path, kind: str) -> None:
    rows = measured_rows()
    measured = read(rows.rename(columns={"r_eff": "SIZE"}), tmp_path / f"t.{kind}", columns={"r_eff": "size"})
    assert measured is not None
    assert measured.by_position
    for name in rows:
        np.testing.assert_allclose(measured.rows[name], rows[name])
    assert measured.rows[["sersic_n", "bulge_to_total"]].isna().all(axis=None)
    assert (measured.fault == "").all()


def test_units_of_a_fits_table_are_understood(tmp_path: Path) -> None:
    rows = Table.from_pandas(measured_rows())
    rows["r_eff"] = rows["r_eff"] / 60
    rows["r_eff"].unit, rows["position_angle"] = "arcmin", np.deg2rad(rows["position_angle"])
    rows["position_angle"].unit = "rad"
    rows.write(tmp_path / "t.fits")
    measured = read_measured(Measurements(table=str(tmp_path / "t.fits")))
    for name in ("r_eff", "position_angle"):
        np.testing.assert_allclose(measured.rows[name], measured_rows()[name])


@given(st.lists(st.tuples(*[st.none() | st.floats(-1000, 1000)] * 8), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_rows_that_no_galaxy_can_have_are_named_and_the_others_kept(tmp_path_factory, rows: list) -> None:
    frame = pd.DataFrame(rows, columns=["ra", "dec", *PARAMETERS], dtype=float)
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    frame.to_parquet(path)
    good = frame["ra"].between(-360, 720) & frame["dec"].between(-90, 90) & frame[list(PARAMETERS)].notna().any(axis=1)
    for name, limits in PARAMETER_LIMITS.items():
        good &= frame[name].isna() | frame[name].between(*limits)
    if good.any():
        measured = read_measured(Measurements(table=str(path)))
        assert ((measured.fault == "") == good).all()
        assert len(measured.rows) == len(rows)
    else:
        with pytest.raises(InputError, match=f"none of its {len(rows)} rows can be used"):
            read_measured(Measurements(table=str(path)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ra,dec,colour\n1,2,3\n", "expected at least one of mag, r_eff"),
        ("x,y,mag\n1,2,3\n", r"expected ra and dec \(deg\), or source_id"),
        ("ra,dec,mag\n1,2,bright\n", "row 1: mag is 'bright'; expected a number"),
        ("ra,dec,mag\n1,2,-98\n", "none of its 1 rows can be used; most often: mag outside 0 to 40"),
        ("ra,dec,mag\n1,2,-99\n", "none of its 1 rows can be used; most often: no measurement"),
        ("", "not a readable table"),
    ],
)
def test_a_table_that_is_of_no_use_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_measured(Measurements(table=str(tmp_path / "t.csv")))


def test_rows_all_over_the_sky_are_refused_before_any_job(tmp_path: Path) -> None:
    pd.DataFrame({"ra": np.arange(100) * 3.0, "dec": 1.0, "mag": 16.0}).to_csv(tmp_path / "t.csv", index=False)
    values = {"train": {"structure": {"measurements": {"table": str(tmp_path / "t.csv")}}}}
    with pytest.raises(ConfigurationError, match=r"its rows lie in 100 shards.*max_shards is 64"):
        shards_of_measurements(validate(values), [])


def test_every_row_gets_the_stamp_of_its_galaxy_and_its_angle_on_it(tmp_path: Path) -> None:
    rows = measured_rows().sample(frac=1, random_state=1)
    part, pixels, account = run(tmp_path, rows)
    kept = [100, 102, 103, 105, 200, 202, 203, 205]
    assert part["source_id"].tolist() == kept
    _, stamps = shards(tmp_path / "again")
    originals = {int(k): p for path in stamps for k, p in zip(read_table(path)["source_id"].to_numpy(), open_array(path.with_suffix(".npy")), strict=True)}  # fmt: skip
    for row, image in zip(part.itertuples(), pixels, strict=True):
        np.testing.assert_array_equal(image, originals[row.source_id])
    facts = pd.concat([read_table(path).to_pandas() for path in stamps]).set_index("source_id").loc[kept]
    truth = measured_rows().assign(source_id=np.r_[100:106, 200:206]).set_index("source_id").loc[kept]
    angle = pixel_to_sky_angle(part["position_angle"], facts["north_angle"], facts["east_is_left"].astype(bool))
    np.testing.assert_allclose(angle, truth["position_angle"], atol=1e-4)
    np.testing.assert_allclose(part["r_eff"], truth["r_eff"], rtol=1e-6)
    assert part["sersic_n"].isna().all()
    assert account["used"].sum() == len(kept)
    assert (account.loc[~account["used"], "reason"].str.startswith("no usable stamp (")).all()
    assert open_training_set([stamp_files(tmp_path / "measurements.parquet")]).bands == BANDS


def test_every_row_of_the_table_is_accounted_for(tmp_path: Path) -> None:
    rows = measured_rows()
    rows.loc[0, "ra"] += 0.4 * ARCSEC
    rows = pd.concat([rows, rows.iloc[[0]].assign(ra=150.0 + 0.2 * ARCSEC), rows.iloc[[2]].assign(dec=2.1)])
    rows = pd.concat([rows, rows.iloc[[3]].assign(mag=-98.0), rows.iloc[[3]].assign(ra=np.nan)])
    part, _, account = run(tmp_path, rows)
    reasons = account["reason"].tolist()
    assert len(account) == len(rows) == COUNT + 4
    assert reasons[0] == "another row is about the same source"
    assert reasons[COUNT:] == ["", "no source within 1 arcsec", "mag outside 0 to 40", "no valid position"]
    assert account["used"].sum() == len(part) == 8


def test_identifiers_and_names_serve_where_there_is_no_position(tmp_path: Path) -> None:
    rows = pd.DataFrame({"id": ["102", "NGC 203", "7"], "mag": [15.0, 16.0, 17.0]})
    part, _, account = run(tmp_path, rows)
    assert part["source_id"].tolist() == [102, 203]
    np.testing.assert_allclose(part["mag"], [15, 16])
    assert account["reason"].tolist() == ["", "", "no source with this source_id"]


def test_pixels_without_data_are_zero_as_in_simulated_parts(tmp_path: Path) -> None:
    _, stamps = shards(tmp_path / "made")
    for path in stamps:
        pixels = np.load(path.with_suffix(".npy"))
        pixels[:, 0, :, :4], pixels[:, 1, :, :4] = 1e9, 0
        np.save(path.with_suffix(".npy"), pixels)
    sources = [tmp_path / "made" / "sources" / path.name for path in stamps]
    measured_rows().to_csv(tmp_path / "t.csv", index=False)
    values = {"structure": {"measurements": {"table": str(tmp_path / "t.csv")}}}
    outputs = [tmp_path / f"m.{ending}" for ending in ("npy", "parquet", "csv")]
    match(sources, stamps, outputs, values)
    assert (np.load(outputs[0])[:, 0, :, :4] == 0).all()


def test_a_table_without_a_single_match_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of its 12 rows can be used: 12 no source within 0.01 arcsec"):
        run(tmp_path, measured_rows().assign(dec=2.0 + 0.1 * ARCSEC), match_radius=0.01)


def test_the_nearest_source_is_the_nearest_on_the_sphere(tmp_path: Path) -> None:
    """Across right ascension zero and at the pole, as separations by an independent implementation say."""
    rng = np.random.default_rng(5)
    ra = np.r_[rng.uniform(-0.01, 0.01, 40) % 360, rng.uniform(0, 360, 40)]
    dec = np.r_[rng.uniform(-0.01, 0.01, 40), 90 - rng.uniform(0, 0.01, 40)]
    rows = pd.DataFrame({"ra": np.roll(ra, 1) + 1e-4, "dec": np.clip(np.roll(dec, 1) + 1e-4, -90, 90), "mag": 16.0})
    measured = read(rows, tmp_path / "t.parquet")
    listed = pd.DataFrame({"source_id": np.arange(80), "name": None, "ra": ra, "dec": dec, "shard": "0-0"})
    found = matching.match(measured, listed, 60.0)
    sky = SkyCoord(ra, dec, unit="deg")
    expected = SkyCoord(rows["ra"], rows["dec"], unit="deg").match_to_catalog_sky(sky)[1].arcsec
    np.testing.assert_allclose(found.separation, expected, rtol=1e-6, atol=1e-6)


def test_the_split_is_8_1_1_and_no_other_row_can_change_it() -> None:
    splits = pd.Series([split_of(k) for k in range(4000)]).value_counts(normalize=True)
    assert splits["train"] == pytest.approx(0.8, abs=0.02)
    assert splits["validation"] == pytest.approx(0.1, abs=0.02)
    assert split_of(1237648720693755918) == split_of(1237648720693755918)

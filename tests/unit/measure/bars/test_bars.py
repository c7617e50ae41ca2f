"""The bars table of a shard: averages over networks, calibration, combination, flags, angles on the sky."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from helpers.small_networks import LINEAGE, SCALE, model_card, morphology_table, parameters, stamp_store

from tuningfork.core.files import new_array, open_array, write_json
from tuningfork.core.flags import Flag
from tuningfork.core.tables import detail_of, lineage_of, numpy_column, read_table, write_table
from tuningfork.explain.shard import saliency_shard
from tuningfork.measure.bars.combination import BarCombination, alone
from tuningfork.measure.bars.estimators import average
from tuningfork.measure.bars.length_calibration import LengthCalibration, fit, identity
from tuningfork.measure.bars.maps import NOT_MEASURED, BarShape
from tuningfork.measure.bars.shard import barred, measure_bars
from tuningfork.stamps.store import StampFiles


def shape(length: float, angle: float = 0.0, flags: int = 0) -> BarShape:
    return BarShape(length, length / 4, angle, flags)


def test_the_networks_are_averaged_and_their_scatter_is_the_error() -> None:
    found = average([[shape(20), shape(20)], [shape(18), shape(22)], [NOT_MEASURED, shape(30)], [NOT_MEASURED] * 2])
    assert found.length[:3] == pytest.approx([20, 20, 30])
    assert np.isnan(found.length[3])
    assert found.spread[0] == 0
    assert found.spread[1] == pytest.approx(0.1, rel=0.02)
    assert found.flags.tolist() == [0, 0, 0, Flag.BAR_NOT_MEASURED]


def test_angles_are_averaged_as_axes() -> None:
    found = average([[shape(20, 179), shape(20, 3)], [shape(20, 40), shape(20, 50)]])
    assert found.angle == pytest.approx([1, 45])
    assert found.angle_spread[0] == pytest.approx(2 / np.sqrt(2), rel=0.05)


def test_a_flag_needs_half_of_the_networks() -> None:
    edge = int(Flag.BAR_REACHES_EDGE)
    assert average([[shape(20, flags=edge), shape(20), shape(20)]]).flags.tolist() == [0]
    assert average([[shape(20, flags=edge), shape(20)]]).flags.tolist() == [edge]


def test_a_bar_needs_the_votes_and_a_disc_that_is_not_edge_on() -> None:
    fractions = np.array([0.6, 0.6, 0.4, np.nan, 0.6])
    classes = np.array(["barred_spiral", "edge_on", "spiral", None, None], dtype=object)
    assert barred(fractions, classes, 0.5).tolist() == [True, False, False, False, False]
    assert barred(fractions, classes, 0.3).tolist() == [True, False, True, False, False]


def test_the_calibration_recovers_a_power_law_and_its_scatter() -> None:
    rng = np.random.default_rng(0)
    raw, psf = rng.uniform(8, 60, 400), rng.uniform(2, 5, 400)
    truth = 1.5 * raw**0.8 * psf**0.2 * rng.lognormal(0, 0.1, 400)
    found = fit(raw, np.full(400, 0.05), truth, psf)
    assert [found.slope, found.psf_slope] == pytest.approx([0.8, 0.2], abs=0.05)
    assert found.scatter == pytest.approx(0.1, rel=0.15)
    assert found.error(np.array([0.05]))[0] == pytest.approx(found.scatter, rel=0.01)
    assert LengthCalibration.from_dict(found.as_dict()) == found


def test_too_few_galaxies_leave_the_lengths_as_they_are_and_say_so() -> None:
    few = np.array([10.0, 20.0])
    found = fit(few, few * 0, few, few)
    assert found == identity(2)
    assert "2" in found.note
    assert found.apply(few, few) == pytest.approx(few)


def evaluation(path: Path, first: str = "direct", **calibration: Any) -> Path:
    """Write an evaluation in which one estimator decides, and where it is lacking the direct one."""
    names = ("saliency", "direct", "mask", "fourier", "axis_ratio")
    calibrations = {name: identity(0).as_dict() | calibration for name in names}
    combination = alone()
    if first != "direct":
        # Its errors are a part of the other's: all weight is its own.
        combination = BarCombination(["direct", first], [[1.0, 0.09], [0.09, 0.09]], 1.0, {first: 5.0}, 5.0, 100)
    values = {"bar_calibration": calibrations, "bar_combination": combination.as_dict()}
    write_json(path, values | {"lineage": {"evaluate": "e0"}})
    return path


def sources_table(path: Path, stamps: Path) -> Path:
    """Write sources of which every other has a redshift."""
    source_id = read_table(stamps)["source_id"]
    redshift = [0.05 if k % 2 else None for k in range(len(source_id))]
    write_table(path, pa.table({"source_id": source_id, "redshift": pa.array(redshift, pa.float32())}), LINEAGE)
    return path


def structure_table(path: Path, stamps: Path) -> Path:
    """Write discs of axis ratio 0.6, whose major axis is the north."""
    source_id = read_table(stamps)["source_id"]
    ratio, angle = (np.full(len(source_id), value, dtype=np.float32) for value in (0.6, 0.0))
    write_table(path, pa.table({"source_id": source_id, "axis_ratio": ratio, "position_angle": angle}), LINEAGE)
    return path


@pytest.fixture
def shard(tmp_path: Path) -> dict[str, Any]:
    stamps = stamp_store(tmp_path / "stamps" / "8-5.parquet", 6)
    models = [model_card(tmp_path, "morphology", member) for member in range(2)]
    morphology = morphology_table(
        tmp_path / "morphology.parquet", stamps, np.array([False, True, True, False, True, True])
    )
    y, x = np.indices((64, 64)) - 32
    bar = np.clip(1 - (y / 12) ** 2 - (x / 4) ** 2, 0, None)
    saliency = tmp_path / "saliency.parquet"
    with new_array(saliency.with_suffix(".npy"), (6, 2, 64, 64), np.float16) as maps:
        maps[1:5] = bar / bar.max()
    rows = read_table(stamps, ["source_id", "flags"])
    write_table(saliency, rows, LINEAGE | {"saliency": "y0"}, members=2)
    return {
        "sources": sources_table(tmp_path / "sources.parquet", stamps),
        "stamps": stamps,
        "saliency": saliency,
        "morphology": morphology,
        "structure": structure_table(tmp_path / "structure.parquet", stamps),
        "models": models,
        "evaluation": evaluation(tmp_path / "evaluation.json"),
        "output": tmp_path / "bars.parquet",
    }


def test_every_source_has_a_row_and_only_barred_ones_a_recommended_length(shard: dict[str, Any]) -> None:
    measure_bars(parameters("bars"), **shard)
    table = read_table(shard["output"])
    assert table["source_id"].equals(read_table(shard["stamps"])["source_id"])
    assert table["bar_length"].is_valid().to_pylist() == [False, True, True, False, True, True]
    assert table["bar_length_method"].to_pylist() == [None, "direct", "direct", None, "direct", "direct"]
    assert table["bar_length_saliency"].is_valid().to_pylist() == [False, True, True, True, True, False]
    assert table["bar_length_direct"].is_valid().to_pylist() == [False, True, True, True, True, True]
    flags = numpy_column(table, "flags")
    assert (flags & Flag.NOT_BARRED > 0).tolist() == [False, False, False, True, False, False]
    assert (flags & Flag.BAR_NOT_MEASURED > 0).tolist() == [True, False, False, False, False, True]
    assert flags[0] & 8
    assert lineage_of(shard["output"])["bars"] == "bars-digest"
    assert detail_of(shard["output"], "method") == "moments"


def test_lengths_are_in_arcsec_and_angles_on_the_sky(shard: dict[str, Any], tmp_path: Path) -> None:
    evaluation(tmp_path / "evaluation.json", "saliency")
    measure_bars(parameters("bars"), **shard)
    table = read_table(shard["output"])
    raw = numpy_column(table, "bar_length_saliency_raw")[1]
    assert raw == pytest.approx(20 * SCALE, rel=0.25)
    # The bar lies along +y; north stands 20 deg from +y towards east, so the bar is 20 deg from north the other way.
    assert numpy_column(table, "bar_position_angle")[1] == pytest.approx(160, abs=0.5)
    assert numpy_column(table, "bar_position_angle_error")[1] == pytest.approx(5)


def test_lengths_in_the_disc_and_in_kiloparsecs_follow_from_inclination_and_redshift(
    shard: dict[str, Any], tmp_path: Path
) -> None:
    evaluation(tmp_path / "evaluation.json", "saliency")
    measure_bars(parameters("bars"), **shard)
    columns = ("bar_length", "bar_length_deprojected", "bar_length_kpc", "bar_length_error", "bar_length_kpc_error")
    seen, flat, kpc, error, kpc_error = (numpy_column(read_table(shard["output"]), name) for name in columns)
    # The bar lies 20 deg from the major axis of a disc of cos i = 0.577.
    assert flat[1] / seen[1] == pytest.approx(np.hypot(np.cos(0.349), np.sin(0.349) / 0.5774), rel=2e-3)
    # At z = 0.05 an arcsec is 0.977 kpc (H0 = 70, flat, matter 0.3).
    assert kpc[1] / seen[1] == pytest.approx(0.977, rel=2e-3)
    assert kpc_error[1] / kpc[1] == pytest.approx(error[1] / seen[1])
    assert np.isfinite(kpc).tolist() == [False, True, False, False, False, True]


def test_the_calibration_is_applied_and_its_scatter_is_in_the_error(shard: dict[str, Any], tmp_path: Path) -> None:
    evaluation(tmp_path / "evaluation.json", "saliency", intercept=float(np.log(2)), floor=0.3)
    measure_bars(parameters("bars"), **shard)
    table = read_table(shard["output"])
    raw, length = numpy_column(table, "bar_length_saliency_raw")[1], numpy_column(table, "bar_length")[1]
    assert length == pytest.approx(2 * raw, rel=1e-5)
    assert numpy_column(table, "bar_length_saliency_error")[1] == pytest.approx(0.3 * length, rel=1e-4)
    unit = numpy_column(table, "bar_length_direct_error")[1] / numpy_column(table, "bar_length_direct")[1]
    assert numpy_column(table, "bar_length_error")[1] == pytest.approx(0.3 * unit * length, rel=1e-4)
    # The last source has no map: the other estimator stands in, and the method says so.
    assert table["bar_length_method"].to_pylist() == [None, "saliency", "saliency", None, "saliency", "direct"]


def test_the_published_method_can_be_chosen(shard: dict[str, Any]) -> None:
    lengths = []
    for method in ("moments", "paper"):
        measure_bars(parameters("bars", bars={"method": method}), **shard)
        table = read_table(shard["output"])
        assert table["bar_length_saliency"].is_valid().to_pylist() == [False, True, True, True, True, False]
        lengths.append(numpy_column(table, "bar_length_saliency")[1])
    assert abs(lengths[0] / lengths[1] - 1) > 0.05


def test_a_bar_shorter_than_the_psf_is_flagged(shard: dict[str, Any], tmp_path: Path) -> None:
    evaluation(tmp_path / "evaluation.json", "saliency", intercept=-3.0)
    measure_bars(parameters("bars"), **shard)
    flags = numpy_column(read_table(shard["output"]), "flags")
    assert (flags[1:5] & Flag.BAR_SHORTER_THAN_PSF > 0).tolist() == [True, True, False, True]


def test_an_empty_shard_gives_an_empty_table(tmp_path: Path, shard: dict[str, Any]) -> None:
    stamps = stamp_store(tmp_path / "empty" / "8-6.parquet", 0)
    morphology = morphology_table(tmp_path / "none.parquet", stamps, np.zeros(0, dtype=bool))
    saliency = tmp_path / "maps.parquet"
    settings = {"samples": 2}
    saliency_shard(
        parameters("saliency", saliency=settings),
        stamps=StampFiles(stamps, stamps.with_suffix(".npy")),
        models=shard["models"],
        output=saliency.with_suffix(".npy"),
        table=saliency,
    )
    others = {
        "sources": sources_table(tmp_path / "no_sources.parquet", stamps),
        "structure": structure_table(tmp_path / "no_structure.parquet", stamps),
    }
    empty = {"stamps": stamps, "morphology": morphology, "saliency": saliency} | others
    measure_bars(parameters("bars"), **shard | empty)
    assert read_table(shard["output"]).num_rows == 0


def test_the_maps_of_a_shard_have_a_row_for_every_source(tmp_path: Path, shard: dict[str, Any]) -> None:
    table = tmp_path / "made.parquet"
    settings = {"samples": 3, "batch_size": 8}
    saliency_shard(
        parameters("saliency", saliency=settings),
        stamps=StampFiles(shard["stamps"], shard["stamps"].with_suffix(".npy")),
        models=shard["models"],
        output=table.with_suffix(".npy"),
        table=table,
    )
    maps, rows = open_array(table.with_suffix(".npy")), read_table(table)
    assert maps.shape == (6, 2, 64, 64)
    assert maps.dtype == np.float16
    assert not maps[0].any()
    assert np.all(maps[1:].max(axis=(2, 3)) == 1)
    assert np.all(maps[1:].min(axis=(2, 3)) == 0)
    assert rows["scale_1"].is_valid().to_pylist() == [False] + [True] * 5
    assert rows["source_id"].equals(read_table(shard["stamps"])["source_id"])
    assert lineage_of(table) == {"stamps": "t0", "train-morphology": "m0", "saliency": "saliency-digest"}
    again = tmp_path / "again.parquet"
    saliency_shard(
        parameters("saliency", saliency=settings),
        stamps=StampFiles(shard["stamps"], shard["stamps"].with_suffix(".npy")),
        models=shard["models"],
        output=again.with_suffix(".npy"),
        table=again,
    )
    assert np.array_equal(open_array(again.with_suffix(".npy")), maps)

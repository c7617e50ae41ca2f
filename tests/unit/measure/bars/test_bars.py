"""The bars table of a shard: averages over networks, calibration, combination, flags, angles on the sky."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from helpers.inferred import morphology_answers
from helpers.small_networks import LINEAGE, SCALE, SIZE, model_card, morphology_table, parameters, stamp_store
from helpers.small_sets import stamp_files

from tuningfork.calibrate.bar_learning import learn_range
from tuningfork.core.calibration_file import read_calibration, write_calibration
from tuningfork.core.columns import ESTIMATORS
from tuningfork.core.decision_tree import answers
from tuningfork.core.errors import InputError
from tuningfork.core.files import new_array, open_array
from tuningfork.core.flags import Flag
from tuningfork.core.tables import detail_of, lineage_of, numpy_column, read_table, write_table
from tuningfork.measure.bars.calibration import BarCalibration
from tuningfork.measure.bars.combination import BarCombination, direct_alone
from tuningfork.measure.bars.estimators import average
from tuningfork.measure.bars.length_calibration import identity
from tuningfork.measure.bars.limits import TrainedRange
from tuningfork.measure.bars.maps import NOT_MEASURED, BarShape
from tuningfork.measure.bars.recipe import counts_as_barred
from tuningfork.measure.bars.shard import BarInputs, measure_bars


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


def test_a_bar_needs_its_probability_and_a_galaxy_that_is_not_edge_on() -> None:
    probability = np.array([0.6, 0.6, 0.4, np.nan, 0.6])
    classes = np.array(["barred_spiral", "edge_on", "spiral", None, None], dtype=object)
    assert counts_as_barred(probability, classes, 0.5).tolist() == [True, False, False, False, False]
    assert counts_as_barred(probability, classes, 0.3).tolist() == [True, False, True, False, False]


def calibration(path: Path, first: str = "direct", **lengths: float) -> Path:
    """Write a calibration in which one estimator decides, and where it is lacking the direct one."""
    one = replace(identity(0), **lengths)
    combination = direct_alone()
    if first != "direct":
        # Its errors are a part of the other's: all weight is its own.
        combination = BarCombination(["direct", first], [[1.0, 0.09], [0.09, 0.09]], 1.0, {first: 5.0}, 5.0, 100)
    learned = BarCalibration(dict.fromkeys(ESTIMATORS, one), one, combination)
    write_calibration(path, "bars", learned, {"calibrate_bars": "e0"})
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


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Return the stamps of a shard, and what two networks say about them: table and masks."""
    folder = tmp_path_factory.mktemp("bars")
    stamps = stamp_store(folder / "8-5.parquet", 6)
    models = [model_card(folder, "morphology", member) for member in range(2)]
    return stamps, *morphology_answers(stamps, models)


def saliency_maps(path: Path, stamps: Path, maps: np.ndarray) -> tuple[Path, Path]:
    """Write saliency maps of a shard and return their table and array."""
    with new_array(path.with_suffix(".npy"), maps.shape, np.float16) as array:
        array[:] = maps
    write_table(path, read_table(stamps, ["source_id", "flags"]), LINEAGE | {"saliency": "y0"}, members=2)
    return path, path.with_suffix(".npy")


@pytest.fixture
def shard(tmp_path: Path, asked: tuple[Path, Path, Path]) -> BarInputs:
    stamps, answers, masks = asked
    y, x = np.indices((SIZE, SIZE)) - 32
    bar = np.clip(1 - (y / 12) ** 2 - (x / 4) ** 2, 0, None)
    maps = np.zeros((6, 2, SIZE, SIZE))
    maps[1:5] = bar / bar.max()
    saliency, array = saliency_maps(tmp_path / "saliency.parquet", stamps, maps)
    barred = np.array([False, True, True, False, True, True])
    return BarInputs(
        stamps=stamp_files(stamps),
        sources=sources_table(tmp_path / "sources.parquet", stamps),
        morphology=morphology_table(tmp_path / "morphology.parquet", stamps, barred),
        structure=structure_table(tmp_path / "structure.parquet", stamps),
        answers=answers,
        masks=masks,
        saliency=saliency,
        maps=array,
        calibration=calibration(tmp_path / "bars.json"),
    )


def measured(inputs: BarInputs, **settings: Any) -> pa.Table:
    """Measure the bars of a shard and return their table."""
    output = inputs.calibration.with_name("bars.parquet")
    measure_bars(parameters("bars", bars=settings), inputs=inputs, output=output)
    return read_table(output)


def test_every_source_has_a_row_and_only_barred_ones_a_recommended_length(shard: BarInputs) -> None:
    table = measured(shard)
    assert table["source_id"].equals(read_table(shard.stamps.table)["source_id"])
    assert table["bar_length"].is_valid().to_pylist() == [False, True, True, False, True, True]
    assert table["bar_length_method"].to_pylist() == [None, "direct", "direct", None, "direct", "direct"]
    assert table["bar_length_saliency"].is_valid().to_pylist() == [False, True, True, True, True, False]
    assert table["bar_length_direct"].is_valid().to_pylist() == [False, True, True, True, True, True]
    flags = numpy_column(table, "flags")
    assert (flags & Flag.NOT_BARRED > 0).tolist() == [False, False, False, True, False, False]
    assert (flags & Flag.BAR_NOT_MEASURED > 0).tolist() == [True, False, False, False, False, False]
    found = np.stack([table[f"bar_length_{name}"].is_valid().to_numpy() for name in ESTIMATORS])
    assert not found[:, 5].all()
    lacking = [False, *~found.all(axis=0)[[1, 2]], False, *~found.all(axis=0)[[4, 5]]]
    assert (flags & Flag.BAR_ESTIMATOR_MISSING > 0).tolist() == lacking
    assert flags[0] & 8
    output = shard.calibration.with_name("bars.parquet")
    assert lineage_of(output) == LINEAGE | {
        "train-morphology": "m0",
        "infer_morphology": "infer_morphology-digest",
        "classify": "c0",
        "saliency": "y0",
        "calibrate_bars": "e0",
        "bars": "bars-digest",
    }
    assert detail_of(output, "method") == "moments"


def test_lengths_are_in_arcsec_and_angles_on_the_sky(shard: BarInputs) -> None:
    calibration(shard.calibration, "saliency")
    table = measured(shard)
    raw = numpy_column(table, "bar_length_saliency_raw")[1]
    assert raw == pytest.approx(20 * SCALE, rel=0.25)
    # The bar lies along +y; north stands 20 deg from +y towards east, so the bar is 20 deg from north the other way.
    assert numpy_column(table, "bar_position_angle")[1] == pytest.approx(160, abs=0.5)
    assert numpy_column(table, "bar_position_angle_error")[1] == pytest.approx(5)


def test_lengths_in_the_disc_and_in_kiloparsecs_follow_from_inclination_and_redshift(
    shard: BarInputs,
) -> None:
    calibration(shard.calibration, "saliency")
    table = measured(shard)
    columns = ("bar_length", "bar_length_deprojected", "bar_length_kpc", "bar_length_error", "bar_length_kpc_error")
    seen, flat, kpc, error, kpc_error = (numpy_column(table, name) for name in columns)
    # The bar lies 20 deg from the major axis of a disc of cos i = 0.577.
    assert flat[1] / seen[1] == pytest.approx(np.hypot(np.cos(0.349), np.sin(0.349) / 0.5774), rel=2e-3)
    # At z = 0.05 an arcsec is 0.977 kpc (H0 = 70, flat, matter 0.3).
    assert kpc[1] / seen[1] == pytest.approx(0.977, rel=2e-3)
    assert kpc_error[1] / kpc[1] == pytest.approx(error[1] / seen[1])
    assert np.isfinite(kpc).tolist() == [False, True, False, False, False, True]


def test_the_calibration_is_applied_and_its_scatter_is_in_the_error(shard: BarInputs) -> None:
    calibration(shard.calibration, "saliency", intercept=float(np.log(2)), floor=0.3)
    table = measured(shard)
    raw, length = numpy_column(table, "bar_length_saliency_raw")[1], numpy_column(table, "bar_length")[1]
    assert length == pytest.approx(2 * raw, rel=1e-5)
    assert numpy_column(table, "bar_length_saliency_error")[1] == pytest.approx(0.3 * length, rel=1e-4)
    unit = numpy_column(table, "bar_length_direct_error")[1] / numpy_column(table, "bar_length_direct")[1]
    assert numpy_column(table, "bar_length_error")[1] == pytest.approx(0.3 * unit * length, rel=1e-4)
    # The last source has no map: the other estimator stands in, and the method says so.
    assert table["bar_length_method"].to_pylist() == [None, "saliency", "saliency", None, "saliency", "direct"]


def test_the_published_method_can_be_chosen(shard: BarInputs) -> None:
    lengths = []
    for method in ("moments", "paper"):
        table = measured(shard, method=method)
        assert table["bar_length_saliency"].is_valid().to_pylist() == [False, True, True, True, True, False]
        lengths.append(numpy_column(table, "bar_length_saliency")[1])
    assert abs(lengths[0] / lengths[1] - 1) > 0.05


def test_a_bar_shorter_than_the_psf_is_flagged(shard: BarInputs) -> None:
    calibration(shard.calibration, "saliency", intercept=-3.0)
    flags = numpy_column(measured(shard), "flags")
    assert (flags[1:5] & Flag.BAR_SHORTER_THAN_PSF > 0).tolist() == [True, True, False, True]


def test_a_bar_outside_the_training_is_flagged_and_its_error_reaches_back_to_it(shard: BarInputs) -> None:
    calibration(shard.calibration, "saliency")
    known = read_calibration(shard.calibration, "bars", BarCalibration)
    within = measured(shard)
    length = float(numpy_column(within, "bar_length")[1]) / SCALE
    for trained in (TrainedRange(1.0, length / 1.5, 0.1, 100.0), TrainedRange(length * 1.5, 1e4, 0.1, 1e3)):
        write_calibration(shard.calibration, "bars", replace(known, trained=trained), {"calibrate_bars": "e0"})
        table = measured(shard)
        # The last source counts as barred, but its length is that of another estimator.
        flagged = numpy_column(table, "flags")[:5] & Flag.BAR_OUTSIDE_TRAINING > 0
        assert flagged.tolist() == [False, True, True, False, True]
        before, after = (numpy_column(part, "bar_length_error")[1] / length / SCALE for part in (within, table))
        assert after == pytest.approx(np.hypot(before, np.log(1.5)), rel=1e-4)
    assert not (numpy_column(within, "flags") & Flag.BAR_OUTSIDE_TRAINING).any()


def test_the_range_of_the_training_is_that_of_nearly_all_its_bars_and_of_the_stamp() -> None:
    length, psf = np.geomspace(10, 40, 999), np.full(999, 4.0)
    length[0], psf[1] = np.nan, np.nan
    trained = learn_range(np.append(length, [1.0, 500.0]), np.append(psf, [4.0, 4.0]), 128)
    assert trained is not None
    assert (trained.shortest, trained.longest) == pytest.approx((10 / 1.1, 40 * 1.1), rel=0.01)
    assert (trained.shortest_psf, trained.longest_psf) == pytest.approx((2.5 / 1.1, 10 * 1.1), rel=0.01)
    beyond = trained.beyond(np.array([20.0, np.nan, 20.0, 20.0, 88.0]), np.array([4.0, 4.0, np.nan, 0.5, 8.0]))
    assert beyond == pytest.approx([0, 0, 0, np.log(40 / 11), np.log(2)], abs=0.01)
    stamp = learn_range(length, psf, 42)
    assert stamp is not None
    assert stamp.longest == 42
    assert learn_range(length[:9], psf[:9], 128) is None


def test_an_empty_shard_gives_an_empty_table(tmp_path: Path, shard: BarInputs) -> None:
    stamps = stamp_store(tmp_path / "empty" / "8-6.parquet", 0)
    answers, masks = morphology_answers(stamps, [model_card(tmp_path, "morphology")])
    saliency, maps = saliency_maps(tmp_path / "no_maps.parquet", stamps, np.zeros((0, 1, SIZE, SIZE)))
    empty = replace(
        shard,
        stamps=stamp_files(stamps),
        sources=sources_table(tmp_path / "no_sources.parquet", stamps),
        morphology=morphology_table(tmp_path / "none.parquet", stamps, np.zeros(0, dtype=bool)),
        structure=structure_table(tmp_path / "no_structure.parquet", stamps),
        answers=answers,
        masks=masks,
        saliency=saliency,
        maps=maps,
    )
    assert measured(empty).num_rows == 0


@pytest.mark.parametrize("name", ["sources", "morphology", "structure", "saliency", "answers"])
def test_tables_about_other_sources_are_refused(tmp_path: Path, shard: BarInputs, name: str) -> None:
    path, other = getattr(shard, name), tmp_path / f"other_{name}.parquet"
    table = read_table(path)
    write_table(other, table.take([0, 1, 2, 4, 3, 5]), **({"answers": list(answers())} if name == "answers" else {}))
    with pytest.raises(InputError, match=f"other_{name}.parquet: its 6 "):
        measured(replace(shard, **{name: other}))


def test_maps_of_another_length_are_refused(tmp_path: Path, shard: BarInputs) -> None:
    np.save(tmp_path / "short.npy", open_array(shard.maps)[:5])
    with pytest.raises(InputError, match=r"short\.npy: an array of the shape \(5, 2, 64, 64\) for the 6 rows"):
        measured(replace(shard, maps=tmp_path / "short.npy"))
    with pytest.raises(InputError, match=r"none\.npy: cannot be read"):
        measured(replace(shard, maps=tmp_path / "none.npy"))

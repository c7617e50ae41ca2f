"""Profile parameters of a shard."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from helpers.inferred import structure_answers
from helpers.moments_network import moments
from helpers.small_sets import NOISE, SCALE, parameters, stamp_files, write_model, write_stamps

from tuningfork.core.calibration_file import write_calibration
from tuningfork.core.config.stages import Infer, Structure
from tuningfork.core.flags import Flag
from tuningfork.core.tables import detail_of, lineage_of
from tuningfork.infer.structure import ask_structure
from tuningfork.measure.structure.combine import StructureCalibration, Weighting, combine
from tuningfork.measure.structure.intervals import ErrorModel
from tuningfork.measure.structure.profiles import UNKNOWN_ANGLE_DEVIATION, bulge_to_total, physical, shape
from tuningfork.measure.structure.recipe import (
    MeasuredProfiles,
    light_beyond,
    measure_profiles,
    outside_range,
    profile_columns,
    structure_flags,
)
from tuningfork.measure.structure.shard import structure_shard
from tuningfork.networks.posterior import GROUPS
from tuningfork.networks.structure import TARGETS, shear_of
from tuningfork.simulate.light.points import sersic_quantile
from tuningfork.stamps.store import open_store

IDENTITY = StructureCalibration({name: Weighting() for name in GROUPS}, 0, 0, "none learned")


def calibration(folder: Path) -> Path:
    learned = replace(IDENTITY, errors={"mag": ErrorModel(degrees=3.0)})
    write_calibration(folder / "structure.json", "structure", learned, {"calibrate_structure": "c"})
    return folder / "structure.json"


def measure_shard(folder: Path, stamps: Path, models: list[Path], **settings: Any) -> pd.DataFrame:
    output = folder / "out.parquet"
    structure_shard(
        parameters("structure", structure=settings),
        stamps=stamp_files(stamps),
        answers=structure_answers(stamps, models),
        calibration=calibration(folder),
        output=output,
    )
    return pq.read_table(output).to_pandas()


def opened(stamps: Path) -> tuple[pa.Table, np.ndarray]:
    return open_store(stamp_files(stamps), ["r"], "r")


def measured(table: pa.Table, stamps: np.ndarray, refine: bool = True, **heads: Any) -> MeasuredProfiles:
    """Measure with the network that takes moments."""
    answers = ask_structure(moments(**heads), table, stamps, Infer(rotations=1))
    return measure_profiles(answers, table, stamps, "r", Structure(refine=refine), torch.device("cpu"))


def test_every_source_has_a_row_in_physical_units(tmp_path: Path) -> None:
    stamps = write_stamps(tmp_path / "shard.parquet")
    models = [write_model(tmp_path / f"{k}.json", "structure", k) for k in range(2)]
    table = measure_shard(tmp_path, stamps, models)
    assert list(table["source_id"]) == list(range(100, 107))
    for name in ("mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "bulge_to_total"):
        assert list(np.flatnonzero(table[name].isna())) == [1, 4]
        assert (table[f"{name}_error"].dropna() > 0).all()
    for name in ("axis_ratio", "axis_ratio_network", "bulge_to_total"):
        assert table[name].dropna().between(0, 1).all()
    for name in ("position_angle", "position_angle_network"):
        assert table[name].dropna().between(0, 180).all()
    assert table["mag_r_eff_correlation"].dropna().between(-1, 1).all()
    assert list(np.flatnonzero(table["structure_method"].isna())) == [1, 4]
    assert list(table["flags"][[1, 4]]) == [4, 4]
    assert lineage_of(tmp_path / "out.parquet") == {
        "stamps": "t",
        "train-structure": "m",
        "infer_structure": "infer_structure-digest",
        "calibrate_structure": "c",
        "structure": "d" * 16,
    }
    assert detail_of(tmp_path / "out.parquet", "members") == 2


def test_the_table_says_how_much_wider_than_normal_the_tails_are(tmp_path: Path) -> None:
    measure_shard(
        tmp_path, write_stamps(tmp_path / "shard.parquet"), [write_model(tmp_path / "0.json", "structure", 0)]
    )
    told = detail_of(tmp_path / "out.parquet", "intervals")
    assert told == {"mag": {"degrees": 3.0, "width95": pytest.approx(2.658, abs=2e-3)}}


def test_the_fit_mends_what_the_network_gets_wrong(tmp_path: Path) -> None:
    """The stamps are Gaussian ellipses: a Sersic index of one half, of which an untrained network knows nothing."""
    stamps = write_stamps(tmp_path / "shard.parquet", psf_fwhm_r=np.full(7, 0.05))
    table, pixels = opened(stamps)
    profiles = measured(table, pixels)
    found, good = profiles.estimates, [0, 2, 3, 5, 6]
    assert profiles.refinement is not None
    assert found.fitted[good].all()
    assert not found.fitted[[1, 4]].any()
    assert (found.misfit[good] < 5).all()
    np.testing.assert_allclose(found.fit.mean[good, 2], np.log(0.5), atol=0.15)
    np.testing.assert_allclose(profiles.refinement.reduced_chi2[good], 1, atol=0.15)


def test_refinement_can_be_left_out_and_says_so(tmp_path: Path) -> None:
    stamps = write_stamps(tmp_path / "shard.parquet")
    table = measure_shard(tmp_path, stamps, [write_model(tmp_path / "m.json", "structure")], refine=False)
    assert set(table["structure_method"].dropna()) == {"network"}
    assert table["reduced_chi2"].isna().all()
    assert not (table["flags"] & int(Flag.STRUCTURE_NOT_REFINED)).any()
    for name in ("mag", "r_eff", "axis_ratio"):
        np.testing.assert_allclose(table[name], table[f"{name}_network"])


def test_pixels_and_noise_become_arcsec_and_magnitudes(tmp_path: Path) -> None:
    table, stamps = opened(write_stamps(tmp_path / "shard.parquet"))
    values = physical(ask_structure(moments(), table, stamps, Infer(rotations=1)).posterior, table, "r")
    assert values["r_eff"][0] == pytest.approx(10 * SCALE)
    assert values["sersic_n"][0] == pytest.approx(2)
    assert values["r_eff_error"][0] == pytest.approx(10 * SCALE * 0.05)
    assert values["mag"][0] == pytest.approx(-5 + 22.5 - 2.5 * np.log10(NOISE))


def test_what_was_not_learned_is_null(tmp_path: Path) -> None:
    table, stamps = opened(write_stamps(tmp_path / "shard.parquet"))
    profiles = measured(table, stamps, targets=["mag", "axis_ratio"])
    assert profiles.refinement is None
    values = profile_columns(profiles, combine(profiles.estimates, IDENTITY), IDENTITY, table, "r")
    for name in ("r_eff", "r_eff_network", "sersic_n", "position_angle", "bulge_to_total", "bulge_to_total_error"):
        assert np.isnan(values[name]).all()
    for name in ("mag", "mag_error", "axis_ratio", "axis_ratio_error"):
        assert np.isfinite(values[name][[0, 2]]).all()


def test_published_errors_are_calibrated(tmp_path: Path) -> None:
    table, stamps = opened(write_stamps(tmp_path / "shard.parquet"))
    profiles = measured(table, stamps, refine=False)
    twice = replace(IDENTITY, errors={"r_eff": ErrorModel(np.log(2)), "position_angle": ErrorModel(np.log(1e6))})
    stated, found = (
        profile_columns(profiles, combine(profiles.estimates, entry), entry, table, "r") for entry in (IDENTITY, twice)
    )
    np.testing.assert_allclose(found["r_eff_error"], 2 * stated["r_eff_error"])
    np.testing.assert_allclose(found["mag_error"], stated["mag_error"])
    assert np.nanmax(found["position_angle_error"]) == UNKNOWN_ANGLE_DEVIATION


def test_the_angle_is_turned_to_the_sky(tmp_path: Path) -> None:
    plain = write_stamps(tmp_path / "one.parquet")
    turned = write_stamps(tmp_path / "two.parquet", north_angle=np.full(7, 30.0), east_is_left=np.zeros(7, dtype=bool))
    model = [write_model(tmp_path / "m.json", "structure")]
    one, two = (measure_shard(tmp_path, path, model) for path in (plain, turned))
    for name in ("position_angle", "position_angle_network"):
        difference = (two[name] - (30 - one[name])).to_numpy()
        assert np.nanmax(np.abs((difference + 90) % 180 - 90)) < 1e-2


def test_the_shape_agrees_with_draws() -> None:
    rng = np.random.default_rng(0)
    covariance = np.array([[0.01, 0.004], [0.004, 0.02]])
    for ratio, angle in ((0.4, 30.0), (0.8, 100.0), (1.0, 0.0)):
        mean = np.array(shear_of(np.array(ratio), np.array(angle)))
        draws = rng.multivariate_normal(mean, covariance, 200_000)
        ratios, double = np.exp(-np.hypot(*draws.T)), np.arctan2(draws[:, 1], draws[:, 0])
        found = [values[0] for values in shape(mean[None], covariance[None])]
        assert found[0] == pytest.approx(ratios.mean(), abs=0.003)
        assert found[1] == pytest.approx(ratios.std(), rel=0.05)
        if ratio < 1:
            direction = np.exp(1j * double).mean()
            assert found[2] == pytest.approx(np.rad2deg(np.angle(direction)) / 2 % 180, abs=0.3)
            assert found[3] == pytest.approx(np.rad2deg(np.sqrt(-2 * np.log(abs(direction)))) / 2, rel=0.05)


def test_a_round_galaxy_has_no_known_angle_and_an_elongated_one_has() -> None:
    mean, covariance = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]]), np.tile(0.02**2 * np.eye(2), (3, 1, 1))
    _, _, angle, error = shape(mean, covariance)
    assert error[0] == pytest.approx(UNKNOWN_ANGLE_DEVIATION)
    np.testing.assert_allclose(angle[1:], [0, 45], atol=1e-6)
    np.testing.assert_allclose(error[1:], np.rad2deg(0.04) / 2, rtol=0.01)


def test_the_bulge_stays_within_its_range() -> None:
    mean, error = bulge_to_total(np.array([-4.6, 0.0, 4.6, np.nan]), np.array([3.0, 1.0, 3.0, 1.0]))
    assert 0.01 < mean[0] < 0.2
    assert mean[1] == pytest.approx(0.5)
    assert (error[:3] > 0.1).all()
    assert np.isnan(mean[3])


def test_flags_say_what_is_doubtful(tmp_path: Path) -> None:
    table, stamps = opened(write_stamps(tmp_path / "shard.parquet"))
    profiles = measured(table, stamps, range={"mag": [-20.0, 0.0]})
    fit = profiles.refinement
    assert fit is not None
    fit.neighbour_light[:], fit.fitted[:] = 0.0, [True] * 4 + [False] * 3
    fit.neighbour_light[2] = 0.2
    combination = combine(profiles.estimates, IDENTITY)
    combination.joint.mean[0, TARGETS.index("log_r_eff")] = np.log(200)
    refined = np.array([True, False, True, True, False, False, False])
    combination.refined[:] = refined
    flags = structure_flags(profiles, combination, 640)
    assert flags[0] == Flag.STRUCTURE_TRUNCATED
    assert flags[2] == Flag.STRUCTURE_BLENDED
    assert flags[3] == 0
    assert list(flags[[5, 6]]) == [Flag.STRUCTURE_NOT_REFINED] * 2
    assert list(flags[[1, 4]]) == [0, 0]


def test_a_stamp_that_holds_nine_tenths_of_the_light_loses_one() -> None:
    for n in (0.5, 1.0, 4.0):
        mean = np.zeros((2, 6))
        mean[:, 1], mean[:, 2] = np.log([32 / sersic_quantile(n, 0.9), np.nan]), np.log(n)
        assert light_beyond(mean, 64)[0] == pytest.approx(0.1)
        assert np.isnan(light_beyond(mean, 64)[1])


def test_sources_beyond_the_training_range_are_flagged() -> None:
    mean = np.zeros((3, 6))
    mean[:, 0] = [-9, -15, np.nan]
    limits = {"mag": [-12.0, -3.0], "log_r_eff": [-1.0, 1.0]}
    np.testing.assert_array_equal(outside_range(mean, limits), [False, True, False])

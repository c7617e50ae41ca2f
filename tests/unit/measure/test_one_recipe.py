"""One recipe: stages, injection, evaluation and pictures measure the same stamps alike, to the last bit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers.corrections import vote_calibration
from helpers.inferred import held_out_answers, morphology_answers
from helpers.small_networks import BANDS, LINEAGE, SIZE, model_card, parameters, stamp_store
from helpers.small_sets import stamp_files

from tuningfork.calibrate.held_out import morphology_of_split
from tuningfork.calibrate.held_out_bars import held_out_bars
from tuningfork.core.calibration_file import write_calibration
from tuningfork.core.columns import ESTIMATORS
from tuningfork.core.columns.table import shard_table
from tuningfork.core.config import Configuration, validate
from tuningfork.core.files import open_array
from tuningfork.core.tables import read_table, write_table
from tuningfork.evaluate.bars import pipeline_lengths
from tuningfork.explain.shard import saliency_shard
from tuningfork.infer.tables import read_morphology
from tuningfork.injection.measures import RecipeCalibrations, measure_sources
from tuningfork.measure.bars.calibration import BarCalibration, calibrated_bars
from tuningfork.measure.bars.combination import BarCombination
from tuningfork.measure.bars.estimators import BarEstimate, psf_pixels
from tuningfork.measure.bars.length_calibration import LengthCalibration
from tuningfork.measure.bars.recipe import raw_estimates
from tuningfork.measure.bars.shard import BarInputs, measure_bars
from tuningfork.measure.votes.correction import LearnedCorrection, VoteCorrection
from tuningfork.measure.votes.recipe import vote_columns_of
from tuningfork.measure.votes.shard import classify_shard
from tuningfork.networks.ensemble import load_ensemble
from tuningfork.pictures.measure import picture_columns
from tuningfork.stamps.store import in_bands, open_store

NUMBER = 6
FAVOURED = ("smooth_or_featured_featured", "edge_on_no", "bar_yes", "merging_none")
SECTIONS = {
    "infer": {"rotations": 2, "bar_rotations": 4},
    "saliency": {"samples": 2, "batch_size": 8},
    "bars": {"min_probability": 0.3},
}
VOTES = vote_calibration(bar=LearnedCorrection(VoteCorrection(1.4, 0.6), True, "simulated", 100))
LENGTHS = {
    name: LengthCalibration(0.1 * place, 1 - 0.05 * place, 0.1, 0.05, 0.1, 100, "")
    for place, name in enumerate(ESTIMATORS)
}
WEIGHTS = BarCombination(
    list(ESTIMATORS), (np.eye(4) + 0.2).tolist(), 1.3, {"direct": 4.0, "mask": 6.0, "saliency": 8.0}, 2.0, 100
)
BARS = BarCalibration(LENGTHS, replace(LENGTHS["direct"], intercept=0.3), WEIGHTS)


@dataclass(frozen=True)
class Shard:
    """A shard measured by the stages.

    Attributes
    ----------
    stamps, sources, answers, masks, saliency, maps : Path
    models : list of Path
    classes, bars : pyarrow.Table
        What the stages classify and bars wrote.
    """

    stamps: Path
    sources: Path
    answers: Path
    masks: Path
    saliency: Path
    maps: Path
    models: list[Path]
    classes: pa.Table
    bars: pa.Table

    @property
    def configuration(self) -> Configuration:
        """What all consumers are told."""
        return validate(SECTIONS)

    def estimates(self) -> dict[str, BarEstimate]:
        """Return what the estimators say about the shard, from the files of the stages."""
        rows, light = open_store(stamp_files(self.stamps), ["r"], "r")
        answers = read_morphology(self.answers, self.masks, rows["source_id"])
        return raw_estimates(answers, open_array(self.maps), rows, light, "r", "moments")


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    folder = tmp_path_factory.mktemp("recipe")
    stamps = stamp_store(folder / "8-5.parquet", NUMBER)
    models = [model_card(folder, "morphology", member, FAVOURED) for member in range(2)]
    answers, masks = morphology_answers(stamps, models, **SECTIONS["infer"])
    rows = read_table(stamps)
    keys = {"source_id": rows["source_id"], "flags": rows["flags"]}
    sources, structure = folder / "sources.parquet", folder / "structure.parquet"
    write_table(sources, shard_table("sources", keys | {"redshift": np.full(NUMBER, 0.05)}), LINEAGE)
    write_table(structure, shard_table("structure", keys), LINEAGE)
    votes, bars = folder / "votes.json", folder / "bars.json"
    write_calibration(votes, "votes", VOTES, {"calibrate_votes": "v0"})
    write_calibration(bars, "bars", BARS, {"calibrate_bars": "e0"})
    morphology, saliency = folder / "morphology.parquet", folder / "saliency.parquet"
    classify_shard(parameters("classify"), answers=answers, masks=masks, calibration=votes, output=morphology)
    maps = saliency.with_suffix(".npy")
    saliency_shard(
        parameters("saliency", saliency=SECTIONS["saliency"]),
        stamps=stamp_files(stamps),
        models=models,
        output=maps,
        table=saliency,
    )
    inputs = BarInputs(stamp_files(stamps), sources, morphology, structure, answers, masks, saliency, maps, bars)
    output = folder / "bars.parquet"
    measure_bars(parameters("bars", bars=SECTIONS["bars"]), inputs=inputs, output=output)
    measured = read_table(output)
    assert measured["bar_length"].is_valid().to_pylist() == [False] + [True] * (NUMBER - 1)
    return Shard(stamps, sources, answers, masks, saliency, maps, models, read_table(morphology), measured)


def in_stage(shard: Shard, name: str) -> np.ndarray:
    return shard.bars[name].to_numpy()


def test_injected_galaxies_are_measured_like_sources(shard: Shard) -> None:
    ensemble = load_ensemble(shard.models, "morphology")
    rows, pixels = open_store(stamp_files(shard.stamps), ensemble.bands, "r")
    calibrations = RecipeCalibrations(VOTES, BARS)
    classes, bars = measure_sources(
        ensemble, read_table(shard.sources), rows, pixels, shard.configuration, calibrations
    )
    for found, expected in ((classes, shard.classes), (bars, shard.bars)):
        assert found.column_names == expected.column_names
        for name in found.column_names:
            assert found[name].equals(expected[name]), name


def same_lengths(shard: Shard, estimates: Mapping[str, BarEstimate], rows: np.ndarray) -> None:
    """Check that estimates of some rows become the lengths, errors and angles that the stage wrote for them."""
    table = read_table(shard.stamps)
    scale = table["pixel_scale"].to_numpy()[rows].astype(float)
    bars = calibrated_bars(estimates, BARS, psf_pixels(table, "r")[rows])
    lengths = pipeline_lengths(bars, estimates, BARS.lengths)
    assert set(lengths) == {"recommended", *ESTIMATORS}
    for name, found in lengths.items():
        column = "bar_length" if name == "recommended" else f"bar_length_{name}"
        np.testing.assert_array_equal(np.float32(found.length * scale), in_stage(shard, column)[rows], err_msg=name)
        error = np.float32(found.length * scale * found.error)
        np.testing.assert_array_equal(error, in_stage(shard, f"{column}_error")[rows], err_msg=name)
    np.testing.assert_array_equal(np.float32(bars.angle_error), in_stage(shard, "bar_position_angle_error")[rows])
    np.testing.assert_array_equal(np.float32(1 - bars.axis_ratio), in_stage(shard, "bar_ellipticity")[rows])
    assert bars.method.tolist() == shard.bars["bar_length_method"].take(rows).to_pylist()


def test_held_out_galaxies_are_measured_like_sources(shard: Shard, tmp_path: Path) -> None:
    """The same stamps, once as a shard and once as the test galaxies of a training set."""
    table = read_table(shard.stamps)
    part = tmp_path / "part-0.parquet"
    truth = {"index": table["source_id"], "split": pa.array(["test"] * NUMBER)}
    truth |= {name: pa.nulls(NUMBER, pa.float64()) for name in ("bar_length", "bar_axis_ratio", "bar_position_angle")}
    columns = {name: table[name] for name in table.column_names} | truth
    write_table(part, pa.table(columns), {"simulate": "s0"}, bands=BANDS, reference_band="r")
    part.with_suffix(".npy").symlink_to(shard.stamps.with_suffix(".npy"))
    ensemble = load_ensemble(shard.models, "morphology")
    held_out = held_out_answers([part], shard.models, **SECTIONS["infer"])
    rows, answers = morphology_of_split([part], held_out, "test")
    number, configuration = rows.num_rows, shard.configuration
    estimates = held_out_bars(
        ensemble,
        [stamp_files(part)],
        rows,
        answers,
        np.ones(number, dtype=bool),
        configuration.seed,
        configuration.saliency,
        "moments",
    )
    same_lengths(shard, {name: estimates[name] for name in ESTIMATORS}, np.arange(NUMBER))
    votes = vote_columns_of(answers, VOTES)
    for name in ("bar_yes_fraction", "bar_yes_dirichlet", "bar_vote_share", "spiral_arms_yes_fraction"):
        np.testing.assert_array_equal(np.float32(votes[name]), shard.classes[name].to_numpy(), err_msg=name)
    assert votes["morphology"].tolist() == shard.classes["morphology"].to_pylist()


def test_pictures_are_measured_like_sources(shard: Shard) -> None:
    """What `tuningfork measure-folder` makes of the same estimates; its lengths are in the unit of the pixel scale."""
    rows, estimates = read_table(shard.stamps), shard.estimates()
    same_lengths(shard, estimates, np.arange(NUMBER))
    answers = read_morphology(shard.answers, shard.masks, rows["source_id"])
    found = picture_columns(estimates, vote_columns_of(answers, VOTES), rows, "r", BARS)
    for name in ESTIMATORS:
        np.testing.assert_array_equal(
            np.float32(found[f"bar_length_{name}_pixels"]), in_stage(shard, f"bar_length_{name}"), err_msg=name
        )
    np.testing.assert_array_equal(np.float32(found["bar_length_pixels"]), in_stage(shard, "bar_length"))
    np.testing.assert_array_equal(np.float32(found["bar_length_pixels_error"]), in_stage(shard, "bar_length_error"))
    np.testing.assert_array_equal(np.float32(found["bar_ellipticity"]), in_stage(shard, "bar_ellipticity"))
    np.testing.assert_array_equal(np.float32(found["bar_vote_share"]), shard.classes["bar_vote_share"].to_numpy())


def test_light_in_one_band_is_that_of_all_bands(shard: Shard) -> None:
    _, light = open_store(stamp_files(shard.stamps), ["r"], "r")
    _, pixels = open_store(stamp_files(shard.stamps), BANDS, "r")
    np.testing.assert_array_equal(light, in_bands(pixels, BANDS, ["r"]))
    assert light.shape == (NUMBER, 2, 1, SIZE, SIZE)

"""The main job, on the embedded default: a simulated sky whose truth is known."""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.workflow import Run, run_workflow
from tuningfork.core.columns import published
from tuningfork.core.flags import Flag

BANDS = ["g", "r", "i"]


@pytest.fixture(scope="module")
def catalogue(default_run: Run):
    return pq.read_table(default_run.results / "catalogue.parquet").to_pandas()


@pytest.fixture(scope="module")
def evaluation(default_run: Run) -> dict:
    return json.loads((default_run.results / "evaluation" / "summary.json").read_text())


@pytest.fixture(scope="module")
def truth(default_run: Run, catalogue):
    """The catalogue with the true columns of the sources beside it."""
    tables = [pq.read_table(path).to_pandas() for path in sorted((default_run.results / "sources").glob("*.parquet"))]
    columns = ["source_id", *(name for name in tables[0] if name.startswith("true_"))]
    joined = [catalogue.merge(table[columns], on="source_id", validate="1:1") for table in tables]
    return pd.concat(joined, ignore_index=True)


def test_it_catalogues_at_least_300_galaxies_in_two_shards(default_run: Run, catalogue) -> None:
    assert len(catalogue) >= 300
    assert len(list((default_run.results / "catalogue" / "dataset").rglob("Npix=*.parquet"))) >= 2
    assert [column.name for column in published(BANDS)] == [name for name in catalogue if not name.startswith("_")]


@pytest.mark.skipif("TUNINGFORK_DEFAULT_RUN" in os.environ, reason="the run was made elsewhere")
def test_it_stays_within_its_memory(default_run: Run) -> None:
    """Its time and disk are benchmarks (docs/scale.md): a busy machine must not fail a correct tree."""
    assert default_run.peak_memory < 4 * 2**30


def test_every_source_is_accounted_for(default_run: Run, catalogue) -> None:
    sources = [
        pq.read_table(path, columns=["source_id"])["source_id"].to_pylist()
        for path in (default_run.results / "sources").glob("*.parquet")
    ]
    assert sorted(catalogue["source_id"]) == sorted(itertools.chain(*sources))
    measured = catalogue["flags"] & int(Flag.NO_POSITION | Flag.OUTSIDE_TILES | Flag.BAD_TILE) == 0
    for column in ("bar_vote_share", "mag", "r_eff", "bar_length_saliency_raw"):
        assert catalogue.loc[~measured, column].isna().all()
    assert catalogue.loc[measured, ["bar_vote_share", "morphology"]].notna().all().all()
    artifact = catalogue["flags"] & int(Flag.STAR_OR_ARTIFACT) != 0
    assert catalogue.loc[measured & ~artifact, ["mag", "r_eff"]].notna().all().all()
    assert catalogue.loc[artifact, ["mag", "r_eff", "bar_length_saliency_raw"]].isna().all().all()


def test_a_second_run_does_nothing(root: Path, default_run: Run) -> None:
    again = run_workflow(root, default_run.directory)
    assert again.status == 0
    assert "Nothing to be done" in again.output


def test_the_survey_itself_is_measured_as_well_as_the_held_out_simulations(truth) -> None:
    """The networks are trained on stamps and applied to tiles: the two must look alike to them."""
    good = truth["flags"] & int(Flag.PADDED | Flag.MASKED | Flag.BAD_TILE | Flag.OUTSIDE_TILES) == 0
    truth = truth[good]
    difference = truth["mag"] - truth["true_mag"]
    assert abs(difference.median()) < 0.05
    ratio = np.log(truth["r_eff"] / truth["true_r_eff"])
    assert abs(ratio.median()) < 0.1
    barred = truth["true_class"] == "barred_spiral"
    rank = truth["bar_vote_share"].rank()
    n_barred, n_other = barred.sum(), (~barred).sum()
    area = (rank[barred].sum() - n_barred * (n_barred + 1) / 2) / (n_barred * n_other)
    assert area > 0.8
    long = truth[barred & (truth["true_bar_length"] > 4)]
    turn = (long["position_angle"] - long["true_position_angle"] + 90) % 180 - 90
    assert turn.abs().median() < 15


def test_held_out_floors_are_reached(evaluation: dict) -> None:
    structure = evaluation["structure"]
    assert structure["mag"]["r2"] >= 0.96
    assert structure["r_eff"]["r2"] >= 0.9
    assert structure["axis_ratio"]["r2"] >= 0.92
    assert structure["sersic_n"]["r2"] >= 0.88
    assert structure["bulge_to_total"]["r2"] >= 0.75
    for name, network in evaluation["structure_network"].items():
        # The ratio of the two has an error of 0.06 (bootstrap samples of 291 galaxies).
        assert structure[name]["scatter"] < 1.18 * network["scatter"], name
        # Four standard deviations of the binomial distribution.
        assert abs(structure[name]["coverage68"] - 0.6827) < 4 * np.sqrt(0.6827 * 0.3173 / structure[name]["n"]), name
    assert evaluation["bar_auc"]["clear"]["auc"] >= 0.95
    # A simulated disc without arms is of the kind `spiral`, but most volunteers call it smooth.
    assert evaluation["confusion"]["accuracy"] >= 0.68
    presence = evaluation["bar_presence"]
    assert presence["completeness"]["share"] >= 0.75
    assert presence["purity"]["share"] >= 0.85
    assert presence["brier"] < 0.4 * presence["brier_constant"]
    bars = evaluation["bars"]
    # 86 bars: the correlations have errors of 0.01 to 0.05, scatters of 0.02.
    assert bars["recommended"]["r"] >= 0.93
    assert bars["recommended"]["scatter"] < 0.17
    assert abs(bars["recommended"]["bias"]) < 0.04
    assert bars["recommended"]["angle_median"] < 4
    assert evaluation["bars_published"]["recommended"]["r"] >= 0.94
    assert bars["saliency"]["r"] >= 0.7
    assert bars["saliency"]["partial_r"] >= 0.6 > bars["size_only"]["r"]
    assert bars["saliency"]["r"] > bars["saliency-paper"]["r"]


def test_bulges_and_arms_are_measured_on_every_galaxy_that_is_seen(default_run: Run, truth, evaluation: dict) -> None:
    features = evaluation["features"]
    # 200 galaxies: the correlations have errors of 0.02 to 0.05.
    assert features["bulge_fraction"]["recommended"]["r"] >= 0.8
    assert features["spiral_arm_fraction"]["recommended"]["r"] >= 0.6
    seen = truth["bar_vote_share"].notna() & (truth["flags"] & int(Flag.STAR_OR_ARTIFACT) == 0)
    for name in ("bulge_fraction", "spiral_arm_fraction"):
        assert truth.loc[seen, name].notna().mean() > 0.9
        assert truth.loc[~seen, name].isna().all()
    area = []
    for path in sorted((default_run.results / "features").glob("*.npy")):
        packed, rows = np.load(path), pq.read_table(path.with_suffix(".parquet")).to_pandas()
        masks = np.unpackbits(packed, axis=-1, count=128)
        assert masks.shape == (len(rows), 128, 128)
        assert not masks[rows["spiral_arm_fraction_raw"].fillna(0) == 0].any()
        area += masks.sum((1, 2)).tolist()
    assert 0 < np.median(area) < 128**2 / 8


def test_no_unfinished_file_is_left(default_run: Run) -> None:
    assert [
        path for path in default_run.results.rglob(".*") if path.is_file() and path.name != ".snakemake_timestamp"
    ] == []
    assert not list((default_run.results / "checkpoints").glob("*"))

"""Figures of the probability of a bar."""

import numpy as np
import pandas as pd
import pytest

from tuningfork.evaluate.presence import presence_scores, share_of


def galaxies(probability, barred, length=10.0, morphology="spiral"):
    barred = np.asarray(barred)
    return pd.DataFrame({
        "bar_strength": np.where(barred, 0.2, 0.0), "bar_length": np.where(barred, length, np.nan), "psf": 3.0,
        "pixel_scale": 0.4, "bar_probability": probability, "morphology": morphology,
    })  # fmt: skip


def test_a_calibrated_probability_is_found_reliable():
    rng = np.random.default_rng(1)
    probability = rng.uniform(size=4000)
    scores = presence_scores(galaxies(probability, rng.uniform(size=4000) < probability), 0.5)
    for entry in scores["reliability"]:
        assert abs(entry["share"] - entry["probability"]) < 4 * entry["error"]
    assert scores["brier"] == pytest.approx(1 / 6, abs=0.01)
    assert scores["brier_constant"] == pytest.approx(1 / 4, abs=0.01)


def test_completeness_counts_resolved_bars_and_purity_all_that_count_as_barred():
    probability, barred = [0.9] * 30 + [0.1] * 10 + [0.8] * 10, [True] * 40 + [False] * 10
    scores = presence_scores(galaxies(probability, barred), 0.5)
    assert scores["completeness"]["share"] == pytest.approx(30 / 40)
    assert scores["purity"]["share"] == pytest.approx(30 / 40)
    short = presence_scores(galaxies(probability, barred, length=1.0), 0.5)
    assert short["completeness"]["n"] == 0
    assert short["completeness_by_length"][0]["n"] == 40


def test_edge_on_galaxies_and_artifacts_never_count_as_barred():
    for kind in ("edge_on", "artifact"):
        assert presence_scores(galaxies([0.99] * 20, [True] * 20, morphology=kind), 0.5)["completeness"]["share"] == 0


def test_a_share_of_one_has_an_error():
    assert share_of(np.ones(20, dtype=bool))["error"] > 0

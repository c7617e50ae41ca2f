"""The benchmark on scenes of the second generator: units, angles and figures."""

import numpy as np
import pandas as pd
import pytest
from _strangers_scores import angles, binomial, classes, coverage, detection, in_bins, lengths, resolved
from _strangers_tables import ESTIMATORS, of_catalogue, of_pictures

from tuningfork.core.flags import Flag

NUMBER = 80


@pytest.fixture
def truth() -> pd.DataFrame:
    """Truths of scenes: 40 barred galaxies, 38 ellipticals, two stars."""
    rng = np.random.default_rng(0)
    kind = np.array(["barred"] * 40 + ["elliptical"] * 38 + ["star"] * 2)
    barred = kind == "barred"
    length = np.where(barred, np.geomspace(1.5, 20, NUMBER), np.nan)
    return pd.DataFrame(
        {
            "scene": np.arange(NUMBER),
            "kind": kind,
            "barred": barred,
            "bar_length": length,
            "bar_half_length": 0.9 * length,
            "bar_position_angle": np.where(barred, rng.uniform(0, 180, NUMBER), np.nan),
            "bar_contrast": np.where(barred, 0.7, np.nan),
            "r_eff": rng.uniform(2, 6, NUMBER),
            "psf_fwhm": 1.0,
            "rotation": rng.uniform(0, 360, NUMBER),
            "picture_scale": rng.uniform(0.1, 0.4, NUMBER),
        }
    )


@pytest.fixture
def measured(truth: pd.DataFrame) -> pd.DataFrame:
    """What pictures of them would give, 10 % too long, in an order of its own."""
    pixels = 1.1 * truth["bar_length"].fillna(5.0) / truth["picture_scale"]
    barred = truth["barred"]
    table = pd.DataFrame(
        {
            "file": [f"scene-{k:05d}.png" for k in range(NUMBER)],
            "flags": np.where(barred, 0, int(Flag.NOT_BARRED)),
            "morphology": np.where(barred, "barred_spiral", "smooth"),
            "bar_probability": np.where(barred, 0.8, 0.1),
            "bar_yes_fraction": np.where(barred, 0.9, 0.1),
            "bar_length_pixels": pixels,
            "bar_length_pixels_error": 0.06 * pixels,
            "bar_position_angle": (truth["bar_position_angle"].fillna(0) - truth["rotation"]) % 180,
        }
    )
    for name in ESTIMATORS:
        table[f"bar_length_{name}_pixels"] = pixels
    return table.sample(frac=1, random_state=1).reset_index(drop=True)


def test_pictures_are_scored_in_arcsec_and_on_the_sky(truth: pd.DataFrame, measured: pd.DataFrame) -> None:
    table = of_pictures(truth, measured)
    bars = resolved(table)
    assert (bars["bar_length"] > 2).all()
    assert 30 < len(bars) < 40
    assert angles(bars)[0] == pytest.approx(0, abs=1e-6)
    found = lengths(bars)["recommended"]
    assert found["r"][0] == pytest.approx(1)
    assert found["bias"][0] == pytest.approx(np.log(1.1))
    assert found["bias_of_half"][0] == pytest.approx(np.log(1.1 / 0.9))
    assert found["scatter"][0] == pytest.approx(0, abs=1e-9)
    shares = coverage(bars, "recommended")
    assert shares[1][0] == 0
    assert shares[2][0] == 1
    assert coverage(bars, "direct") == {}


def test_a_perfect_separation_has_an_area_and_a_completeness_of_one(
    truth: pd.DataFrame, measured: pd.DataFrame
) -> None:
    table = of_pictures(truth, measured)
    figures = detection(table)
    assert figures["auc_bar_probability"][0] == 1
    assert figures["completeness"][0] == figures["purity"][0] == 1
    confusion, balanced, _ = classes(table)
    assert balanced[0] == 1
    assert confusion.loc["star", "smooth"] == 2
    assert sum(row["n"] for row in in_bins(resolved(table))) == len(resolved(table))


def test_scenes_without_a_measurement_count_as_missed(truth: pd.DataFrame, measured: pd.DataFrame) -> None:
    barred = [int(name[6:11]) for name in measured["file"]]
    left = measured[np.array(barred) % 2 == 0].reset_index(drop=True)
    figures = detection(of_pictures(truth, left))
    assert figures["completeness"][0] == pytest.approx(0.5, abs=0.05)


def test_catalogues_are_scored_as_they_are(truth: pd.DataFrame) -> None:
    catalogue = pd.DataFrame(
        {
            "source_id": truth["scene"],
            "flags": np.where(truth["barred"], 0, int(Flag.NOT_BARRED)),
            "morphology": "spiral",
            "bar_probability": 0.5,
            "bar_yes_fraction": 0.5,
            "bar_length": truth["bar_length"],
            "bar_length_error": 0.1,
            "bar_position_angle": truth["bar_position_angle"],
        }
    )
    for name in ESTIMATORS:
        catalogue[f"bar_length_{name}"], catalogue[f"bar_length_{name}_error"] = truth["bar_length"], 0.1
    bars = resolved(of_catalogue(truth, catalogue))
    assert lengths(bars)["fourier"]["bias"][0] == 0
    assert coverage(bars, "fourier")[1][0] == 1
    assert angles(bars)[0] == 0


def test_shares_have_an_error_even_at_their_limits() -> None:
    assert binomial(10, 10)[1] > 0.05
    assert np.isnan(binomial(0, 0)[0])

"""Our profile parameters under other conditions: a sky like Euclid's, and the same galaxies under different seeing.

Euclid-like: single Sersic profiles in VIS (0.1 arcsec pixels, PSF of 0.2 arcsec, noise of the Q1 mosaics), in bins of
magnitude, with the metric of the Euclid Morphology Challenge (Bretonniere+ 2023, A&A 671, A102) beside its published
dispersions. The data are not the same: there, profiles follow a survey's distribution and fields have neighbours.

Seeing: the same galaxies with the same fluxes under 0.8 to 1.8 arcsec (0.396 arcsec pixels), other noise each time;
the slope of the error of ln(r_eff) and ln(n) with the seeing is a galaxy's own, its error from resampled galaxies.

    python benchmarks/structure_conditions.py [--quick] [--model CARD]
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from _structure_ours import CARD, Estimator, calibrated, network_alone, refined, shipped, with_fit
from _structure_scores import Catalogue, errors, resampled
from _structure_sets import Sample, profiles, realistic, single_profiles
from _structure_start import PARAMETERS, starts

from tuningfork.evaluate.scores import challenge_scores

MAGNITUDES = (20.7, 22.7, 24.8)
"""Middles of the bins of I_E, 0.6 mag wide, of which dispersions are published."""
PUBLISHED = {
    "DeepLeGATo": {
        "r_eff": (0.045, 0.048, 0.113),
        "axis_ratio": (0.033, 0.030, 0.101),
        "sersic_n": (0.073, 0.087, 0.164),
    },
    "SourceXtractor++": {
        "r_eff": (0.018, 0.049, 0.165),
        "axis_ratio": (0.009, 0.028, 0.096),
        "sersic_n": (0.018, 0.052, 0.163),
    },
}
"""Dispersions as read from the figures of the paper."""
VIS_NOISE, VIS_SCALE, VIS_FWHM, VIS_BETA = 0.0021, 0.1, 0.2, 2.5
"""microjansky a pixel, arcsec, arcsec, exponent: config/surveys/euclid.yaml."""
VIS_SKY = 430.0
"""Electrons of the sky in a pixel: a zodiacal background of 22.3 mag/arcsec^2 gives the noise above."""
SEEING = (0.8, 1.0, 1.2, 1.5, 1.8)
SDSS_SCALE = 0.396
COMPARED = ("r_eff", "sersic_n")


def euclid_like(number: int, seed: int, plain: bool = True) -> Sample:
    """Return single Sersic profiles in VIS, the same number in each bin of magnitude.

    Half-light radii are log-normal (0.25 dex) about 0.5 arcsec at 22.7 mag, 0.13 dex smaller for each magnitude
    fainter; indices log-uniform in 0.4-6, axis ratios uniform in 0.2-1.
    """
    rng = np.random.default_rng(seed)
    magnitude = np.array(MAGNITUDES)[np.arange(number) % len(MAGNITUDES)] + rng.uniform(-0.3, 0.3, number)
    radius = 0.5 * 10 ** (-0.13 * (magnitude - 22.7) + 0.25 * rng.standard_normal(number))
    truth = {
        "mag": magnitude - 23.9 + 2.5 * np.log10(VIS_NOISE),
        "r_eff": np.clip(radius, 0.1, 3.0) / VIS_SCALE,
        "sersic_n": np.exp(rng.uniform(np.log(0.4), np.log(6.0), number)),
        "axis_ratio": rng.uniform(0.2, 1.0, number),
        "position_angle": rng.uniform(0, 180, number),
    }
    return profiles(rng, truth, np.full(number, VIS_FWHM / VIS_SCALE), VIS_BETA, VIS_SKY, plain)


def ours(held_out: Sample, model: Path) -> dict[str, Estimator]:
    """Return our estimators, weighted as learnt on `held_out`."""
    ensemble = shipped(model)
    if ensemble is None:
        return {"fit": with_fit}
    return {
        "fit": with_fit,
        "network": network_alone(ensemble),
        "refined": refined(ensemble, calibrated(ensemble, held_out)),
    }


def answers(estimate: Estimator, sample: Sample) -> dict[str, np.ndarray]:
    """Return what an estimator found, parameter -> (N,)."""
    rows = estimate(sample, starts(sample.images, sample.mask, sample.fwhm))
    return {name: np.array([row[name] for row in rows]) for name in PARAMETERS}


def challenge(number: int, others: int, model: Path) -> dict[str, float]:
    """Print the table of the challenge's metric and return its figures."""
    sample = euclid_like(number, 1)
    found = {
        name: answers(estimate, sample) for name, estimate in ours(euclid_like(others, 2, plain=False), model).items()
    }
    found["constant"] = {name: np.full(number, np.median(sample.truth[name])) for name in PARAMETERS}
    bins, figures = np.arange(number) % len(MAGNITUDES), {}
    print(f"\nEuclid-like: {number} single Sersic profiles; bias, dispersion, outliers")
    for name in ("r_eff", "axis_ratio", "sersic_n"):
        print(f"\n| {name} | {' | '.join(f'{value}' for value in MAGNITUDES)} |\n{'|---' * (len(MAGNITUDES) + 1)}|")
        for who, values in found.items():
            cells = []
            for place, middle in enumerate(MAGNITUDES):
                rows = bins == place
                scores = challenge_scores(name, values[name][rows], sample.truth[name][rows])
                lost = int(np.sum(~np.isfinite(values[name][rows])))
                if scores["bias"] is None:
                    cells.append("")
                    continue
                failed = f", {lost} failed" if lost else ""
                cells.append(
                    f"{scores['bias']:+.3f}, {scores['dispersion']:.3f}, {100 * scores['outliers']:.0f} %{failed}"
                )
                figures[f"euclid_dispersion_{name}_{who}_{middle}"] = scores["dispersion"]
                figures[f"euclid_bias_{name}_{who}_{middle}"] = scores["bias"]
            print(f"| {who} | {' | '.join(cells)} |")
        for who, values in PUBLISHED.items():
            print(f"| {who} (published dispersion) | {' | '.join(f'{value:.3f}' for value in values[name])} |")
    return figures


def slopes(found: Mapping[float, Catalogue], truth: Catalogue, name: str) -> tuple[float, float]:
    """Return the mean over galaxies of the slope of a parameter's error with seeing (1/arcsec), and its error.

    Slopes beyond four robust standard deviations, of fits that went astray, are left out.
    """
    seeing = np.array(list(found))
    error = np.stack([errors(values, truth, name) for values in found.values()])
    whole = np.isfinite(np.stack([values[name] for values in found.values()])).all(axis=0)
    centred = seeing - seeing.mean()
    slope = (centred @ error[:, whole]) / (centred @ centred)
    spread = 1.4826 * np.median(np.abs(slope - np.median(slope)))
    slope = slope[np.abs(slope - np.median(slope)) < 4 * spread]
    return float(slope.mean()), float(slope[resampled(len(slope))].mean(axis=1).std())


def seeing(number: int, others: int, model: Path) -> dict[str, float]:
    """Print the slopes with seeing of single profiles and of galaxies of several components, and return them."""
    rng = np.random.default_rng(3)
    low, high = SEEING[0], SEEING[-1]
    mixture = np.exp(rng.uniform(np.log(low), np.log(high), others))
    population = {"mag_min": 16.0, "mag_max": 19.5, "r_eff_min": 1.5, "r_eff_max": 8.0}
    sets = {
        "single": (
            {value: single_profiles(number, 4, value, SDSS_SCALE) for value in SEEING},
            single_profiles(others, 5, mixture, SDSS_SCALE, plain=False),
        ),
        "realistic": (
            {
                value: realistic(number, 6, "simulated", population=population, seeing=[value, value * 1.0001])
                for value in SEEING
            },
            realistic(others, 7, "simulated", population=population, seeing=[low, high]),
        ),
    }
    figures = {}
    for title, (samples, held_out) in sets.items():
        truth = samples[SEEING[0]].truth
        print(
            f"\nSlope of the error with seeing (1/arcsec), {title}, {number} galaxies\n\n| | ln r_eff | ln n |\n|---|---|---|"
        )
        for who, estimate in ours(held_out, model).items():
            found = {value: answers(estimate, sample) for value, sample in samples.items()}
            cells = []
            for name in COMPARED:
                slope, error = slopes(found, truth, name)
                cells.append(f"{slope:+.4f}±{error:.4f}")
                figures |= {f"slope_{name}_{title}_{who}": slope, f"slope_error_{name}_{title}_{who}": error}
            print(f"| {who} | {' | '.join(cells)} |")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few galaxies; within a minute")
    parser.add_argument("--model", type=Path, default=CARD, help="card of a structure network")
    options = parser.parse_args()
    torch.set_num_threads(1)
    many, few, others = (60, 16, 80) if options.quick else (300, 100, 400)
    figures = challenge(many, others, options.model) | seeing(few, others, options.model)
    print(json.dumps({key: float(f"{value:.4g}") for key, value in figures.items()}))


if __name__ == "__main__":
    main()

"""Profile parameters: AstroPhot (one by one, and BatchLM), pyimfit, statmorph, and ours, on the same galaxies.

One band; every code gets the same image, variance, PSF (a Moffat without the pixel, as an image for the peers) and, if
it takes one, the same mask of neighbours; fits start from moments, as a careful user's would. The sky is known to be
zero. One thread each; the codes take turns on batches of galaxies; times are CPU seconds. A failed fit counts as the
constant. "fit" is our fit from the same moments, "network" our network alone, "refined" what the catalogue recommends:
both, weighted as learnt on other galaxies of the same kind.

The first set are single Sersic profiles drawn by plain GalSim, the second galaxies of several components with
neighbours by our simulator, whose truth is the growth curve's radius and concentration, not a Sersic fit.

    python benchmarks/structure.py [--quick] [--model CARD]
"""

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from _structure_ours import CARD, Estimator, calibrated, network_alone, refined, shipped, with_fit
from _structure_peers import PEERS, quiet
from _structure_scores import ERRORS, against_best, table
from _structure_sets import SIGNAL_TO_NOISE, Sample, realistic, single_profiles
from _structure_start import PARAMETERS, Values, starts

LABELS = [f"{low:.0f}-{high:.0f}" for low, high in pairwise(SIGNAL_TO_NOISE)]
POPULATION = {"mag_min": 17.5, "mag_max": 22.5, "r_eff_min": 1.0, "r_eff_max": 8.0}
"""Of the realistic set, in the noise of the Legacy Surveys."""
TURN = 40
"""Galaxies that a code measures before the next one has its turn."""


def measured(
    estimators: dict[str, Estimator], sample: Sample
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, float]]:
    """Return what each estimator found, parameter -> (N,), and its CPU seconds a galaxy."""
    start = starts(sample.images, sample.mask, sample.fwhm)
    found: dict[str, list[Values]] = {name: [] for name in estimators}
    seconds = dict.fromkeys(estimators, 0.0)
    for estimate in estimators.values():
        estimate(sample[:2], start[:2])
    for first in range(0, len(sample), TURN):
        rows = slice(first, min(first + TURN, len(sample)))
        for name, estimate in estimators.items():
            begin = time.process_time()
            found[name] += estimate(sample[rows], start[rows])
            seconds[name] += time.process_time() - begin
    columns = {name: {key: np.array([one[key] for one in rows]) for key in PARAMETERS} for name, rows in found.items()}
    return columns, {name: total / len(sample) for name, total in seconds.items()}


def bins_of(sample: Sample) -> np.ndarray:
    """Return the signal-to-noise bin of every galaxy; what lies beyond the ends belongs to the bins there."""
    return np.clip(np.digitize(sample.signal_to_noise, SIGNAL_TO_NOISE) - 1, 0, len(LABELS) - 1)


def compare(title: str, sample: Sample, held_out: Sample, model: Path) -> dict[str, float]:
    """Measure a set with everything, print the tables and return the figures."""
    ensemble = shipped(model)
    estimators: dict[str, Estimator] = {**PEERS, "fit": with_fit}
    if ensemble:
        estimators["network"] = network_alone(ensemble)
        estimators["network_once"] = network_alone(ensemble, rotations=1)
        estimators["refined"] = refined(ensemble, calibrated(ensemble, held_out))
    found, seconds = measured(estimators, sample)
    bins = bins_of(sample)
    text, figures = table(found, sample.truth, bins, LABELS)
    _, overall = table(found, sample.truth, np.zeros(len(sample), dtype=int), [""])
    counts = ", ".join(f"{label}: {np.sum(bins == place)}" for place, label in enumerate(LABELS))
    print(f"\n{title}: {len(sample)} galaxies, signal-to-noise ratios {counts}; bias, scatter with bootstrap errors")
    print(text)
    print("\n| code | CPU s a galaxy | galaxies a second | failures |\n|---|---|---|---|")
    for name, value in seconds.items():
        failures = int(np.sum(~np.isfinite(found[name]["mag"])))
        print(f"| {name} | {value:.4f} | {1 / value:.1f} | {failures} |")
        figures |= {f"seconds_{name}": value, f"failures_{name}": failures}
    figures |= {key.removesuffix("_"): value for key, value in overall.items()}
    return figures | beside_the_best(found, sample, bins)


def beside_the_best(found: dict[str, dict[str, np.ndarray]], sample: Sample, bins: np.ndarray) -> dict[str, float]:
    """Print and return our scatter over that of the best peer in every bin."""
    figures = {}
    for ours in [name for name in ("fit", "network", "refined") if name in found]:
        print(f"\n| {ours} / best peer | {' | '.join(LABELS)} |\n{'|---' * (len(LABELS) + 1)}|")
        versus = against_best(found, sample.truth, bins, ours, list(PEERS))
        for name in ERRORS:
            cells = [versus.get((name, place), ("", np.nan, np.nan)) for place in range(len(LABELS))]
            print(f"| {name} | {' | '.join(f'{ratio:.2f}±{error:.2f} ({best})' for best, ratio, error in cells)} |")
            figures |= {f"{ours}_over_best_{name}_{label}": cell[1] for label, cell in zip(LABELS, cells, strict=True)}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="16 galaxies; within a minute")
    parser.add_argument("--model", type=Path, default=CARD, help="card of a structure network")
    options = parser.parse_args()
    torch.set_num_threads(1)
    single, mixed, others = (8, 4, 60) if options.quick else (200, 200, 800)
    with quiet():
        first = compare(
            "Single Sersic profiles",
            single_profiles(single),
            single_profiles(others, seed=2, plain=False),
            options.model,
        )
        second = compare(
            "Several components, neighbours",
            realistic(mixed, 1, population=POPULATION),
            realistic(others, 2, population=POPULATION),
            options.model,
        )
    figures: dict[str, float] = {"galaxies": single}
    slowest = first["seconds_astrophot"]
    fastest = min(slowest, first["seconds_astrophot_batch"])
    for key, name in (("", "network"), ("refined_", "refined"), ("fit_", "fit")):
        if f"seconds_{name}" in first:
            figures[f"{key}ratio_to_astrophot"] = slowest / first[f"seconds_{name}"]
            figures[f"{key}ratio_to_fastest_astrophot"] = fastest / first[f"seconds_{name}"]
    figures |= first | {f"realistic_{key}": value for key, value in second.items()}
    print(json.dumps({key: float(f"{value:.5g}") for key, value in figures.items() if np.isfinite(value)}))


if __name__ == "__main__":
    main()

"""Bar lengths on clean mock discs: ours against photutils' isophotes.

20 exponential discs with a bulge and a Ferrers bar (index 2), drawn with GalSim alone: 0.262 arcsec pixels, 128 x 128,
Moffat PSF of 1.2 arcsec, bars of 6 to 16 arcsec. Each estimator is calibrated by the median of its own ratio to the
truth, so that what is compared is the scatter. Times are seconds of CPU a galaxy in turns on the same threads; ours
measures all galaxies at once, photutils one after the other.

`scatter_ours` is that of the better of the Fourier estimator and those of the network that comes with the package, as `scatter_photutils` is of the best criterion; `ours` and `best_criterion` name them.

    python benchmarks/bars.py [--quick] [--threads 1]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import photutils
import pyarrow as pa
import torch
from _bar_isophotes import CRITERIA, isophote_lengths
from _bar_mocks import PIXEL_SCALE, PSF_BETA, PSF_FWHM, SIZE, Mock, mocks

from tuningfork.core.config.stages import Infer, Saliency
from tuningfork.core.statistics import robust_scatter
from tuningfork.explain.shard import map_stamps
from tuningfork.infer.morphology import ask_morphology
from tuningfork.measure.bars.estimators import of_maps, of_masks, of_network
from tuningfork.measure.bars.fourier import measure_fourier
from tuningfork.networks.compact import compact_card
from tuningfork.networks.ensemble import load_ensemble

NUMBER, TURNS = 20, 4
RESAMPLINGS = 2000
CARD = compact_card("morphology")
Lengths = dict[str, np.ndarray]


def fourier_lengths(galaxies: Sequence[Mock]) -> Lengths:
    """Return full lengths (px) from the harmonics of the light."""
    width = np.full(len(galaxies), PSF_FWHM / PIXEL_SCALE)
    return {"fourier": measure_fourier(np.stack([galaxy.image for galaxy in galaxies]), width).length}


def photutils_lengths(galaxies: Sequence[Mock]) -> Lengths:
    """Return full lengths (px) by each criterion; one fit of the isophotes serves all."""
    return dict(zip(CRITERIA, isophote_lengths(galaxies).T, strict=True))


def network_methods(card: Path) -> dict[str, Callable[[Sequence[Mock]], Lengths]]:
    """Return what measures full lengths (px) with the package's own network: its answers, and its saliency maps."""
    ensemble = load_ensemble([card], "morphology")
    band = ensemble.reference_band
    psf = PSF_FWHM / PIXEL_SCALE

    def store(galaxies: Sequence[Mock]) -> tuple[pa.Table, np.ndarray]:
        number = len(galaxies)
        rows = pa.table(
            {
                "pixel_scale": np.full(number, PIXEL_SCALE),
                "psf_beta": np.full(number, PSF_BETA),
                "valid_fraction": np.ones(number),
                f"psf_fwhm_{band}": np.full(number, PSF_FWHM),
                f"sky_noise_{band}": np.ones(number),
            }
        )
        pixels = np.ones((number, 2, 1, SIZE, SIZE), dtype=np.float32)
        pixels[:, 0, 0] = [galaxy.image for galaxy in galaxies]
        return rows, pixels

    def answers(galaxies: Sequence[Mock]) -> Lengths:
        found = ask_morphology(ensemble, *store(galaxies), Infer())
        mask = of_masks(found.bar_masks, np.full(len(galaxies), psf))
        return {"direct": of_network(found).length, "mask": mask.length}

    def saliency(galaxies: Sequence[Mock]) -> Lengths:
        maps = np.zeros((len(galaxies), 1, SIZE, SIZE), dtype=np.float16)
        map_stamps(ensemble, *store(galaxies), np.arange(len(galaxies)), 0, Saliency(), maps)
        return {"saliency": of_maps(maps, np.full(len(galaxies), psf), "moments").length}

    return {"network": answers, "saliency": saliency}


def timed(measure: Callable[[Sequence[Mock]], Lengths], galaxies: Sequence[Mock]) -> tuple[Lengths, float]:
    """Return the lengths and the seconds of CPU a galaxy."""
    begin = time.process_time()
    return measure(galaxies), (time.process_time() - begin) / len(galaxies)


def score(length: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return median ratio to the truth, robust scatter of its logarithm with a bootstrap error, and failures."""
    good = np.isfinite(length)
    miss = np.log(length[good] / truth[good])
    if len(miss) < 3:
        return {"ratio": np.nan, "scatter": np.nan, "scatter_error": np.nan, "failures": int((~good).sum())}
    rng = np.random.default_rng(0)
    again = [robust_scatter(rng.choice(miss, len(miss))) for _ in range(RESAMPLINGS)]
    return {
        "ratio": float(np.exp(np.median(miss))),
        "scatter": robust_scatter(miss),
        "scatter_error": float(np.std(again)),
        "failures": int((~good).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="every second galaxy; within a minute")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    galaxies = mocks(NUMBER)[:: 2 if options.quick else 1]
    truth = np.array([galaxy.length for galaxy in galaxies])
    methods: dict[str, Callable[[Sequence[Mock]], Lengths]] = {"fourier": fourier_lengths}
    methods |= network_methods(CARD)
    for measure in methods.values():
        measure(galaxies)
    lengths: Lengths = {}
    seconds: dict[str, list[float]] = {name: [] for name in [*methods, "photutils"]}
    isophotes = []
    for turn in range(TURNS):
        found, spent = timed(photutils_lengths, galaxies[turn::TURNS])
        isophotes.append(found)
        seconds["photutils"].append(spent)
        for name, measure in methods.items():
            found, spent = timed(measure, galaxies)
            seconds[name].append(spent)
            lengths |= found
    for criterion in CRITERIA:
        lengths[criterion] = np.empty(len(galaxies))
        for turn, found in enumerate(isophotes):
            lengths[criterion][turn::TURNS] = found[criterion]
    report({name: score(length, truth) for name, length in lengths.items()}, seconds, options.threads)


def report(scores: dict[str, dict[str, float]], seconds: dict[str, list[float]], threads: int) -> None:
    """Print the table and the line of figures."""
    cost = {name: statistics.median(values) for name, values in seconds.items()}
    spent = {name: cost.get(name, cost["photutils" if name in CRITERIA else "network"]) for name in scores}
    print(f"{'estimator':22s} {'a/a_true':>8s} {'scatter (ln)':>16s} {'failures':>8s} {'CPU s':>8s}")
    for name, one in scores.items():
        line = f"{name:22s} {one['ratio']:8.2f} {one['scatter']:8.3f} +- {one['scatter_error']:.3f}"
        print(f"{line} {one['failures']:8d} {spent[name]:8.4f}")
    best = min(CRITERIA, key=lambda name: (scores[name]["failures"] > 0, scores[name]["scatter"]))
    ours = min((name for name in scores if name not in CRITERIA), key=lambda name: scores[name]["scatter"])
    figures: dict[str, float | str | int] = {
        "ratio_to_photutils": spent[best] / spent[ours],
        "ours": ours,
        "scatter_ours": scores[ours]["scatter"],
        "scatter_ours_error": scores[ours]["scatter_error"],
        "best_criterion": best,
        "scatter_photutils": scores[best]["scatter"],
        "scatter_photutils_error": scores[best]["scatter_error"],
    }
    for name, one in scores.items():
        key = name.replace(" ", "_").replace("-", "_")
        figures |= {f"scatter_{key}": one["scatter"], f"failures_{key}": one["failures"]}
    figures |= {f"seconds_{name}": value for name, value in cost.items()}
    print(json.dumps(figures | {"threads": threads, "photutils": photutils.__version__}))


if __name__ == "__main__":
    main()

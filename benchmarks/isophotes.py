"""Whether lengths from isophotes would make the combined bar length better: on pictures of three kinds.

Calibrations and weights are learned on simulated pictures, as for `tuningfork calibrate-pictures`, and tested on others, on
scenes of the second generator, and on the galaxies with lengths that people drew if TUNINGFORK_REAL_DATA names their
folder. docs/development/isophotes.md has the results.

    python benchmarks/isophotes.py [--quick] [--galaxies 1500] [--scenes 600] [--seed N]
"""

import argparse
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
from _isophotes import isophote_bars
from second_generator.files import write_pictures
from second_generator.scenes import draw_scene

from tuningfork.calibrate.bar_learning import fit_lengths, learn_combination
from tuningfork.core.config import validate
from tuningfork.core.config.stages import Bars
from tuningfork.core.description import describe
from tuningfork.core.seeds import generator_for
from tuningfork.core.statistics import robust_scatter
from tuningfork.core.tables import read_table
from tuningfork.infer.morphology import ask_morphology
from tuningfork.measure.bars.combination import BarCombination
from tuningfork.measure.bars.estimators import BarEstimate, of_light, of_network, psf_pixels
from tuningfork.measure.bars.length_calibration import LengthCalibration
from tuningfork.measure.bars.recipe import counts_as_barred
from tuningfork.measure.votes.correction import uncorrected
from tuningfork.measure.votes.recipe import vote_columns_of
from tuningfork.networks.ensemble import Ensemble
from tuningfork.pictures.calibrate import PICTURED
from tuningfork.pictures.drawn import draw_part
from tuningfork.pictures.measure import PICTURE_INFERENCE, picture_ensemble, store_of
from tuningfork.pictures.read import Reading, read_picture
from tuningfork.stamps.store import StampFiles, open_store

ROOT = Path(__file__).resolve().parents[1]
SEED = 2077
"""Nothing was chosen on these galaxies."""
QUICK = 60
WIDTHS = 2.0
"""Bars are scored if they are longer than so many FWHM of the PSF."""
OUTLIER = 0.35
RESAMPLES = 500
SETS = {"without": ("direct", "fourier"), "with": ("direct", "fourier", "isophotes")}
Lengths = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Galaxies:
    """N galaxies: true full lengths and FWHM of the PSF (px), raw estimates, and whether each counts as barred."""

    true: np.ndarray
    psf: np.ndarray
    estimates: Mapping[str, BarEstimate]
    isophotes: np.ndarray
    published: np.ndarray

    def raw(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the raw lengths of an estimator and the spread that it states."""
        if name == "isophotes":
            return self.isophotes, np.zeros(len(self.psf))
        return self.estimates[name].length, self.estimates[name].spread

    @property
    def resolved(self) -> np.ndarray:
        """(N,) bool."""
        return np.asarray(self.true > WIDTHS * self.psf)


def measured(ensemble: Ensemble, rows: pa.Table, pixels: np.ndarray, true: np.ndarray) -> Galaxies:
    """Return what the estimators say of stamps (N, 2, 1, S, S)."""
    band = ensemble.reference_band
    answers = ask_morphology(ensemble, rows, pixels, PICTURE_INFERENCE)
    votes, psf = vote_columns_of(answers, uncorrected()), psf_pixels(rows, band)
    barred = counts_as_barred(votes["bar_probability"], votes["morphology"].astype(str), Bars().min_probability)
    noise = rows[f"sky_noise_{band}"].to_numpy()[:, None, None]
    start = time.process_time()
    lengths, _ = isophote_bars(pixels[:, 0, 0] / noise, pixels[:, 1, 0] > 0, psf)
    print(f"isophotes: {1e3 * (time.process_time() - start) / len(psf):.1f} ms of processor time per galaxy")
    estimates = {"direct": of_network(answers), "fourier": of_light(rows, pixels, band)}
    return Galaxies(true, psf, estimates, lengths, barred)


def simulated(ensemble: Ensemble, number: int, seed: int) -> tuple[Galaxies, Galaxies]:
    """Return simulated galaxies to learn from and others to test on, as they come back from pictures."""
    values = {"seed": seed, "survey": {"simulated": {"bands": ensemble.bands}}, "simulate": PICTURED}
    configuration, band = validate(values), ensemble.reference_band
    with TemporaryDirectory() as folder:
        part = StampFiles(Path(folder) / "part-0.parquet", Path(folder) / "part-0.npy")
        draw_part(part, number, band, configuration, describe(configuration, ROOT / "config" / "surveys"))
        truth = read_table(part.table)
        rows, pixels = open_store(part, ensemble.bands, band)
        true = truth["bar_length"].to_numpy() / truth["pixel_scale"].to_numpy()
        halves = [np.flatnonzero(truth["split"].to_numpy() == split) for split in ("validation", "test")]
        learned, tested = (measured(ensemble, rows.take(half), pixels[half], true[half]) for half in halves)
    return learned, tested


def strangers(ensemble: Ensemble, number: int, seed: int) -> Galaxies:
    """Return barred galaxies of the second generator."""
    with TemporaryDirectory() as folder:
        scenes = (draw_scene(seed, index, "barred") for index in range(number))
        truth = write_pictures(scenes, seed, Path(folder))
        readings = [read_picture(path) for path in sorted((Path(folder) / "pictures").iterdir())]
    kept = [row for row, reading in enumerate(readings) if reading.stamp is not None]
    rows, pixels = store_of([readings[row] for row in kept], ensemble.reference_band)
    true = (truth["bar_length"] / truth["picture_scale"]).to_numpy()[kept] / rows["pixel_scale"].to_numpy()
    return measured(ensemble, rows, pixels, true)


def real(ensemble: Ensemble, folder: Path) -> Galaxies:
    """Return galaxies whose bars people measured in units of the galaxy's diameter."""
    truth = pd.read_csv(folder / "lengths.csv")
    paths = {path.stem: path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg")}
    readings = [read_picture(paths[Path(name).stem]) for name in truth["file"]]
    rows, pixels = store_of(readings, ensemble.reference_band)
    diameters = np.array([2 * _r90(reading) for reading in readings])
    return measured(ensemble, rows, pixels, truth["length_scaled"].to_numpy() * diameters)


def _r90(reading: Reading) -> float:
    return reading.stamp.r90 / reading.stamp.step if reading.stamp else np.nan


@dataclass(frozen=True)
class Learned:
    """Calibrations of single estimators, and the two combinations."""

    lengths: Mapping[str, LengthCalibration]
    combinations: Mapping[str, BarCombination]

    def errors(self, galaxies: Galaxies) -> Lengths:
        """Return the errors of ln(length) of the estimators and combinations for N galaxies."""
        values = {name: fit.apply(galaxies.raw(name)[0], galaxies.psf) for name, fit in self.lengths.items()}
        unit = self.lengths["direct"].error(galaxies.raw("direct")[1])
        both = {name: combination.lengths(values, unit)[0] for name, combination in self.combinations.items()}
        middle = {f"median {name}": _median([values[key] for key in keys]) for name, keys in SETS.items()}
        return {name: np.log(found / galaxies.true) for name, found in (values | both | middle).items()}


def _median(lengths: list[np.ndarray]) -> np.ndarray:
    table = np.log(np.stack(lengths))
    known = np.isfinite(table).any(axis=0)
    table[:, ~known] = 0
    return np.where(known, np.exp(np.nanmedian(table, axis=0)), np.nan)


def learn(galaxies: Galaxies) -> Learned:
    """Learn calibrations and weights as for pictures."""
    fits, values = {}, {}
    for name in SETS["with"]:
        raw, spread = galaxies.raw(name)
        fits[name] = fit_lengths(raw, spread, galaxies.true, galaxies.psf)
        values[name] = fits[name].apply(raw, galaxies.psf)[galaxies.resolved]
    unit = fits["direct"].error(galaxies.raw("direct")[1])[galaxies.resolved]
    true = galaxies.true[galaxies.resolved]
    no_angles = {"direct": np.full(len(true), np.nan)}
    combinations = {
        key: learn_combination({name: values[name] for name in names}, unit, true, no_angles, no_angles["direct"])
        for key, names in SETS.items()
    }
    return Learned(fits, combinations)


def score(title: str, galaxies: Galaxies, learned: Learned) -> dict[str, float]:
    """Print and return scatter and outliers, and what the isophotes change, with errors from resampled galaxies."""
    errors, figures = learned.errors(galaxies), {}
    for who, which in (("published", galaxies.published), ("all", np.ones(len(galaxies.psf), dtype=bool))):
        rows = which & galaxies.resolved & np.all([np.isfinite(values) for values in errors.values()], axis=0)
        number = int(rows.sum())
        if number < 2:
            continue
        drawn = generator_for(0, title).integers(0, number, (RESAMPLES, number))
        print(f"\n{title}, {who}: {number} bars that all estimators measured")
        samples = {}
        for name, values in errors.items():
            figure = np.array(_figures(values[rows]))
            samples[name] = np.array([_figures(values[rows][again]) for again in drawn])
            error = samples[name].std(axis=0)
            print(
                f"  {name:15s} "
                + "  ".join(
                    f"{what} {value:+.3f} +- {off:.3f}"
                    for what, value, off in zip(("scatter", "bias", "outliers"), figure, error, strict=True)
                )
            )
            figures[f"scatter_{name}_{title}_{who}".replace(" ", "_")] = float(figure[0])
        for prefix in ("", "median "):
            change = samples[f"{prefix}with"] - samples[f"{prefix}without"]
            value = np.subtract(_figures(errors[f"{prefix}with"][rows]), _figures(errors[f"{prefix}without"][rows]))
            print(
                f"  change, {prefix or 'weights'}: scatter {value[0]:+.3f} +- {change[:, 0].std():.3f}, "
                f"outliers {value[2]:+.3f} +- {change[:, 2].std():.3f}"
            )
    return figures


def _figures(errors: np.ndarray) -> tuple[float, float, float]:
    """Return robust scatter, median, and share beyond `OUTLIER`."""
    return robust_scatter(errors), float(np.median(errors)), float(np.mean(np.abs(errors) > OUTLIER))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} galaxies and scenes")
    parser.add_argument("--galaxies", type=int, default=1500, help="simulated, to learn from; as many to test on")
    parser.add_argument("--scenes", type=int, default=600, help="of the second generator")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    number, scenes = (QUICK, QUICK) if options.quick else (options.galaxies, options.scenes)
    ensemble = picture_ensemble(())
    learning, testing = simulated(ensemble, number, options.seed)
    learned = learn(learning)
    for name, combination in learned.combinations.items():
        inverse = np.linalg.inv(np.array(combination.covariance)).sum(axis=1)
        print(name, dict(zip(combination.names, (inverse / inverse.sum()).round(2).tolist(), strict=True)))
    figures = score("simulated", testing, learned)
    figures |= score("second generator", strangers(ensemble, scenes, options.seed), learned)
    if root := os.environ.get("TUNINGFORK_REAL_DATA"):
        figures |= score("real", real(ensemble, Path(root) / "barred_with_lengths"), learned)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

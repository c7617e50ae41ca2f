"""Bulge fraction, and mask and share of the spiral arms, against the truth of simulated galaxies, with the package's network.

Masks: spirals are drawn with their arms, with the same random numbers without them, and the arms alone; the true mask
is the smallest area with 68 % of the arms' light. Of those whose arms are at least as bright there as 0.7 of the sky's
noise: intersection over union and share of the arms' light in the mask, beside those of a mask for which the
galaxy's own profile takes the place of the map, and of the annulus of the same area about the mask's median radius; and
the mask's area on the twin without arms.

Fractions: galaxies of all kinds, calibrated on one half, the figures of the other.

    python benchmarks/features.py [--quick] [--model CARD] [--samples N] [--threads 1]
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from _arm_mocks import ROOT, SEED, Spirals, spirals

from tuningfork.calibrate.features import learn_fractions
from tuningfork.core.config import validate
from tuningfork.core.config.stages import Features, Infer
from tuningfork.core.description import describe
from tuningfork.core.seeds import generator_for
from tuningfork.evaluate.features import score_features
from tuningfork.explain.feature_maps import FEATURE_TARGETS, map_features
from tuningfork.infer.morphology import ask_morphology
from tuningfork.measure.features.azimuthal import azimuthal
from tuningfork.measure.features.calibration import FEATURES, FeatureCalibration
from tuningfork.measure.features.maps import (
    FeatureMeasurements,
    arms_where,
    measure_features,
    profile_heights,
    without_specks,
)
from tuningfork.measure.votes.correction import uncorrected
from tuningfork.measure.votes.recipe import vote_columns_of
from tuningfork.networks.compact import compact_card
from tuningfork.networks.ensemble import Ensemble, load_ensemble
from tuningfork.stamps.store import in_bands
from tuningfork.training.sets.parts import simulate_galaxy

ARM_LIGHT, VISIBLE = 0.68, 0.7
"""Share of the arms' light in the true mask, and how bright they are there at least, in units of the sky's noise."""


def masks_of(ensemble: Ensemble, rows: pa.Table, pixels: np.ndarray, settings: Features) -> np.ndarray:
    """Return the masks (N, S, S) of the arms."""
    found = np.zeros((len(pixels), *pixels.shape[-2:]), dtype=bool)
    for places, measured in measured_features(ensemble, rows, pixels, settings):
        found[places] = measured.masks
    return found


def measured_features(
    ensemble: Ensemble, rows: pa.Table, pixels: np.ndarray, settings: Features
) -> Iterator[tuple[np.ndarray, FeatureMeasurements]]:
    """Make the maps of all stamps and yield what is measured on them, as the stages feature_maps and features do."""
    maps = np.zeros((len(pixels), len(FEATURE_TARGETS), *pixels.shape[-2:]), dtype=np.float16)
    copies = map_features(ensemble, rows, pixels, np.arange(len(pixels)), SEED, settings, maps)
    light = in_bands(pixels, ensemble.bands, [ensemble.reference_band])
    yield from measure_features(rows, light, maps, copies > 0, ensemble.reference_band)


def true_mask(light: np.ndarray) -> np.ndarray:
    """Return the smallest area with `ARM_LIGHT` of the light (S, S)."""
    falling = np.sort(light.ravel())[::-1]
    growth = np.cumsum(falling)
    return np.asarray(light >= falling[np.searchsorted(growth, ARM_LIGHT * growth[-1])])


def annulus(radius: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the annulus (S, S) of the mask's area about its median radius."""
    if not mask.any():
        return mask
    distance = np.abs(radius - np.median(radius[mask]))
    return np.asarray(distance <= np.sort(distance.ravel())[mask.sum() - 1])


def compare_masks(ensemble: Ensemble, drawn: Spirals, settings: Features) -> dict[str, float]:
    """Return the figures of the masks."""
    noise = drawn.rows["sky_noise_r"].to_numpy()[:, None, None]
    psf = (drawn.rows["psf_fwhm_r"].to_numpy() / drawn.rows["pixel_scale"].to_numpy()).astype(float)
    galaxies = azimuthal(drawn.pixels[:, 0, 0] / noise, drawn.pixels[:, 1, 0], psf)
    found = {"mask": masks_of(ensemble, drawn.rows, drawn.pixels, settings)}
    found["light"] = without_specks(arms_where(galaxies, profile_heights(galaxies)), psf)
    rings = [annulus(radius, mask) for radius, mask in zip(galaxies.radius, found["mask"], strict=True)]
    found["annulus"] = np.stack(rings)
    truth = np.stack([true_mask(light) for light in drawn.arms])
    level = np.array([light[mask].mean() for light, mask in zip(drawn.arms / noise, truth, strict=True)])
    seen = np.flatnonzero(level > VISIBLE)
    result: dict[str, float] = {"spirals": len(seen)}
    for name, masks in found.items():
        both, either = (masks & truth)[seen].sum((1, 2)), (masks | truth)[seen].sum((1, 2))
        light = np.where(masks, drawn.arms, 0)[seen].sum((1, 2)) / drawn.arms[seen].sum((1, 2))
        result |= {f"iou_{name}": float((both / either).mean()), f"iou_{name}_error": _error(both / either)}
        result |= {f"arm_light_{name}": float(light.mean())}
        result |= {f"purity_{name}": float((both / np.maximum(masks[seen].sum((1, 2)), 1)).mean())}
    without = masks_of(ensemble, drawn.rows, drawn.without, settings)
    result["area_without_arms"] = float(without[seen].sum() / found["mask"][seen].sum())
    return result


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def held_out(ensemble: Ensemble, number: int, settings: Features) -> tuple[pd.DataFrame, float]:
    """Return truth and measurements of `number` galaxies, and the seconds of CPU that features take for one."""
    band = ensemble.reference_band
    configuration = validate({"seed": SEED, "survey": {"simulated": {"bands": [band]}}})
    description = describe(configuration, ROOT / "config" / "surveys")
    drawn = [
        simulate_galaxy(generator_for(SEED, "all", index), configuration.simulate, description, configuration.stamps)
        for index in range(number)
    ]
    frame, pixels = pd.DataFrame([row for _, row in drawn]), np.stack([stamp for stamp, _ in drawn])
    rows = pa.Table.from_pandas(frame)
    frame["split"] = np.where(np.arange(number) % 2, "test", "validation")
    frame["psf"] = frame[f"psf_fwhm_{band}"] / frame["pixel_scale"]
    frame = frame.assign(**vote_columns_of(ask_morphology(ensemble, rows, pixels, Infer()), uncorrected()))
    names = ("bulge", "arms", "end", "concentration", "residual")
    values: dict[str, Any] = {f"features_{name}": np.full(number, np.nan) for name in names}
    begin = time.process_time()
    for places, measured in measured_features(ensemble, rows, pixels, settings):
        for name in names:
            values[f"features_{name}"][places] = getattr(measured, name)
    return frame.assign(**values), (time.process_time() - begin) / number


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of the galaxies")
    parser.add_argument("--model", type=Path, default=compact_card("morphology"))
    parser.add_argument("--samples", type=int, default=Features().samples)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ensemble, part = load_ensemble([options.model], "morphology"), 4 if options.quick else 1
    settings = Features(samples=options.samples)
    figures = compare_masks(ensemble, spirals(240 // part, ensemble.reference_band), settings)
    frame, seconds = held_out(ensemble, 1200 // part, settings)
    validation, test = (frame[frame["split"] == split].reset_index(drop=True) for split in ("validation", "test"))
    scores = score_features(validation, test, FeatureCalibration(learn_fractions(validation)), SEED)
    for name in FEATURES:
        for kind, row in scores[name].items():
            for sample, one in (("all", row), ("spirals", row["spirals"])):
                facts = {key: value for key, value in one.items() if isinstance(value, int | float)}
                print(f"{name:20s} {kind:17s} {sample:8s}" + "  ".join(f"{k} {v:.3g}" for k, v in facts.items()))
                figures |= {f"{key}_{name}_{kind}_{sample}": one[key] for key in ("r", "partial_r", "rms")}
    print(json.dumps(figures | {"seconds": seconds, "samples": options.samples, "galaxies": len(frame)}))


if __name__ == "__main__":
    main()

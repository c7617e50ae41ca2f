"""The pipeline's measurements on held-out simulated galaxies, beside their truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.calibrate.held_out_stamps import CHUNK, chunks
from tuningfork.core.config import Configuration
from tuningfork.core.progress import track
from tuningfork.core.tables import read_table
from tuningfork.explain.shard import map_stamps
from tuningfork.measure.bars.estimators import Estimate, of_light, of_maps, of_network, psf_pixels
from tuningfork.measure.bars.maps import METHODS
from tuningfork.measure.features.maps import measure_features
from tuningfork.measure.votes.correction import Correction
from tuningfork.measure.votes.shard import vote_values
from tuningfork.networks.ensemble import Ensemble

FEATURES = ("bulge", "arms", "end", "concentration", "residual")
"""What is kept of :class:`tuningfork.measure.features.maps.Measured`."""


def held_out(
    training: Sequence[Path],
    networks: Ensemble,
    configuration: Configuration,
    corrections: Mapping[str, Correction] | None = None,
) -> pd.DataFrame:
    """Return truth and measurements of every galaxy of the validation and test splits, in order of their index.

    Parameters
    ----------
    training : sequence of Path
        Tables of the parts of the training set, with the stamps beside them.
    networks : Ensemble
        Of morphology networks.
    configuration : Configuration
        The sections evaluate, classify and saliency.
    corrections : mapping, optional
        Question -> correction of its votes.

    Returns
    -------
    DataFrame
        The columns of the training table; `psf` (px); the columns of the classify stage; for each estimator of the
        bar's length what :mod:`tuningfork.evaluate.bars` describes; `mapped`, whether the galaxy's saliency
        maps of the bar were made; what :mod:`tuningfork.evaluate.features` describes.
    """
    mapped = chosen_of(training, configuration.evaluate.bars, barred=True)
    featured = chosen_of(training, configuration.evaluate.features)
    frames = []
    for rows, pixels in track(chunks(training, networks), f"held-out galaxies, {CHUNK} at a time"):
        frame = rows.to_pandas()
        frame["psf"] = psf_pixels(rows, networks.reference_band)
        frame["mapped"] = frame["index"].isin(mapped)
        classify = configuration.classify
        votes = vote_values(networks, rows, pixels, classify.rotations, classify.batch_size, corrections)
        bars = _bar_columns(frame, rows, pixels, networks, configuration)
        chosen = np.flatnonzero(frame["index"].isin(featured))
        features = _feature_columns(frame, chosen, rows, pixels, networks, configuration)
        frames.append(pd.concat([frame, pd.DataFrame(votes), bars, features], axis=1))
    joined = pd.concat(frames, ignore_index=True)
    return joined.sort_values("index", kind="stable", ignore_index=True)


def chosen_of(training: Sequence[Path], number: int, barred: bool = False) -> set[int]:
    """Return the indices of the first `number` galaxies, or barred ones, of each of the validation and test splits."""
    columns = ["index", "split", "bar_length"]
    frame = pd.concat([read_table(path, columns).to_pandas() for path in training]).sort_values("index")
    frame = frame[frame["bar_length"].notna()] if barred else frame
    return {
        int(index) for split in ("validation", "test") for index in frame.loc[frame["split"] == split, "index"][:number]
    }


def _bar_columns(
    frame: pd.DataFrame, rows: pa.Table, pixels: np.ndarray, networks: Ensemble, configuration: Configuration
) -> pd.DataFrame:
    """Return the raw bar length of every estimator, for one chunk."""
    psf = frame["psf"].to_numpy()
    direct, mask = of_network(networks, rows, pixels, psf)
    columns = {
        **_columns("direct", direct),
        **_columns("mask", mask),
        **_columns("fourier", of_light(rows, pixels, networks.bands, networks.reference_band)),
        "size_only_raw": np.log(frame["r_eff"] / frame["pixel_scale"]),
        "size_only_spread": np.zeros(len(frame)),
    }
    chosen = np.flatnonzero(frame["mapped"])
    maps = np.zeros((len(chosen), len(networks.members), *pixels.shape[-2:]), dtype=np.float16)
    keys = frame["index"].to_numpy()[chosen]
    map_stamps(networks, rows.take(chosen), pixels[chosen], keys, configuration.seed, configuration.saliency, maps)
    for method in METHODS:
        found = _columns(f"saliency-{method}", of_maps(maps, psf[chosen], method))
        columns |= {name: _spread(values, chosen, len(frame)) for name, values in found.items()}
    return pd.DataFrame(columns)


def _feature_columns(
    frame: pd.DataFrame,
    chosen: np.ndarray,
    rows: pa.Table,
    pixels: np.ndarray,
    networks: Ensemble,
    configuration: Configuration,
) -> pd.DataFrame:
    """Return what is measured of bulge and arms on the rows `chosen` of one chunk."""
    columns = {f"features_{name}": np.full(len(frame), np.nan) for name in FEATURES}
    keys = frame["index"].to_numpy()[chosen]
    stages = configuration.seed, configuration.features
    for places, found in measure_features(networks, rows.take(chosen), pixels[chosen], keys, *stages):
        for name in FEATURES:
            columns[f"features_{name}"][chosen[places]] = getattr(found, name)
    return pd.DataFrame(columns)


def _columns(name: str, found: Estimate) -> dict[str, np.ndarray]:
    """Return an estimate as columns; see :mod:`tuningfork.evaluate.bars`."""
    with np.errstate(invalid="ignore"):
        raw = np.log(found.length)
    values = {"raw": raw, "spread": found.spread, "angle": found.angle, "angle_spread": found.angle_spread}
    return {f"{name}_{key}": column for key, column in (values | {"ratio": found.axis_ratio}).items()}


def _spread(values: np.ndarray, rows: np.ndarray, number: int) -> np.ndarray:
    """Return `values` at the places `rows` of an array of NaN."""
    column = np.full(number, np.nan)
    column[rows] = values
    return column

"""Bars of held-out galaxies, measured with the pipeline's own recipe."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.calibrate.held_out import chosen_stamps
from tuningfork.core.columns import ESTIMATORS
from tuningfork.core.config.stages import Saliency
from tuningfork.core.records import join, take
from tuningfork.explain.shard import map_stamps
from tuningfork.infer.answers import MorphologyAnswers
from tuningfork.measure.bars.estimators import BarEstimate, nothing, of_maps, psf_pixels
from tuningfork.measure.bars.maps import METHODS
from tuningfork.measure.bars.recipe import raw_estimates
from tuningfork.networks.ensemble import Ensemble
from tuningfork.stamps.store import StampFiles, in_bands

SIZE_ONLY = "size_only"
"""The null baseline: a power of the galaxy's true half-light radius."""


def other_methods(method: str) -> dict[str, str]:
    """Return the methods of measuring maps that are not configured: name of the baseline -> method."""
    return {f"saliency-{name}": name for name in METHODS if name != method}


def held_out_bars(
    ensemble: Ensemble,
    training: Sequence[StampFiles],
    rows: pa.Table,
    answers: MorphologyAnswers,
    mapped: np.ndarray,
    seed: int,
    saliency: Saliency,
    method: str,
) -> dict[str, BarEstimate]:
    """Return the estimates of all estimators for the bars of held-out galaxies, before calibration.

    Parameters
    ----------
    ensemble : Ensemble
        Of morphology networks.
    training : sequence of StampFiles
        Parts of the training set.
    rows : pyarrow.Table
        N rows of held-out galaxies.
    answers : MorphologyAnswers
        About these galaxies.
    mapped : ndarray
        (N,) bool, whether a saliency map of the galaxy is computed.
    seed : int
        The configuration's seed.
    saliency : Saliency
    method : str
        Method by which the pipeline measures maps.

    Returns
    -------
    dict
        The pipeline's estimators, and the baselines of :func:`other_methods` -> (N,) estimates in the order of `rows`.
    """
    band, index = ensemble.reference_band, rows["index"].to_numpy()
    row_of = {int(key): row for row, key in enumerate(index)}
    parts: dict[str, list[BarEstimate]] = {}
    order: list[int] = []
    for part, pixels in chosen_stamps(training, set(row_of), ensemble.bands, band):
        keys = part["index"].to_numpy()
        here = np.array([row_of[int(key)] for key in keys])
        chosen = np.flatnonzero(mapped[here])
        maps = np.zeros((len(keys), len(ensemble.members), *pixels.shape[-2:]), dtype=np.float16)
        some = np.zeros((len(chosen), *maps.shape[1:]), dtype=np.float16)
        map_stamps(ensemble, part.take(chosen), pixels[chosen], keys[chosen], seed, saliency, some)
        maps[chosen] = some
        light = in_bands(pixels, ensemble.bands, [band])
        estimates = raw_estimates(take(answers, here), maps, part, light, band, method)
        psf = psf_pixels(part, band)
        estimates |= {name: of_maps(maps, psf, other) for name, other in other_methods(method).items()}
        for name, estimate in estimates.items():
            parts.setdefault(name, []).append(estimate)
        order += here.tolist()
    if not order:
        return {name: nothing(0) for name in (*ESTIMATORS, *other_methods(method))}
    back = np.argsort(order)
    return {name: take(join(estimates), back) for name, estimates in parts.items()}


def raw_table(rows: pa.Table, estimates: dict[str, BarEstimate], band: str) -> pd.DataFrame:
    """Return a table of the true lengths and the raw lengths of every estimator and of the null baseline.

    Parameters
    ----------
    rows : pyarrow.Table
        N rows of held-out galaxies.
    estimates : dict
        Result of :func:`held_out_bars`.
    band : str
        The reference band.

    Returns
    -------
    DataFrame
        `index`, `true_length` and `psf_fwhm` (px), and for every estimator `{name}_length` (px) and `{name}_spread`.
    """
    scale = rows["pixel_scale"].to_numpy()
    frame = pd.DataFrame(
        {
            "index": rows["index"].to_numpy(),
            "true_length": rows["bar_length"].to_numpy() / scale,
            "psf_fwhm": psf_pixels(rows, band),
            f"{SIZE_ONLY}_length": rows["r_eff"].to_numpy() / scale,
            f"{SIZE_ONLY}_spread": np.zeros(len(scale)),
        }
    )
    for name, estimate in estimates.items():
        frame[f"{name}_length"], frame[f"{name}_spread"] = estimate.length, estimate.spread
    return frame

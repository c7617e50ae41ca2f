"""The selection function: completeness, bias and scatter of the bar lengths as functions of observing conditions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.core.seeds import generator_for
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.statistics import BOOTSTRAP_RESAMPLINGS, FEWEST, robust_scatter
from tuningfork.core.tables import lineage_of, read_table, write_table

MAX_QUANTITY_BINS = 6
"""Largest number of bins of a quantity; the bins contain equal numbers of galaxies."""
INTERVAL_DEVIATIONS = 1.0
"""Half width of the interval of the completeness, in standard deviations of a normal distribution (68.3 %)."""
QUANTITIES = {
    "magnitude": "mag",
    "bar_length_over_psf": "",
    "axis_ratio": "",
    "redshift": "",
}
"""Quantity of which completeness is a function -> its unit. The quantities are the true magnitude in the reference
band, the ratio of the true full bar length to the PSF's full width at half maximum, the axis ratio of the outer
isophotes, and the redshift if the population has redshifts."""
SCHEMA = pa.schema(
    [
        ("quantity", pa.string()),
        ("unit", pa.string()),
        ("low", pa.float32()),
        ("high", pa.float32()),
        ("n", pa.int32()),
        ("recovered", pa.int32()),
        ("completeness", pa.float32()),
        ("completeness_low", pa.float32()),
        ("completeness_high", pa.float32()),
        ("length_bias", pa.float32()),
        ("length_bias_error", pa.float32()),
        ("length_scatter", pa.float32()),
    ]
)


def gather(parameters: Parameters, *, shards: Sequence[Path], output: Path, table: Path) -> None:
    """Join the galaxies of all shards and write their selection function.

    Parameters
    ----------
    parameters : Parameters
        Of the stage selection_function.
    shards : sequence of Path
        Tables of :func:`tuningfork.injection.shard.inject_shard`.
    output : Path
        selection.parquet, one row per galaxy.
    table : Path
        selection_function.parquet, columns of `SCHEMA`.
    """
    galaxies = pa.concat_tables([read_table(path).replace_schema_metadata(None) for path in shards])
    lineage = parameters.lineage(lineage_of(*shards))
    write_table(output, galaxies, lineage)
    write_table(table, selection_function(galaxies.to_pandas(), parameters.configuration.seed), lineage)


def selection_function(galaxies: pd.DataFrame, seed: int) -> pa.Table:
    """Return the figures of all galaxies, and of the galaxies in bins of each quantity.

    Parameters
    ----------
    galaxies : DataFrame
        Rows of selection.parquet; galaxies without a stamp count as not recovered.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    pyarrow.Table
        Columns of `SCHEMA`. The first row, of the quantity `all`, has no edges. `completeness_low` and
        `completeness_high` are the limits of the Wilson (1927) interval of 68.3 %. `length_bias` is the median of
        ln(measured / true length) of the recovered bars, with its bootstrap error; `length_scatter` is half the width
        of its central 68.3 %. Both are null for fewer than ten bars.
    """
    measured = galaxies.assign(
        magnitude=galaxies["true_mag"],
        bar_length_over_psf=galaxies["true_bar_length"] / galaxies["psf_fwhm"],
        axis_ratio=galaxies["true_axis_ratio"],
        redshift=galaxies["true_redshift"],
        miss=np.log(galaxies["bar_length"].astype(float) / galaxies["true_bar_length"]),
    )
    rng = generator_for(seed, "selection")
    rows = [{"quantity": "all", "unit": "", "low": None, "high": None} | _figures(measured, rng)]
    for name, unit in QUANTITIES.items():
        known = measured[np.isfinite(measured[name].astype(float))]
        bins = min(MAX_QUANTITY_BINS, len(known) // FEWEST)
        edges = np.unique(np.quantile(known[name], np.linspace(0, 1, bins + 1))) if bins else np.empty(0)
        bin_of = np.clip(np.searchsorted(edges, known[name], side="right") - 1, 0, max(len(edges) - 2, 0))
        for k in range(len(edges) - 1):
            limits = {"quantity": name, "unit": unit, "low": float(edges[k]), "high": float(edges[k + 1])}
            rows.append(limits | _figures(known[bin_of == k], rng))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _figures(galaxies: pd.DataFrame, rng: np.random.Generator) -> dict[str, Any]:
    n, recovered = len(galaxies), int(galaxies["recovered"].sum())
    low, high = wilson(recovered, n)
    entry: dict[str, Any] = {"n": n, "recovered": recovered, "completeness": recovered / n if n else None}
    entry |= {"completeness_low": low, "completeness_high": high}
    miss = galaxies.loc[galaxies["recovered"], "miss"].dropna().to_numpy(dtype=float)
    if len(miss) < FEWEST:
        return entry
    drawn = miss[rng.integers(0, len(miss), (BOOTSTRAP_RESAMPLINGS, len(miss)))]
    return entry | {
        "length_bias": float(np.median(miss)),
        "length_bias_error": float(np.median(drawn, axis=1).std()),
        "length_scatter": robust_scatter(miss),
    }


def wilson(successes: int, n: int, deviations: float = INTERVAL_DEVIATIONS) -> tuple[float | None, float | None]:
    """Return the Wilson (1927) score interval of a binomial probability; None without a trial.

    Parameters
    ----------
    successes, n : int
        Numbers of successes and of trials.
    deviations : float
        Half width of the interval in standard deviations.

    Returns
    -------
    low, high : float or None
    """
    if n == 0:
        return None, None
    share, square = successes / n, deviations**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = deviations * np.sqrt(share * (1 - share) / n + square / (4 * n**2)) / (1 + square / n)
    return float(max(centre - half, 0)), float(min(centre + half, 1))

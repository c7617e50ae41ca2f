"""Figures of merit of the probability that a galaxy has a bar."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from tuningfork.core.statistics import FEWEST
from tuningfork.evaluate.bars import resolved_bars
from tuningfork.measure.bars.recipe import counts_as_barred

RELIABILITY_EDGES = (0.0, 0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
"""Edges of the bins of the probability in which it is compared with the share of galaxies that have a bar."""
LENGTH_EDGES = (0.0, 2.0, 3.5, 5.0, 7.0, 9.0, 12.0, np.inf)
"""Edges of the bins of bar length (PSF FWHM) in which completeness is given."""


def presence_scores(test: pd.DataFrame, min_probability: float) -> dict[str, Any]:
    """Return how well bars are found among simulated test galaxies.

    Parameters
    ----------
    test : DataFrame
        N test galaxies: `bar_strength`, `bar_length` (arcsec), `psf` (px), `pixel_scale` (arcsec), `bar_probability`
        and `morphology`.
    min_probability : float
        Above it a galaxy counts as barred.

    Returns
    -------
    dict
        `n`, `barred`; `brier` and `brier_constant`, the mean squared error of the probability and
        of the share of barred galaxies; `reliability`, per bin of the probability the mean probability, the share of
        barred galaxies and its binomial error; `completeness` of bars longer than the limit of
        :func:`tuningfork.evaluate.bars.resolved_bars`, `purity`, each with its binomial error; and
        `completeness_by_length`. Figures of fewer than 10 galaxies are None.
    """
    known = test["bar_strength"].notna() & test["bar_probability"].notna()
    test = test[known.to_numpy()]
    barred, probability = test["bar_strength"].to_numpy() > 0, test["bar_probability"].to_numpy()
    resolved = barred & resolved_bars(test, test["psf"].to_numpy())
    taken = counts_as_barred(probability, test["morphology"].to_numpy(), min_probability)
    share = float(barred.mean()) if len(barred) else np.nan
    relative = (test["bar_length"] / (test["psf"] * test["pixel_scale"])).to_numpy()
    return {
        "n": len(test),
        "barred": int(barred.sum()),
        "brier": float(np.mean((probability - barred) ** 2)) if len(test) else None,
        "brier_constant": share * (1 - share) if len(test) else None,
        "reliability": _reliability(probability, barred),
        "completeness": share_of(taken[resolved]),
        "purity": share_of(barred[taken]),
        "completeness_by_length": [
            {
                "from": low,
                "to": None if np.isinf(high) else high,
                **share_of(taken[barred & _within(relative, low, high)]),
            }
            for low, high in pairwise(LENGTH_EDGES)
        ],
    }


def share_of(values: np.ndarray) -> dict[str, Any]:
    """Return the share of true values with its binomial error and their number.

    Parameters
    ----------
    values : ndarray
        (N,) bool.

    Returns
    -------
    dict
        `share`, `error`, `n`; share and error are None for fewer than 10 values.
    """
    n = len(values)
    if n < FEWEST:
        return {"share": None, "error": None, "n": n}
    share = float(np.mean(values))
    # One success and one failure are added, so that shares of 0 and 1 have an error as well (Agresti & Coull 1998).
    better = (share * n + 1) / (n + 2)
    return {"share": share, "error": float(np.sqrt(better * (1 - better) / n)), "n": n}


def _within(values: np.ndarray, low: float, high: float) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.asarray((values >= low) & (values < high))


def _reliability(probability: np.ndarray, barred: np.ndarray) -> list[dict[str, Any]]:
    bins = np.clip(np.digitize(probability, RELIABILITY_EDGES[1:-1]), 0, len(RELIABILITY_EDGES) - 2)
    return [
        {"probability": float(probability[bins == place].mean()), **share_of(barred[bins == place])}
        for place in range(len(RELIABILITY_EDGES) - 1)
        if (bins == place).any()
    ]

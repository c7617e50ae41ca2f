"""Figures of the benchmark on real pictures, with their standard deviation over bootstrap samples of the galaxies."""

from collections.abc import Callable

import numpy as np
from scipy.stats import spearmanr

from tuningfork.core.seeds import generator_for

RESAMPLES = 2000
SEED = 0


def bootstrapped(figure: Callable[..., float], *values: np.ndarray) -> tuple[float, float]:
    """Return a figure of arrays of the same galaxies, and its error; samples in which it is no number do not count."""
    number = len(values[0])
    samples = generator_for(SEED, "bootstrap").integers(0, number, (RESAMPLES, number))
    drawn = [figure(*(column[rows] for column in values)) for rows in samples]
    return float(figure(*values)), float(np.nanstd(drawn))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return Spearman's rank correlation and its error."""
    return bootstrapped(_spearman, one, other)


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    return float(spearmanr(one, other).statistic) if np.ptp(one) and np.ptp(other) else np.nan

"""Figures of merit on scenes of the second generator, each with its uncertainty."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from _strangers_tables import ESTIMATORS, RECOMMENDED
from second_generator.scenes import ARTEFACTS, GALAXIES

from tuningfork.core.statistics import angle_difference, area_under_curve, partial_correlation, robust_scatter

LEAST_WIDTHS = 2.0
"""Bars are scored if they are longer than so many widths of the PSF (FWHM)."""
BINS = (2.0, 3.5, 5.0, 7.0, 9.0, 12.0, np.inf)
"""Edges of the bins of length over width of the PSF."""
CLEAR_CONTRAST = 0.5
"""Bars are easy to see if their outer half has so much light relative to the rest of the galaxy there."""
FEWEST = 10
RESAMPLINGS = 1000
NULL = "size only (null)"
ACCEPTED = {
    "barred": {"barred_spiral", "barred_disc"},
    "spiral": {"spiral"},
    "lenticular": {"disc", "smooth"},
    "elliptical": {"smooth"},
    "edge_on": {"edge_on"},
    "merger": {"merger"},
}
"""Kind -> classes that are right. A lenticular without features is a disc to some and smooth to others."""
Figures = dict[str, Any]


def binomial(hits: int, number: int) -> tuple[float, float]:
    """Return a share and its standard error, by the mean and standard deviation of the posterior (one more hit and miss)."""
    if number == 0:
        return np.nan, np.nan
    mean = (hits + 1) / (number + 2)
    return hits / number, float(np.sqrt(mean * (1 - mean) / (number + 3)))


def bootstrap(statistic: Callable[[np.ndarray], float], number: int) -> tuple[float, float]:
    """Return a statistic of rows and its standard deviation over resamplings.

    Parameters
    ----------
    statistic : callable
        Gets the numbers of rows.
    number : int
        Of the rows.

    Returns
    -------
    value, error : float
        NaN for fewer than `FEWEST` rows.
    """
    if number < FEWEST:
        return np.nan, np.nan
    rng = np.random.default_rng(0)
    again = np.array([statistic(rng.integers(0, number, number)) for _ in range(RESAMPLINGS)])
    again = again[np.isfinite(again)]
    return float(statistic(np.arange(number))), float(again.std()) if again.size else np.nan


def galaxies(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of galaxies.

    Parameters
    ----------
    table : pandas.DataFrame

    Returns
    -------
    pandas.DataFrame
    """
    return table[table["kind"].isin(GALAXIES)]


def resolved(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of bars that are scored.

    Parameters
    ----------
    table : pandas.DataFrame

    Returns
    -------
    pandas.DataFrame
    """
    return table[table["barred"] & (table["bar_length"] > LEAST_WIDTHS * table["psf_fwhm"])]


def detection(table: pd.DataFrame) -> Figures:
    """Return how well barred galaxies are told from others: areas under curves, completeness and purity.

    Parameters
    ----------
    table : pandas.DataFrame

    Returns
    -------
    dict
        Figure -> value, error.
    """
    bars, others = resolved(table), galaxies(table)
    others = others[~others["barred"]]
    both = pd.concat([bars, others])
    figures: Figures = {}
    for name in ("bar_probability", "bar_yes_fraction"):
        area = area_under_curve(both[name].to_numpy(), both["barred"].to_numpy())
        figures[f"auc_{name}"] = area["auc"], area["auc_error"]
    clear = bars[bars["bar_contrast"] > CLEAR_CONTRAST]
    figures["completeness"] = binomial(int(bars["published"].sum()), len(bars))
    figures["completeness_clear"] = binomial(int(clear["published"].sum()), len(clear))
    published = galaxies(table)[galaxies(table)["published"]]
    figures["purity"] = binomial(int(published["barred"].sum()), len(published))
    return figures


def lengths(rows: pd.DataFrame) -> dict[str, Figures]:
    """Return the figures of every estimator of length.

    Parameters
    ----------
    rows : pandas.DataFrame
        Barred galaxies.

    Returns
    -------
    dict
        Estimator -> n, and value and error of r, bias, scatter and others.
    """
    found = {name: _length(rows, rows[f"length_{name}"].to_numpy(dtype=float)) for name in (RECOMMENDED, *ESTIMATORS)}
    return found | {NULL: _length(rows, _size_only(rows))}


def _length(rows: pd.DataFrame, length: np.ndarray) -> Figures:
    good = np.isfinite(length) & (length > 0)
    truth, size = (rows[name].to_numpy(dtype=float)[good] for name in ("bar_length", "r_eff"))
    half = rows["bar_half_length"].to_numpy(dtype=float)[good]
    length = length[good]
    ratio, of_half = np.log(length / truth), np.log(length / half)
    number = len(length)

    def partial(chosen: np.ndarray) -> float:
        value = partial_correlation(*(np.log(one[chosen]) for one in (length, truth, size)))
        return np.nan if value is None else value

    return {
        "n": number,
        "r": bootstrap(lambda chosen: float(np.corrcoef(length[chosen], truth[chosen])[0, 1]), number),
        "partial_r": bootstrap(partial, number),
        "bias": bootstrap(lambda chosen: float(np.median(ratio[chosen])), number),
        "scatter": bootstrap(lambda chosen: robust_scatter(ratio[chosen]), number),
        "bias_of_half": bootstrap(lambda chosen: float(np.median(of_half[chosen])), number),
    }


def _size_only(rows: pd.DataFrame) -> np.ndarray:
    """Return a power of the true half-light radius that fits the true lengths best: slightly too good, as fitted to itself."""
    if len(rows) < FEWEST:
        return np.full(len(rows), np.nan)
    size, truth = np.log(rows["r_eff"].to_numpy(dtype=float)), np.log(rows["bar_length"].to_numpy(dtype=float))
    return np.exp(np.polyval(np.polyfit(size, truth, 1), size))


def in_bins(rows: pd.DataFrame) -> list[Figures]:
    """Return completeness, and bias and scatter of published and of all recommended lengths, in bins of length over PSF.

    Parameters
    ----------
    rows : pandas.DataFrame
        Barred galaxies.

    Returns
    -------
    list of dict
    """
    widths = rows["bar_length"] / rows["psf_fwhm"]
    result = []
    for low, high in pairwise(BINS):
        part = rows[(widths > low) & (widths <= high)]
        shown = {
            f"bias_{name}": _length(part, part[f"length_{name}"].to_numpy(dtype=float))["bias"] for name in ESTIMATORS
        }
        every = _length(part, part[f"length_{RECOMMENDED}"].to_numpy(dtype=float))
        published = part[part["published"]]
        given = _length(published, published[f"length_{RECOMMENDED}"].to_numpy(dtype=float))
        result.append(
            {"low": low, "high": high, "n": len(part), "n_published": len(published)}
            | {"completeness": binomial(len(published), len(part))}
            | {"bias_published": given["bias"], "scatter_published": given["scatter"]}
            | {"bias_all": every["bias"], "scatter_all": every["scatter"]}
            | shown
        )
    return result


def coverage(rows: pd.DataFrame, name: str) -> dict[int, tuple[float, float]]:
    """Return the shares of true lengths within one and two stated errors of ln(length); empty without errors.

    Parameters
    ----------
    rows : pandas.DataFrame
    name : str
        Of the estimator.

    Returns
    -------
    dict
        Number of errors -> share and its error.
    """
    if f"error_{name}" not in rows:
        return {}
    length, error = (rows[f"{key}_{name}"].to_numpy(dtype=float) for key in ("length", "error"))
    with np.errstate(invalid="ignore", divide="ignore"):
        miss = np.abs(np.log(length / rows["bar_length"].to_numpy())) / (error / length)
    miss = miss[np.isfinite(miss)]
    return {sigma: binomial(int((miss <= sigma).sum()), len(miss)) for sigma in (1, 2)}


def angles(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the median of the absolute error of the bar's angle (deg), and its error.

    Parameters
    ----------
    rows : pandas.DataFrame

    Returns
    -------
    tuple of float
    """
    miss = np.abs(
        angle_difference(rows["angle"].to_numpy(dtype=float), rows["bar_position_angle"].to_numpy(dtype=float))
    )
    miss = miss[np.isfinite(miss)]
    return bootstrap(lambda chosen: float(np.median(miss[chosen])), len(miss))


def classes(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[float, float], dict[str, tuple[float, float]]]:
    """Return the table of kinds and classes, the balanced accuracy, and the share of each kind that is right.

    Parameters
    ----------
    table : pandas.DataFrame

    Returns
    -------
    confusion : pandas.DataFrame
        Kinds by classes.
    balanced : tuple of float
        Mean of the shares over the kinds of galaxies, and its error.
    right : dict
        Kind -> share and its error.
    """
    confusion = pd.crosstab(table["kind"], table["morphology"])
    confusion = confusion.reindex([kind for kind in (*GALAXIES, *ARTEFACTS) if kind in confusion.index])
    right = {}
    for kind, accepted in ACCEPTED.items():
        rows = table[table["kind"] == kind]
        if len(rows):
            right[kind] = binomial(int(rows["morphology"].isin(accepted).sum()), len(rows))
    error = np.sqrt(sum(error**2 for _, error in right.values())) / len(right)
    return confusion, (float(np.mean([share for share, _ in right.values()])), float(error)), right

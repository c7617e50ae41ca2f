"""Figures of merit of a network on held-out galaxies, each beside that of a constant prediction."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import rankdata

from tuningfork.core.decision_tree import questions
from tuningfork.core.statistics import robust_scatter
from tuningfork.networks.structure import TARGETS, bulge_ratio, shape_of

MIN_GALAXIES_JUDGED = 5
"""With fewer galaxies there is no figure of merit."""


def area_under_curve(score: np.ndarray, positive: np.ndarray) -> float | None:
    """Return the area under the receiver operating characteristic.

    Parameters
    ----------
    score : ndarray
        (N,)
    positive : ndarray
        bool (N,)

    Returns
    -------
    float or None
        None with too few galaxies of either kind.
    """
    positive = np.asarray(positive, dtype=bool)
    number = int(positive.sum())
    if min(number, len(positive) - number) < MIN_GALAXIES_JUDGED:
        return None
    ranks = rankdata(score)[positive].sum()
    return float((ranks - number * (number + 1) / 2) / (number * (len(positive) - number)))


def determination(prediction: np.ndarray, truth: np.ndarray) -> float | None:
    """Return R^2 = 1 - (mean squared error) / (variance of the truth).

    Parameters
    ----------
    prediction, truth : ndarray
        (N,)

    Returns
    -------
    float or None
        None with too few galaxies, or without variance.
    """
    if len(truth) < MIN_GALAXIES_JUDGED or np.var(truth) == 0:
        return None
    return float(1 - np.mean((prediction - truth) ** 2) / np.var(truth))


def regression(prediction: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Return the figures of merit of a predicted number.

    Parameters
    ----------
    prediction, truth : ndarray
        (N,); galaxies with a value that is not finite are left out.

    Returns
    -------
    dict
        `n`, `r2`, `r` (correlation), `bias` (median error), `scatter` (robust, of the error) and
        `scatter_of_constant` (robust, of the truth); `n` alone with too few galaxies.
    """
    known = np.isfinite(prediction) & np.isfinite(truth)
    prediction, truth = prediction[known], truth[known]
    if len(truth) < MIN_GALAXIES_JUDGED:
        return {"n": len(truth)}
    error = prediction - truth
    varies = np.ptp(prediction) > 0 and np.ptp(truth) > 0
    return {
        "n": len(truth),
        "r2": determination(prediction, truth),
        "r": float(np.corrcoef(prediction, truth)[0, 1]) if varies else None,
        "bias": float(np.median(error)),
        "scatter": robust_scatter(error),
        "scatter_of_constant": robust_scatter(truth),
    }


def of_votes(fractions: np.ndarray, votes: np.ndarray) -> dict[str, Any]:
    """Compare expected vote fractions with votes, question by question.

    Parameters
    ----------
    fractions, votes : ndarray
        (N, all answers).

    Returns
    -------
    dict
        Question -> `n` galaxies for which it was asked, `accuracy` of the leading answer, `mae` of the fractions, and
        both for the mean as a constant prediction (`..._of_constant`).
    """
    result: dict[str, Any] = {}
    for question in questions():
        counts = votes[:, question.slice]
        asked = counts.sum(axis=1) > 0
        if asked.sum() < MIN_GALAXIES_JUDGED:
            result[question.name] = {"n": int(asked.sum())}
            continue
        truth = counts[asked] / counts[asked].sum(axis=1, keepdims=True)
        mean = truth.mean(axis=0)
        result[question.name] = {
            "n": int(asked.sum()),
            "accuracy": float(np.mean(fractions[asked, question.slice].argmax(1) == truth.argmax(1))),
            "accuracy_of_constant": float(np.mean(mean.argmax() == truth.argmax(1))),
            "mae": float(np.abs(fractions[asked, question.slice] - truth).mean()),
            "mae_of_constant": float(np.abs(mean - truth).mean()),
        }
    return result


def expected_fractions(concentrations: np.ndarray) -> np.ndarray:
    """Return the expected vote fractions of Dirichlet distributions.

    Parameters
    ----------
    concentrations : ndarray
        (N, answers)

    Returns
    -------
    ndarray
        (N, answers); the answers of each question sum to one.
    """
    fractions = np.empty_like(concentrations)
    for question in questions():
        part = concentrations[:, question.slice]
        fractions[:, question.slice] = part / part.sum(axis=1, keepdims=True)
    return fractions


def of_bars(
    logit: np.ndarray,
    log_length: np.ndarray,
    truth: np.ndarray,
    kinds: np.ndarray,
    bright_resolved: np.ndarray,
    log_psf: np.ndarray,
) -> dict[str, Any]:
    """Return how well bars are found and measured.

    Parameters
    ----------
    logit : ndarray
        (N,) of a bar.
    log_length, truth : ndarray
        (N,) predicted and true ln(bar length / px); NaN without a bar.
    kinds : ndarray
        (N,) class of each galaxy.
    bright_resolved : ndarray
        bool (N,)
    log_psf : ndarray
        (N,) ln(FWHM of the PSF / px).

    Returns
    -------
    dict
        Areas under the receiver operating characteristic, for all galaxies in which a bar can be seen and for the
        bright and resolved ones among them, and the figures of :func:`regression` of the bar lengths.
    """
    judged = ~np.isin(kinds, ["edge_on", "merger", ""])
    barred = kinds == "barred_spiral"
    good = judged & bright_resolved
    long = truth > log_psf + np.log(3)
    return {
        "bar_auc": area_under_curve(logit[judged], barred[judged]),
        "bar_auc_bright_resolved": area_under_curve(logit[good], barred[good]),
        "log_bar_length": regression(log_length, truth),
        "log_bar_length_above_3_psf": regression(log_length[long], truth[long]),
    }


def of_structure(mean: np.ndarray, factor: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Compare predicted with true profile parameters.

    Magnitude, size and Sersic index are compared in the space of `TARGETS`, axis ratio and bulge-to-total ratio as
    such, the position angle by its median error (deg) where the axis ratio is below 0.7.

    Parameters
    ----------
    mean : ndarray
        (N, 6), in the order of `TARGETS`.
    factor : ndarray
        (N, 6, 6), of the covariance.
    truth : ndarray
        (N, 6)

    Returns
    -------
    dict
        Parameter -> figures of :func:`regression`; `coverage_68`, target -> the fraction of galaxies whose truth lies
        within one standard deviation.
    """
    result = {name: regression(mean[:, place], truth[:, place]) for place, name in enumerate(TARGETS[:3])}
    (ratio, angle), (true_ratio, true_angle) = (shape_of(values[:, 3], values[:, 4]) for values in (mean, truth))
    result["axis_ratio"] = regression(ratio, true_ratio)
    error = np.abs((angle - true_angle + 90) % 180 - 90)[true_ratio < 0.7]
    result["position_angle"] = {"n": len(error)} | ({"median_error": float(np.median(error))} if len(error) else {})
    result["bulge_to_total"] = regression(bulge_ratio(mean[:, 5]), bulge_ratio(truth[:, 5]))
    sigma = np.linalg.norm(factor, axis=2)
    result["coverage_68"] = {
        name: float(np.mean(np.abs(mean[known, place] - truth[known, place]) < sigma[known, place]))
        for place, name in enumerate(TARGETS)
        if (known := np.isfinite(truth[:, place])).sum() >= MIN_GALAXIES_JUDGED
    }
    return result


def finite(values: Any) -> Any:
    """Replace numbers that are not finite, which JSON cannot hold, by None in nested mappings."""
    if isinstance(values, Mapping):
        return {key: finite(value) for key, value in values.items()}
    if isinstance(values, float) and not np.isfinite(values):
        return None
    return values

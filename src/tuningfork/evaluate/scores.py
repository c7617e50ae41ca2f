"""Figures of merit: arrays in, numbers out; None for too few values."""

from typing import Any

import numpy as np

from tuningfork.core.statistics import (
    CENTRAL_68,
    FEWEST,
    angle_difference,
    correlation,
    correlation_error,
    partial_correlation,
    robust_scatter,
)
from tuningfork.measure.structure.intervals import INTERVAL_PROBABILITIES, NORMAL_DEGREES, place_in, widths

SCORE_BINS = 10
"""Number of bins of vote fractions and of the probability integral transform."""
OUTLIER_ERROR = 0.5
"""Absolute error above which an estimate counts as an outlier in the Euclid Morphology Challenge."""


def reliability(predicted: np.ndarray, observed: np.ndarray) -> list[dict[str, float]]:
    """Return the mean predicted and observed vote fractions in ten bins of the predicted fraction, without empty bins.

    Parameters
    ----------
    predicted, observed : ndarray
        (N,) vote fractions.
    """
    bins = np.minimum((predicted * SCORE_BINS).astype(int), SCORE_BINS - 1)
    return [
        {
            "predicted": float(predicted[bins == k].mean()),
            "observed": float(observed[bins == k].mean()),
            "n": int(np.count_nonzero(bins == k)),
        }
        for k in range(SCORE_BINS)
        if np.any(bins == k)
    ]


def question_scores(predicted: np.ndarray, votes: np.ndarray, constant: np.ndarray) -> dict[str, Any]:
    """Score the vote fractions of one question.

    Parameters
    ----------
    predicted : ndarray
        (N, A) expected vote fractions.
    votes : ndarray
        (N, A) votes; galaxies without votes are ignored.
    constant : ndarray
        (A,) mean vote fractions of the training galaxies, the constant predictor that serves as a baseline.

    Returns
    -------
    dict
        `accuracy` (rate at which the likeliest answer is that of most volunteers), `cross_entropy` (nat), `mae` (mean
        absolute error of the fractions), each also for the constant predictor (`..._constant`), and `reliability` per
        answer.
    """
    asked = votes.sum(axis=1) > 0
    n = int(np.count_nonzero(asked))
    if n < FEWEST:
        return {"n": n} | dict.fromkeys(
            [
                "accuracy",
                "accuracy_constant",
                "cross_entropy",
                "cross_entropy_constant",
                "mae",
                "mae_constant",
                "reliability",
            ]
        )
    observed = votes[asked] / votes[asked].sum(axis=1, keepdims=True)
    result: dict[str, Any] = {"n": n}
    for suffix, fractions in (("", predicted[asked]), ("_constant", np.broadcast_to(constant, observed.shape))):
        result[f"accuracy{suffix}"] = float(np.mean(fractions.argmax(axis=1) == observed.argmax(axis=1)))
        result[f"cross_entropy{suffix}"] = float(-np.mean((observed * np.log(np.maximum(fractions, 1e-6))).sum(axis=1)))
        result[f"mae{suffix}"] = float(np.abs(fractions - observed).mean())
    result["reliability"] = [reliability(predicted[asked][:, k], observed[:, k]) for k in range(votes.shape[1])]
    return result


def parameter_scores(
    predicted: np.ndarray, error: np.ndarray, truth: np.ndarray, angle: bool = False, degrees: float = NORMAL_DEGREES
) -> dict[str, Any]:
    """Score one profile parameter.

    Parameters
    ----------
    predicted, error, truth : ndarray
        (N,) prediction, half width of its central 68 % interval, truth; values that are not finite are ignored.
    angle : bool
        Whether the values are position angles (deg), for which there is no r2.
    degrees : float
        Degrees of freedom of the predicted (Student) distribution.

    Returns
    -------
    dict
        `n`, `r2` (1 - mean squared error / variance of the truth), `bias` (median error), `scatter` (robust),
        `scatter_constant` (robust scatter of the truth, that of a predictor which always gives the median),
        `coverage50`, `coverage68`, `coverage95` (share of true values within these central intervals) and `pit` (see
        :func:`integral_transform`).
    """
    good = np.isfinite(predicted) & np.isfinite(truth)
    predicted, error, truth = predicted[good], error[good], truth[good]
    result: dict[str, Any] = {"n": len(truth)}
    names = [
        "r2",
        "bias",
        "scatter",
        "scatter_constant",
        *(f"coverage{level}" for level in INTERVAL_PROBABILITIES),
        "pit",
    ]
    if len(truth) < FEWEST:
        return result | dict.fromkeys(names)
    miss = angle_difference(predicted, truth) if angle else predicted - truth
    spread = np.sum((truth - truth.mean()) ** 2)
    return result | {
        "r2": None if angle or spread == 0 else float(1 - np.sum(miss**2) / spread),
        "bias": float(np.median(miss)),
        "scatter": robust_scatter(miss),
        "scatter_constant": CENTRAL_68 * 90 if angle else robust_scatter(truth),  # every angle is equally likely
        **{
            f"coverage{level}": float(np.mean(np.abs(miss) <= width * error))
            for level, width in widths(degrees).items()
        },
        "pit": integral_transform(miss, error, degrees),
    }


def integral_transform(miss: np.ndarray, error: np.ndarray, degrees: float = NORMAL_DEGREES) -> list[float]:
    """Return the histogram of the probability integral transform: the shares in ten equal bins, which sum to one.

    The transform is the cumulative probability of the predicted distribution at the truth; calibrated distributions
    give a flat histogram (Dawid 1984, J. R. Stat. Soc. A 147, 278).

    Parameters
    ----------
    miss, error : ndarray
        (N,) errors, and half widths of the central 68 % intervals.
    degrees : float
        Degrees of freedom of the predicted (Student) distribution.

    Returns
    -------
    list of float
    """
    probability = place_in(miss, error, degrees)
    return [
        float(share)
        for share in np.histogram(probability[np.isfinite(probability)], SCORE_BINS, (0, 1))[0] / max(len(miss), 1)
    ]


def challenge_errors(name: str, estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the errors (N,) as defined by the Euclid Morphology Challenge (Bretonniere+ 2023, A&A 671, A102).

    Parameters
    ----------
    name : str
        A column of the catalogue: `r_eff` has relative errors, `sersic_n` differences of decimal logarithms, and any
        other column differences.
    estimate, truth : ndarray
        (N,)

    Returns
    -------
    ndarray
        (N,)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if name == "r_eff":
            return np.asarray((estimate - truth) / truth)
        if name == "sersic_n":
            return np.asarray(np.log10(estimate / truth))
        return np.asarray(estimate - truth)


def challenge_scores(name: str, estimate: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Return the figures of the Euclid Morphology Challenge; see :func:`challenge_errors`.

    Parameters
    ----------
    name : str
        A column of the catalogue.
    estimate, truth : ndarray
        (N,)

    Returns
    -------
    dict
        `n`; `bias`, the median error; `dispersion`, the 68 % quantile of the absolute differences from it; `outliers`,
        the share of errors beyond `OUTLIER_ERROR`. Missing estimates are ignored.
    """
    errors = challenge_errors(name, estimate, truth)
    errors = errors[np.isfinite(errors)]
    if len(errors) < FEWEST:
        return {"n": len(errors)} | dict.fromkeys(["bias", "dispersion", "outliers"])
    bias = float(np.median(errors))
    return {
        "n": len(errors),
        "bias": bias,
        "dispersion": float(np.quantile(np.abs(errors - bias), 0.68)),
        "outliers": float(np.mean(np.abs(errors) > OUTLIER_ERROR)),
    }


def length_scores(
    estimate: np.ndarray, truth: np.ndarray, size: np.ndarray, generator: np.random.Generator
) -> dict[str, Any]:
    """Score estimated bar lengths.

    Bar lengths correlate with galaxy sizes. The correlation with the truth is therefore given together with that of
    size alone and with the partial correlation at fixed size.

    Parameters
    ----------
    estimate, truth, size : ndarray
        (N,) estimated and true bar length, galaxy size (all in arcsec); values that are not finite are ignored.
    generator : numpy.random.Generator
        For the bootstrap.

    Returns
    -------
    dict
        `n`; `r` and `r_error`; `r_log` (of logarithms); `r_scaled` (of length / size); `r_size_only` (of size and
        true length); `partial_r` (logarithms, size fixed); `bias` (median ln ratio), `scatter` (robust, ln).
    """
    good = np.isfinite(estimate) & np.isfinite(truth) & np.isfinite(size) & (estimate > 0)
    estimate, truth, size = estimate[good], truth[good], size[good]
    ln_estimate, ln_truth, ln_size = np.log(estimate), np.log(truth), np.log(size)
    ratio = ln_estimate - ln_truth
    few = len(truth) < FEWEST
    return {
        "n": len(truth),
        "r": correlation(estimate, truth),
        "r_error": correlation_error(estimate, truth, generator),
        "r_log": correlation(ln_estimate, ln_truth),
        "r_scaled": correlation(estimate / size, truth / size),
        "r_size_only": correlation(size, truth),
        "partial_r": partial_correlation(ln_estimate, ln_truth, ln_size),
        "bias": None if few else float(np.median(ratio)),
        "scatter": None if few else robust_scatter(ratio),
    }


def orientation_scores(
    estimate: np.ndarray, truth: np.ndarray, angle: np.ndarray, true_angle: np.ndarray
) -> dict[str, Any]:
    """Score position angles, and the dependence of the length on the angle.

    Parameters
    ----------
    estimate, truth : ndarray
        (N,) measured and true bar lengths.
    angle, true_angle : ndarray
        (N,) measured and true position angles (deg).

    Returns
    -------
    dict
        `angle_median` (deg, median absolute error); `ratio_along_axes` and `ratio_diagonal`, the median of
        estimated / true length for bars within 22.5 deg of a pixel axis, and for the others.
    """
    miss = np.abs(angle_difference(angle, true_angle))
    miss = miss[np.isfinite(miss)]
    good = np.isfinite(estimate) & np.isfinite(truth) & np.isfinite(true_angle)
    ratio, along = estimate[good] / truth[good], np.abs((true_angle[good] + 45) % 90 - 45) < 22.5
    return {
        "angle_median": float(np.median(miss)) if len(miss) >= FEWEST else None,
        "ratio_along_axes": float(np.median(ratio[along])) if along.sum() >= FEWEST else None,
        "ratio_diagonal": float(np.median(ratio[~along])) if (~along).sum() >= FEWEST else None,
    }

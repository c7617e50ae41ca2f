"""Agreement of predicted vote fractions with the votes of volunteers: arrays in, numbers out.

Votes are a sample: n volunteers who answer "bar" with the probability p give the fraction p only on average. The
differences between prediction and votes are therefore compared with those of a perfect predictor, which knows p.
"""

from typing import Any

import numpy as np
from scipy.special import betaincinv, gammaln

from tuningfork.core.statistics import CENTRAL_68, FEWEST
from tuningfork.evaluate.scores import reliability

POSTERIOR_QUANTILES = 24
"""Number of points of each galaxy's posterior distribution over which the noise is averaged."""
BOOTSTRAP_RESAMPLINGS = 300
"""Number of bootstrap resamplings of the galaxies."""


def agreement(
    predicted: np.ndarray, votes: np.ndarray, constant: np.ndarray, generator: np.random.Generator
) -> dict[str, Any]:
    """Score the vote fractions of one question.

    Parameters
    ----------
    predicted : ndarray
        (N, A) expected vote fractions.
    votes : ndarray
        (N, A), not necessarily integers; galaxies without votes are ignored.
    constant : ndarray
        (A,) vote fractions of the constant predictor.
    generator : numpy.random.Generator
        For the bootstrap.

    Returns
    -------
    dict
        `n`; mean absolute error of the fractions (`mae`), of the constant predictor (`mae_constant`) and of a perfect
        one (`mae_floor`, see :func:`noise_floor`); `volunteers` with `volunteers_low` and `volunteers_high` (see
        :func:`as_good_as`); `calibration_error` and `calibration_error_by_chance` (see :func:`calibration_error`);
        `reliability` of each answer.
    """
    good = (votes.sum(axis=1) > 0) & np.isfinite(predicted).all(axis=1)
    predicted, votes = predicted[good], votes[good]
    if len(votes) < FEWEST:
        return {"n": len(votes)}
    observed = votes / votes.sum(axis=1, keepdims=True)
    error, by_chance = calibration_error(predicted, observed)
    return {
        "n": len(votes),
        "mae": float(np.abs(predicted - observed).mean()),
        "mae_constant": float(np.abs(constant - observed).mean()),
        "mae_floor": noise_floor(votes),
        **as_good_as(predicted, votes, generator),
        "calibration_error": error,
        "calibration_error_by_chance": by_chance,
        "reliability": [reliability(predicted[:, k], observed[:, k]) for k in range(votes.shape[1])],
    }


def mean_deviation(n: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return E|x / n - p| for x drawn from the binomial distribution of n (at least one) and p.

    De Moivre's formula (Diaconis & Zabell 1991, Stat. Sci. 6, 284): 2 k C(n, k) p^k (1 - p)^(n - k + 1) / n with
    k = floor(n p) + 1.

    Parameters
    ----------
    n, p : ndarray
        Number of votes, and probability of an answer.

    Returns
    -------
    ndarray
    """
    p = np.clip(p, 1e-12, 1 - 1e-12)
    k = np.minimum(np.floor(n * p) + 1, n)
    log_choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.asarray(2 * k * np.exp(log_choose + k * np.log(p) + (n - k + 1) * np.log1p(-p)) / n)


def noise_floor(votes: np.ndarray) -> float:
    """Return the mean absolute error of a predictor that knows the true probabilities.

    The true probabilities are unknown, and the observed fractions have a wider distribution. Each probability is
    therefore described by its posterior distribution; the prior is a beta distribution with the mean and the variance
    of the sample, after subtraction of the binomial noise (method of moments). The floor is not zero, because the
    predictor is compared with noisy votes.

    Parameters
    ----------
    votes : ndarray
        (N, A), with at least one vote in every row.
    """
    asked = votes.sum(axis=1)
    n = np.maximum(np.round(asked), 1)
    middles = (np.arange(POSTERIOR_QUANTILES) + 0.5) / POSTERIOR_QUANTILES
    floors = []
    for yes in votes.T:
        a, b = population(yes, asked)
        above, below = (a + yes)[:, None], (b + asked - yes)[:, None]
        p = betaincinv(above, below, middles)
        floors.append(mean_deviation(n[:, None], p).mean())
    return float(np.mean(floors))


def population(yes: np.ndarray, asked: np.ndarray) -> tuple[float, float]:
    """Return the parameters of the beta distribution of an answer's probabilities among the galaxies.

    Parameters
    ----------
    yes, asked : ndarray
        (N,) votes for the answer, and votes on the question.
    """
    mean = float(np.clip(yes.sum() / asked.sum(), 1e-4, 1 - 1e-4))
    whole = asked > 1
    n, f = asked[whole], yes[whole] / asked[whole]
    # f (1 - f) n / (n - 1) is an unbiased but noisy estimate of p (1 - p) for few votes, so votes serve as weights.
    inside = float(np.average(f * (1 - f) * n / (n - 1), weights=n - 1)) if whole.any() else mean * (1 - mean) / 2
    ratio = np.clip(inside / (mean * (1 - mean)), 0.02, 0.998)
    size = float(ratio / (1 - ratio))
    return mean * size, (1 - mean) * size


def as_good_as(predicted: np.ndarray, votes: np.ndarray, generator: np.random.Generator) -> dict[str, float | None]:
    """Return the number of volunteers whose mean vote is as accurate as a prediction.

    The mean of k volunteers has the squared error p (1 - p) / k, summed over the answers and averaged over the
    galaxies. The squared error of the prediction is its squared difference from the observed fractions minus their
    noise, f (1 - f) / (n - 1). `volunteers` is the k for which both are equal.

    Parameters
    ----------
    predicted, votes : ndarray
        (N, A); rows with fewer than two votes are ignored.
    generator : numpy.random.Generator

    Returns
    -------
    dict
        `volunteers` and the limits of its central 68 % interval over bootstrap resamplings of the galaxies; None where
        the squared error is not positive, or for too few galaxies.
    """
    names = ("volunteers", "volunteers_low", "volunteers_high")
    n = votes.sum(axis=1)
    good = n >= 2
    if np.count_nonzero(good) < FEWEST:
        return dict.fromkeys(names)
    n, f, m = n[good], votes[good] / n[good, None], predicted[good]
    noise = (f * (1 - f)).sum(axis=1) / (n - 1)
    missed, spread = ((m - f) ** 2).sum(axis=1) - noise, noise * n
    rows = generator.integers(0, len(n), (BOOTSTRAP_RESAMPLINGS, len(n)))
    inverse = missed[rows].mean(axis=1) / np.maximum(spread[rows].mean(axis=1), 1e-12)
    high, low = np.quantile(inverse, [0.5 - CENTRAL_68 / 2, 0.5 + CENTRAL_68 / 2])
    limits = (missed.mean() / max(spread.mean(), 1e-12), low, high)
    return {name: float(1 / value) if value > 0 else None for name, value in zip(names, limits, strict=True)}


def calibration_error(predicted: np.ndarray, observed: np.ndarray) -> tuple[float, float]:
    """Return the expected calibration error, and that of a perfectly calibrated prediction by chance.

    The error is |mean observed - mean predicted fraction| in ten bins of the predicted fraction, weighted by the number
    of galaxies per bin and averaged over the answers (Naeini+ 2015, AAAI). For few galaxies it is never zero. The
    second figure is the mean of folded normal distributions whose widths are the standard errors in the bins.

    Parameters
    ----------
    predicted, observed : ndarray
        (N, A)
    """
    errors, chance = [], []
    for m, f in zip(predicted.T, observed.T, strict=True):
        bins = np.minimum((m * 10).astype(int), 9)
        number = np.bincount(bins, minlength=10)
        full = number > 0
        miss = np.bincount(bins, f - m, 10)[full] / number[full]
        square = np.bincount(bins, (f - m) ** 2, 10)[full] / number[full]
        scatter = np.sqrt(np.maximum(square - miss**2, 0) / number[full])
        weight = number[full] / len(m)
        errors.append((weight * np.abs(miss)).sum())
        chance.append((weight * np.sqrt(2 / np.pi) * scatter).sum())
    return float(np.mean(errors)), float(np.mean(chance))

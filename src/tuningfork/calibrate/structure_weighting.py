"""The weighting of network and fit, learned from held-out galaxies by maximum likelihood.

The likelihood is that of the errors of the combination, not of the errors of the two estimators. A fit whose errors
cannot be predicted therefore gets little weight. The errors are modelled by a Student distribution, so that the few
galaxies with very large errors do not dominate the result (Lange, Little & Taylor 1989, JASA 84, 881).
"""

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm

from tuningfork.measure.structure.combine import StructureCalibration, Weighting, doubted, weight_of_second
from tuningfork.measure.structure.estimates import FITTED_TARGETS, ProfileEstimates
from tuningfork.measure.structure.intervals import student_loss
from tuningfork.networks.posterior import GROUPS

MIN_GALAXIES = 40
"""Smallest number of galaxies from which a weighting is learned."""
WEIGHTING_TERMS = ("network_scale", "network_shift", "fit_scale", "misfit_factor", "floor", "shared", "fit_shift")
TERM_PRIORS = {
    "network_scale": (0.0, 1.0),
    "network_shift": (0.0, 0.5),
    "fit_scale": (0.0, 1.0),
    "misfit_factor": (np.log(0.3), 1.0),
    "floor": (np.log(0.01), 2.0),
    "shared": (0.5, 0.5),
    "fit_shift": (0.0, 0.5),
}
"""Mean and standard deviation of weak normal priors; those of `floor` and `misfit_factor` apply to the logarithms."""
TERM_BOUNDS = {
    "network_scale": (-3, 3),
    "network_shift": (-2, 2),
    "fit_scale": (-3, 4),
    "misfit_factor": (np.log(1e-3), np.log(10)),
    "floor": (np.log(1e-4), 0),
    "shared": (0, 0.98),
    "fit_shift": (-2, 2),
}
LOG_DEGREES_RANGE = (np.log(2.5), np.log(60))
"""Range of ln(degrees of freedom)."""


def learn_weights(estimates: ProfileEstimates, truth: np.ndarray) -> StructureCalibration:
    """Return the weighting of all groups of targets, learned from held-out galaxies.

    Parameters
    ----------
    estimates : ProfileEstimates
        Of N galaxies that no network learned from.
    truth : ndarray
        (N, 6) true targets, NaN where unknown.

    Returns
    -------
    StructureCalibration
        A group with known errors of fewer than `MIN_GALAXIES` galaxies keeps the stated errors, and a note says so.
    """
    learned = {name: learn_weighting(estimates, truth, name) for name in GROUPS}
    lacking = [name for name, weighting in learned.items() if weighting is None]
    groups = {name: weighting or Weighting() for name, weighting in learned.items()}
    note = (
        f"fewer than {MIN_GALAXIES} held-out galaxies: errors of {', '.join(lacking)} are as stated" if lacking else ""
    )
    return StructureCalibration(groups, len(truth), int(estimates.fitted.sum()), note)


def learn_weighting(estimates: ProfileEstimates, truth: np.ndarray, name: str) -> Weighting | None:
    """Return the weighting of one group of targets; None for too few galaxies.

    Parameters
    ----------
    estimates, truth
        As for :func:`learn_weights`.
    name : str
        Name of the group.

    Returns
    -------
    Weighting or None
    """
    targets = GROUPS[name]

    def repeated(values: np.ndarray) -> np.ndarray:
        return np.tile(values, len(targets))

    def errors(mean: np.ndarray) -> np.ndarray:
        return np.concatenate([mean[:, target] - truth[:, target] for target in targets])

    network_errors, stated = errors(estimates.network.mean), repeated(estimates.network.spread(name))
    known = np.isfinite(network_errors)
    both = known & repeated(estimates.fitted & (targets[0] < FITTED_TARGETS))
    if known.sum() < MIN_GALAXIES * len(targets):
        return None
    with_fit = bool(both.sum() >= MIN_GALAXIES * len(targets))
    single = known & ~both if with_fit else known
    terms = WEIGHTING_TERMS if with_fit else WEIGHTING_TERMS[:2]
    priors = {term: TERM_PRIORS[term] for term in terms}
    fit = estimates.fit if with_fit else estimates.network
    fit_errors, fit_stated = errors(fit.mean)[both], repeated(fit.spread(name))[both]
    misfit = repeated(estimates.misfit)[both]
    pairs = (fit.mean - estimates.network.mean[:, : fit.mean.shape[1]])[:, targets if with_fit else []]
    difference = repeated(np.sqrt((pairs**2).sum(axis=1) / len(targets)))[both]
    directed = len(targets) == 1  # A mean error of an ellipticity would prefer a direction.

    def loss(vector: np.ndarray) -> float:
        weighting, degrees = _weighting(dict(zip(terms, vector, strict=False)), directed), np.exp(vector[-1])
        deviation = weighting.network_deviation(stated)
        centred = network_errors - weighting.network_shift * deviation
        total = student_loss((centred[single] / deviation[single]) ** 2, np.log(deviation[single]), 1, degrees)
        if with_fit:
            fit_deviation = weighting.fit_deviation(fit_stated, misfit)
            fit_centred = fit_errors - weighting.fit_shift * fit_deviation
            doubted_deviation = doubted(deviation[both], fit_deviation, difference)
            weight, variance = weight_of_second(deviation[both], doubted_deviation, weighting.shared)
            miss = (1 - weight) * centred[both] + weight * fit_centred
            total += student_loss(miss**2 / variance, 0.5 * np.log(variance), 1, degrees)
        pulls = [(value - priors[term][0]) / priors[term][1] for term, value in zip(terms, vector, strict=False)]
        return total + 0.5 * float(np.sum(np.square(pulls)))

    start = {term: prior[0] for term, prior in priors.items()}
    start["network_scale"] = _spread(network_errors[known] / stated[known])
    if with_fit:
        start["fit_scale"] = _spread(fit_errors / fit_stated) / 2
    bounds = [*(TERM_BOUNDS[term] for term in terms), LOG_DEGREES_RANGE]
    solution = minimize(loss, [*start.values(), np.log(8)], method="L-BFGS-B", bounds=bounds).x
    return _weighting(dict(zip(terms, map(float, solution), strict=False)), directed)


def _spread(ratios: np.ndarray) -> float:
    """Return ln of the standard deviation of `ratios`, estimated from their median absolute value within bounds."""
    return float(np.log(np.clip(np.median(np.abs(ratios)) / norm.ppf(0.75), 0.06, 15)))


def _weighting(values: dict[str, float], directed: bool) -> Weighting:
    shifts = {} if directed else {"network_shift": 0.0, "fit_shift": 0.0}
    positive = {name: float(np.exp(values[name])) for name in ("floor", "misfit_factor") if name in values}
    return Weighting(**(values | positive | shifts))

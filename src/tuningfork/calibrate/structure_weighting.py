"""How to weight network and fit, learned from held-out galaxies by maximum likelihood.

What is likely are the errors of the combination, not those of the two estimators: a fit whose errors cannot be
foretold then simply gets no weight. The errors are taken to follow a Student distribution, so that the few galaxies
that are wholly wrong do not decide (Lange, Little & Taylor 1989, JASA 84, 881).
"""

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm

from tuningfork.measure.structure.combine import StructureCalibration, Weighting, doubted, weight_of_second
from tuningfork.measure.structure.estimates import FITTED_TARGETS, ProfileEstimates
from tuningfork.measure.structure.intervals import student_loss
from tuningfork.networks.posterior import GROUPS

MIN_GALAXIES = 40
"""Galaxies below which nothing is learned."""
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
"""Mean and standard deviation of weak normal priors; of the floor and the misfit of their logarithms."""
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
    """Return the calibration that held-out galaxies give.

    Parameters
    ----------
    estimates : ProfileEstimates
        Of N galaxies that no network learned from.
    truth : ndarray
        (N, 6) true targets, NaN where not known.

    Returns
    -------
    StructureCalibration
        Groups of which fewer than `MIN_GALAXIES` galaxies are known keep the stated errors, and a note says so.
    """
    found = {name: learn_weighting(estimates, truth, name) for name in GROUPS}
    lacking = [name for name, weighting in found.items() if weighting is None]
    groups = {name: weighting or Weighting() for name, weighting in found.items()}
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
        Of the group.

    Returns
    -------
    Weighting or None
    """
    places = GROUPS[name]

    def repeated(values: np.ndarray) -> np.ndarray:
        return np.tile(values, len(places))

    def errors(mean: np.ndarray) -> np.ndarray:
        return np.concatenate([mean[:, place] - truth[:, place] for place in places])

    ours, stated = errors(estimates.network.mean), repeated(estimates.network.spread(name))
    known = np.isfinite(ours)
    both = known & repeated(estimates.fitted & (places[0] < FITTED_TARGETS))
    if known.sum() < MIN_GALAXIES * len(places):
        return None
    with_fit = bool(both.sum() >= MIN_GALAXIES * len(places))
    single = known & ~both if with_fit else known
    terms = WEIGHTING_TERMS if with_fit else WEIGHTING_TERMS[:2]
    fit = estimates.fit if with_fit else estimates.network
    theirs, of_fit = errors(fit.mean)[both], repeated(fit.spread(name))[both]
    misfit = repeated(estimates.misfit)[both]
    pairs = (fit.mean - estimates.network.mean[:, : fit.mean.shape[1]])[:, places if with_fit else []]
    apart = repeated(np.sqrt((pairs**2).sum(axis=1) / len(places)))[both]
    directed = len(places) == 1  # A mean error of an ellipticity would prefer a direction.

    def loss(vector: np.ndarray) -> float:
        weighting = _weighting(dict(zip(terms, vector, strict=False)), directed)
        degrees = np.exp(vector[-1])
        own = weighting.network_deviation(stated)
        one = ours - weighting.network_shift * own
        total = student_loss((one[single] / own[single]) ** 2, np.log(own[single]), 1, degrees)
        if with_fit:
            other = weighting.fit_deviation(of_fit, misfit)
            two = theirs - weighting.fit_shift * other
            weight, variance = weight_of_second(own[both], doubted(own[both], other, apart), weighting.shared)
            miss = (1 - weight) * one[both] + weight * two
            total += student_loss(miss**2 / variance, 0.5 * np.log(variance), 1, degrees)
        pulls = [
            (value - TERM_PRIORS[term][0]) / TERM_PRIORS[term][1] for term, value in zip(terms, vector, strict=False)
        ]
        return total + 0.5 * float(np.sum(np.square(pulls)))

    start = {term: TERM_PRIORS[term][0] for term in terms} | {"network_scale": _spread(ours[known] / stated[known])}
    if with_fit:
        start["fit_scale"] = _spread(theirs / of_fit) / 2
    bounds = [*(TERM_BOUNDS[term] for term in terms), LOG_DEGREES_RANGE]
    found = minimize(loss, [*start.values(), np.log(8)], method="L-BFGS-B", bounds=bounds).x
    return _weighting(dict(zip(terms, map(float, found), strict=False)), directed)


def _spread(ratios: np.ndarray) -> float:
    """Return ln of the standard deviation of `ratios` by their median, within bounds."""
    return float(np.log(np.clip(np.median(np.abs(ratios)) / norm.ppf(0.75), 0.06, 15)))


def _weighting(values: dict[str, float], directed: bool) -> Weighting:
    shifts = {} if directed else {"network_shift": 0.0, "fit_shift": 0.0}
    positive = {name: float(np.exp(values[name])) for name in ("floor", "misfit_factor") if name in values}
    return Weighting(**(values | positive | shifts))

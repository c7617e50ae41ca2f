"""How to weight network and fit, learned from held-out galaxies by maximum likelihood.

The errors of a group are taken to follow a bivariate Student distribution, so that the few galaxies that one of the
estimators gets wholly wrong do not decide (Lange, Little & Taylor 1989, JASA 84, 881).
"""

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln
from scipy.stats import norm

from tuningfork.measure.combine import (
    FITTED,
    GROUPS,
    SIGNAL,
    Combination,
    Estimates,
    StructureCalibration,
    Weighting,
    combine,
    signal_to_noise,
)

LEAST = 40
"""Galaxies below which nothing is learned."""
LEVELS = (0.5, 0.6827, 0.95)
"""Central intervals whose coverage the last calibration makes right."""
TERMS = ("network_scale", "network_shift", "fit_scale", "chi2_power", "floor", "shared", "fit_shift")
PRIOR = {
    "network_scale": (0.0, 1.0),
    "network_shift": (0.0, 0.3),
    "fit_scale": (0.0, 1.0),
    "chi2_power": (0.5, 0.5),
    "floor": (np.log(0.01), 2.0),
    "shared": (0.5, 0.5),
    "fit_shift": (0.0, 0.3),
}
"""Mean and standard deviation of weak normal priors; that of the floor is of its logarithm."""
BOUNDS = {
    "network_scale": (-3, 3),
    "network_shift": (-1, 1),
    "fit_scale": (-3, 4),
    "chi2_power": (0, 2),
    "floor": (np.log(1e-4), 0),
    "shared": (0, 0.98),
    "fit_shift": (-1, 1),
}
DEGREES = (np.log(2.5), np.log(60))
"""Range of ln(degrees of freedom)."""


def learn(estimates: Estimates, truth: np.ndarray) -> StructureCalibration:
    """Return the calibration that held-out galaxies give.

    Parameters
    ----------
    estimates : Estimates
        Of N galaxies that no network learned from.
    truth : ndarray
        (N, 6) true targets, NaN where not known.

    Returns
    -------
    StructureCalibration
        Groups of which fewer than `LEAST` galaxies are known keep the stated errors, and a note says so.
    """
    groups, lacking = {}, []
    for name in GROUPS:
        fits = estimates.fitted & np.full(len(truth), name in FITTED)
        found = learn_weighting(estimates, truth, name, fits)
        groups[name] = found or Weighting()
        if found is None:
            lacking.append(name)
    note = f"fewer than {LEAST} held-out galaxies: errors of {', '.join(lacking)} are as stated" if lacking else ""
    result = StructureCalibration(groups, len(truth), int(estimates.fitted.sum()), note)
    # The fits that disagree with the network are known only now; the rest is of those that are used.
    combination = combine(estimates, result)
    for name in set(GROUPS) - set(lacking):
        groups[name] = calibrate_errors(groups[name], combination, truth, name)
    return replace(result, groups=groups)


def learn_weighting(estimates: Estimates, truth: np.ndarray, name: str, fits: np.ndarray) -> Weighting | None:
    """Return the weighting of one group, without its calibration of errors; None for too few galaxies.

    Parameters
    ----------
    estimates, truth
        See :func:`learn`.
    name : str
        Of the group.
    fits : ndarray
        (N,) bool, the fits that count.
    """
    places = GROUPS[name]
    ours = estimates.network.mean[:, places] - truth[:, places]
    known = np.isfinite(ours).all(axis=1)
    both = known & fits
    if known.sum() < LEAST:
        return None
    with_fit = both.sum() >= LEAST
    single = known & ~both if with_fit else known
    stated = estimates.network.deviation(name)
    theirs = estimates.fit.mean[:, places] - truth[:, places] if with_fit else ours
    of_fit = estimates.fit.deviation(name) if with_fit else stated
    terms = TERMS if with_fit else TERMS[:2]
    directed = len(places) == 1  # A mean error of an ellipticity would prefer a direction.

    def loss(vector: np.ndarray) -> float:
        weighting = _weighting(dict(zip(terms, vector, strict=False)), directed)
        degrees = np.exp(vector[-1])
        own = weighting.network_deviation(stated)
        one = ours - weighting.network_shift
        total = _student_loss((one[single] / own[single, None]) ** 2, np.log(own[single, None]), 1, degrees)
        if with_fit:
            other = weighting.fit_deviation(of_fit[both], estimates.reduced_chi2[both])
            two = theirs[both] - weighting.fit_shift
            total += _pair_loss(one[both], two, own[both], other, weighting.shared, degrees)
        prior = sum(
            ((value - PRIOR[term][0]) / PRIOR[term][1]) ** 2 for term, value in zip(terms, vector, strict=False)
        )
        return total + 0.5 * float(prior)

    spread = np.median(np.abs(ours[known]) / stated[known, None]) / norm.ppf(0.75)
    start = {term: PRIOR[term][0] for term in terms} | {"network_scale": np.log(np.clip(spread, 0.06, 15))}
    if with_fit:
        wide = np.median(np.abs(theirs[both]) / of_fit[both, None]) / norm.ppf(0.75)
        start["fit_scale"] = np.log(np.clip(wide, 0.06, 15)) / 2
    bounds = [*(BOUNDS[term] for term in terms), DEGREES]
    found = minimize(loss, [*start.values(), np.log(8)], method="L-BFGS-B", bounds=bounds).x
    return _weighting(dict(zip(terms, map(float, found), strict=False)), directed)


def _weighting(values: dict[str, float], directed: bool) -> Weighting:
    shifts = {} if directed else {"network_shift": 0.0, "fit_shift": 0.0}
    floor = {"floor": float(np.exp(values["floor"]))} if "floor" in values else {}
    return Weighting(**(values | floor | shifts))


def _student_loss(square: np.ndarray, log_volume: np.ndarray, size: int, degrees: float) -> float:
    """Return -ln of the density of Student distributions of `size` dimensions, from squared distances and ln(det)/2."""
    norm_term = gammaln((degrees + size) / 2) - gammaln(degrees / 2) - size / 2 * np.log(degrees * np.pi)
    body = (degrees + size) / 2 * np.log1p(square / degrees) + log_volume
    return float(body.sum() - norm_term * body.size)


def _pair_loss(
    one: np.ndarray, two: np.ndarray, own: np.ndarray, other: np.ndarray, shared: float, degrees: float
) -> float:
    """Return -ln of the density of pairs of errors (N, G) with standard deviations (N,)."""
    covariance = shared * np.minimum(own, other) ** 2
    determinant = (own * other) ** 2 - covariance**2
    cross = other[:, None] ** 2 * one**2 - 2 * covariance[:, None] * one * two + own[:, None] ** 2 * two**2
    square = cross / determinant[:, None]
    return _student_loss(square, np.broadcast_to(0.5 * np.log(determinant)[:, None], square.shape), 2, degrees)


def calibrate_errors(terms: Weighting, combination: Combination, truth: np.ndarray, name: str) -> Weighting:
    """Return the weighting with the factor that makes the combination's intervals hold the truth as often as stated.

    Slopes with signal-to-noise and with the weight of the fit come from the likelihood, the constant from the
    coverage of the intervals `LEVELS` themselves.
    """
    places = GROUPS[name]
    deviation = combination.joint.deviation(name)
    miss = (combination.joint.mean[:, places] - truth[:, places]) / deviation[:, None]
    good = np.isfinite(miss).all(axis=1)
    miss, weight = miss[good], combination.weight[name][good]
    signal = np.log(signal_to_noise(combination.joint.mean[good]) / SIGNAL)
    features = np.stack([np.ones(len(miss)), signal, weight], axis=1)

    def loss(vector: np.ndarray) -> float:
        factor = (features @ vector[:3])[:, None]
        total = _student_loss((miss * np.exp(-factor)) ** 2, factor + 0 * miss, 1, np.exp(vector[3]))
        return total + 0.5 * float(np.sum((vector[1:3] / 0.5) ** 2))

    bounds = [(-3, 3), (-1, 1), (-2, 2), DEGREES]
    constant, slope, of_weight, _ = minimize(loss, [0, 0, 0, np.log(8)], method="L-BFGS-B", bounds=bounds).x
    factor = features @ [constant, slope, of_weight]
    constant += coverage_factor(np.abs(miss * np.exp(-factor)[:, None]))
    return replace(terms, error_constant=float(constant), error_signal=float(slope), error_weight=float(of_weight))


def coverage_factor(distances: np.ndarray) -> float:
    """Return ln of the factor by which the intervals `LEVELS` of `distances` (in standard deviations) hold best."""
    factors = np.linspace(-1, 1, 401)
    limits = norm.ppf(0.5 + np.array(LEVELS) / 2)
    ordered = np.sort(distances, axis=None)
    held = np.searchsorted(ordered, np.exp(factors)[:, None] * limits) / len(ordered)
    return float(factors[np.argmin(((held - LEVELS) ** 2).sum(axis=1))])

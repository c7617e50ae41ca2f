"""The network's posterior and a least-squares fit joined to one estimate, weighted by what held-out galaxies taught.

Network and fit look at the same pixels, so that their errors are correlated. If one of two unbiased estimators is
efficient, its covariance with the other is its own variance (Rao 1973, Linear Statistical Inference, section 5a.2); so
the covariance of the errors is modelled as `shared` times the smaller variance. With `shared` = 0 they are independent
and add as usual, with 1 only the better one counts. For every value the best linear unbiased combination has weights
in [0, 1].
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

GROUPS: dict[str, list[int]] = {
    "mag": [0],
    "log_r_eff": [1],
    "log_sersic_n": [2],
    "eta": [3, 4],
    "bulge_logit": [5],
}
"""Targets that share a weight: both components of the ellipticity, so that no direction in the image is preferred."""
FITTED = ("mag", "log_r_eff", "log_sersic_n", "eta")
"""Groups that a Sersic fit has."""
SMALLEST = 1e-5
"""Floor of every standard deviation, in target space."""
DISAGREEMENT = 8.0
"""Standard deviations by which a fit may differ from the network; beyond, it fitted something else."""


@dataclass(frozen=True)
class Gaussians:
    """Normal distributions of N sources in the space of the targets.

    Attributes
    ----------
    mean : ndarray
        (N, T); NaN where nothing is known.
    covariance : ndarray
        (N, T, T)
    """

    mean: np.ndarray
    covariance: np.ndarray

    def __len__(self) -> int:
        return len(self.mean)

    def deviation(self, group: str) -> np.ndarray:
        """Return the standard deviation (N,) of the targets of a group, root mean square over them."""
        places = GROUPS[group]
        return np.sqrt(np.maximum(self.covariance[:, places, places].mean(axis=1), SMALLEST**2))


@dataclass(frozen=True)
class Estimates:
    """What network and fit say of N sources.

    Attributes
    ----------
    network : Gaussians
        Of the six targets.
    fit : Gaussians
        Of the first five; the covariance is that of the normal equations, not scaled. NaN where there is no fit.
    reduced_chi2 : ndarray
        (N,) of the fit.
    fitted : ndarray
        (N,) bool, whether the fit converged to something possible.
    """

    network: Gaussians
    fit: Gaussians
    reduced_chi2: np.ndarray
    fitted: np.ndarray


@dataclass(frozen=True)
class Weighting:
    """How the errors of a group of targets follow from the stated ones.

    Attributes
    ----------
    network_scale, fit_scale : float
        ln of the factors of the stated standard deviations.
    chi2_power : float
        Power of the reduced chi^2, where above one, in the fit's standard deviation: pixels that the model does not
        describe.
    floor : float
        Standard deviation of the fit in quadrature: how far a Sersic profile is from the truth of any galaxy.
    shared : float
        Covariance of the two errors over the smaller variance, in [0, 1].
    network_shift, fit_shift : float
        Mean errors, which are subtracted.
    error_constant, error_signal, error_weight : float
        ln of the factor of the combination's standard deviation: constant, slope with
        ln(signal-to-noise / `SIGNAL`), slope with the weight of the fit.
    """

    network_scale: float = 0.0
    fit_scale: float = 0.0
    chi2_power: float = 0.5
    floor: float = 0.0
    shared: float = 1.0
    network_shift: float = 0.0
    fit_shift: float = 0.0
    error_constant: float = 0.0
    error_signal: float = 0.0
    error_weight: float = 0.0

    def network_deviation(self, stated: np.ndarray) -> np.ndarray:
        """Return the standard deviation of the network's errors from the stated one."""
        return np.exp(self.network_scale) * stated

    def fit_deviation(self, stated: np.ndarray, reduced_chi2: np.ndarray) -> np.ndarray:
        """Return the standard deviation of the fit's errors from the stated one."""
        power = np.maximum(reduced_chi2, 1) ** self.chi2_power
        return np.hypot(np.exp(self.fit_scale) * stated * power, self.floor)

    def error_factor(self, signal: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return the factor of the combination's standard deviation."""
        slope = self.error_signal * np.log(np.where(np.isfinite(signal), signal, SIGNAL) / SIGNAL)
        return np.exp(self.error_constant + slope + self.error_weight * weight)


SIGNAL = 50.0
"""Signal-to-noise ratio to which the calibration of errors refers."""


@dataclass(frozen=True)
class StructureCalibration:
    """The weighting of every group.

    Attributes
    ----------
    groups : dict
        Group -> :class:`Weighting`.
    n, n_fitted : int
        Galaxies behind it, and those with a fit.
    note : str
        Empty, or why it was not learned.
    """

    groups: dict[str, Weighting]
    n: int
    n_fitted: int
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the calibration as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "StructureCalibration":
        """Return the calibration that :meth:`as_dict` wrote."""
        groups = {name: Weighting(**terms) for name, terms in values["groups"].items()}
        return cls(groups, values["n"], values["n_fitted"], values["note"])


@dataclass(frozen=True)
class Combination:
    """The recommended distributions.

    Attributes
    ----------
    joint : Gaussians
        Of the six targets.
    weight : dict
        Group -> (N,) weight of the fit; zero where there is none.
    refined : ndarray
        (N,) bool, whether the fit was used.
    """

    joint: Gaussians
    weight: dict[str, np.ndarray]
    refined: np.ndarray


def weight_of_fit(network: np.ndarray, fit: np.ndarray, shared: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of the fit in the best linear unbiased combination, and the combination's variance.

    Parameters
    ----------
    network, fit : ndarray
        (N,) standard deviations.
    shared : float
        See :class:`Weighting`.
    """
    ours, theirs = network**2, fit**2
    common = shared * np.minimum(ours, theirs)
    rest = np.maximum(ours + theirs - 2 * common, 1e-9 * np.maximum(ours, theirs))
    weight = np.clip((ours - common) / rest, 0, 1)
    return weight, (1 - weight) ** 2 * ours + weight**2 * theirs + 2 * weight * (1 - weight) * common


def signal_to_noise(mean: np.ndarray) -> np.ndarray:
    """Return the signal-to-noise ratio (N,) within the ellipse that holds half the light.

    Parameters
    ----------
    mean : ndarray
        (N, T) targets: the magnitude is relative to the sky noise of one pixel, the only noise that counts here.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        flux = 10 ** (-0.4 * mean[:, 0])
        area = np.pi * np.exp(2 * mean[:, 1] - np.hypot(mean[:, 3], mean[:, 4]))
        return np.clip(0.5 * flux / np.sqrt(area), 1e-3, 1e9)


def agree(estimates: Estimates, calibration: StructureCalibration) -> np.ndarray:
    """Return which fits (N,) are possible and found what the network sees, in every group."""
    good = estimates.fitted.copy()
    for name in FITTED:
        terms, places = calibration.groups[name], GROUPS[name]
        with np.errstate(invalid="ignore"):
            own = terms.network_deviation(estimates.network.deviation(name))
            other = terms.fit_deviation(estimates.fit.deviation(name), estimates.reduced_chi2)
            miss = np.abs(estimates.fit.mean[:, places] - estimates.network.mean[:, places]).max(axis=1)
            good &= miss <= DISAGREEMENT * np.hypot(own, other)
    return good


def combine(estimates: Estimates, calibration: StructureCalibration) -> Combination:
    """Join network and fit.

    Rows without a usable fit are the network's alone; the joint covariance keeps the correlations of both, weighted,
    and has the variance of the best linear unbiased combination, calibrated.
    """
    number, size = estimates.network.mean.shape
    refined = agree(estimates, calibration)
    signal = signal_to_noise(estimates.network.mean)
    mean = estimates.network.mean.copy()
    share, deviation = np.zeros((number, size)), np.empty((number, size))
    weights: dict[str, np.ndarray] = {}
    for name, places in GROUPS.items():
        terms = calibration.groups[name]
        own = terms.network_deviation(estimates.network.deviation(name))
        weight, variance = np.zeros(number), own**2
        mean[:, places] -= terms.network_shift
        if name in FITTED and refined.any():
            other = terms.fit_deviation(estimates.fit.deviation(name), estimates.reduced_chi2)
            found, joint = weight_of_fit(own[refined], other[refined], terms.shared)
            weight[refined], variance[refined] = found, joint
            fit = estimates.fit.mean[refined][:, places] - terms.fit_shift
            mean[np.ix_(refined, places)] += found[:, None] * (fit - mean[np.ix_(refined, places)])
        weights[name] = weight
        share[:, places] = weight[:, None]
        deviation[:, places] = (np.sqrt(variance) * terms.error_factor(signal, weight))[:, None]
    return Combination(Gaussians(mean, _covariance(estimates, refined, share, deviation)), weights, refined)


def _covariance(estimates: Estimates, refined: np.ndarray, share: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return covariances (N, T, T) with the weighted correlations of both and root mean squares `deviation` (N, T)."""
    rest = 1 - share
    total = estimates.network.covariance * rest[:, :, None] * rest[:, None, :]
    fitted = estimates.fit.covariance.shape[-1]
    part = share[refined, :fitted]
    total[refined, :fitted, :fitted] += estimates.fit.covariance[refined] * part[:, :, None] * part[:, None, :]
    scale = np.empty_like(deviation)
    summed = Gaussians(estimates.network.mean, total)
    for name, places in GROUPS.items():
        scale[:, places] = deviation[:, places] / summed.deviation(name)[:, None]
    return total * scale[:, :, None] * scale[:, None, :]

"""One estimate from the network's posterior and a least-squares fit, with weights learned from held-out galaxies.

Network and fit use the same pixels, so their errors are correlated. If one of two unbiased estimators is efficient, its
covariance with the other equals its own variance (Rao 1973, Linear Statistical Inference, section 5a.2). The covariance
of the errors is therefore modelled as `shared` times the smaller variance. With `shared` = 0 the errors are
independent; with `shared` = 1 only the better estimator counts. The weights of the best linear unbiased combination are
always within [0, 1]. Each parameter has its own weight. A joint combination of all parameters by both covariance
matrices would be better for pure Sersic profiles and is worse for all other galaxies, because their fits have errors
along the very directions in which noise correlates the parameters.
"""

from dataclasses import dataclass, field

import numpy as np

from tuningfork.core.calibration_file import require, require_names, require_not_negative, require_range
from tuningfork.core.records import take
from tuningfork.measure.structure.estimates import FITTED_TARGETS, ProfileEstimates
from tuningfork.measure.structure.intervals import ErrorModel
from tuningfork.networks.posterior import GROUP_OF, GROUPS, Gaussians
from tuningfork.networks.structure import COLUMNS

DOUBT_DEVIATIONS = 1.5
"""Difference of network and fit (standard deviations) above which the error of the fit grows noticeably with the
difference: the network may be imprecise, but the fit may also have followed another object."""
MAX_DISAGREEMENT_DEVIATIONS = 8.0
"""Largest difference of network and fit (standard deviations); beyond it, the fit has followed another object."""
MAX_TERM = 15.0
"""Largest term of a weighting: the logarithm of a factor, or a shift in standard deviations."""


@dataclass(frozen=True)
class Weighting:
    """The relation of the true errors of a group of targets to the errors that network and fit state.

    Attributes
    ----------
    network_scale, fit_scale : float
        Natural logarithms of the factors by which the stated standard deviations are multiplied.
    misfit_factor : float
        Scale of the errors that arise because the galaxy is no Sersic profile. A relative error of the model raises
        chi^2 by the square of this error times the squared signal-to-noise ratio, and the stated errors are inversely
        proportional to that ratio. The error is therefore the stated error times the root of the excess of chi^2,
        `misfit`, times this factor.
    floor : float
        Standard deviation that is added in quadrature to that of the fit; it does not show in chi^2.
    shared : float
        Ratio of the covariance of the two errors to the smaller variance, in [0, 1].
    network_shift, fit_shift : float
        Mean errors in units of the resulting standard deviations; they are subtracted from the estimates.
    """

    network_scale: float = 0.0
    fit_scale: float = 0.0
    misfit_factor: float = 0.3
    floor: float = 0.0
    shared: float = 1.0
    network_shift: float = 0.0
    fit_shift: float = 0.0

    def __post_init__(self) -> None:
        scales, shifts = ("network_scale", "fit_scale"), ("network_shift", "fit_shift")
        require_range(self, -MAX_TERM, MAX_TERM, *scales, *shifts)
        require_range(self, 0, MAX_TERM, "misfit_factor", "floor")
        require_range(self, 0, 1, "shared")

    def network_deviation(self, stated: np.ndarray) -> np.ndarray:
        """Return the standard deviation of the network's errors.

        Parameters
        ----------
        stated : ndarray
            (N,) stated standard deviations.

        Returns
        -------
        ndarray
            (N,)
        """
        return np.exp(self.network_scale) * stated

    def fit_deviation(self, stated: np.ndarray, misfit: np.ndarray) -> np.ndarray:
        """Return the standard deviation of the fit's errors.

        Parameters
        ----------
        stated, misfit : ndarray
            (N,) stated standard deviations, and square roots of the excess of chi^2.

        Returns
        -------
        ndarray
            (N,)
        """
        return np.hypot(np.exp(self.fit_scale) * stated * np.hypot(1, self.misfit_factor * misfit), self.floor)


@dataclass(frozen=True)
class StructureCalibration:
    """The weighting of every group of targets.

    Attributes
    ----------
    groups : dict
        Group -> :class:`Weighting`.
    n, n_fitted : int
        Number of galaxies that it was learned from, and of those with a fit.
    note : str
        Empty, or the reason why a weighting was not learned.
    errors : dict
        Column of the catalogue -> :class:`~tuningfork.measure.structure.intervals.ErrorModel`.
    """

    groups: dict[str, Weighting]
    n: int
    n_fitted: int
    note: str = ""
    errors: dict[str, ErrorModel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_names("groups", self.groups, GROUPS)
        require_not_negative(self, "n", "n_fitted")
        require(self.n_fitted <= self.n, "n_fitted must not be above n")
        require(set(self.errors) <= set(COLUMNS), f"errors may only have {', '.join(COLUMNS)}")

    @property
    def of_targets(self) -> list[Weighting]:
        """The weighting of each target."""
        return [self.groups[name] for name in GROUP_OF]


@dataclass(frozen=True)
class Combination:
    """The recommended distributions.

    Attributes
    ----------
    joint : Gaussians
        Of the six targets.
    weight : ndarray
        (N, 6) weight of the fit for each target; zero where there is none.
    refined : ndarray
        (N,) bool, whether the fit was used.
    """

    joint: Gaussians
    weight: np.ndarray
    refined: np.ndarray


def combine(estimates: ProfileEstimates, calibration: StructureCalibration) -> Combination:
    """Combine network and fit; rows without a usable fit keep the network's estimate."""
    inner = corrected(estimates, calibration)
    refined = inner.fitted & agree(inner)
    rows = np.flatnonzero(refined)
    mean, covariance = inner.network.mean.copy(), inner.network.covariance.copy()
    weight = np.zeros_like(mean)
    if len(rows):
        joint, weight[rows, :FITTED_TARGETS] = join_pairs(take(inner.network, rows), take(inner.fit, rows), calibration)
        mean[rows], covariance[rows] = joint.mean, joint.covariance
    return Combination(Gaussians(mean, covariance), weight, refined)


def corrected(estimates: ProfileEstimates, calibration: StructureCalibration) -> ProfileEstimates:
    """Return the estimates without their mean errors and with the learned standard deviations."""
    network_terms: list[tuple[np.ndarray, np.ndarray]] = []
    fit_terms: list[tuple[np.ndarray, np.ndarray]] = []
    for name, terms in zip(GROUP_OF, calibration.of_targets, strict=True):
        stated = estimates.network.spread(name)
        deviation = terms.network_deviation(stated)
        network_terms.append((deviation / stated, terms.network_shift * deviation))
        if len(fit_terms) < FITTED_TARGETS:
            stated = estimates.fit.spread(name)
            deviation = terms.fit_deviation(stated, estimates.misfit)
            fit_terms.append((deviation / stated, terms.fit_shift * deviation))
    network, fit = (
        Gaussians(scaled.mean - np.stack([shift for _, shift in terms], axis=1), scaled.covariance)
        for terms, scaled in (
            (network_terms, estimates.network.scaled(np.stack([factor for factor, _ in network_terms], axis=1))),
            (fit_terms, estimates.fit.scaled(np.stack([factor for factor, _ in fit_terms], axis=1))),
        )
    )
    return ProfileEstimates(network, fit, estimates.misfit, estimates.fitted)


def agree(estimates: ProfileEstimates) -> np.ndarray:
    """Return which fits agree with the network in every target; False where network or fit is missing.

    Returns
    -------
    ndarray
        bool (N,).
    """
    with np.errstate(invalid="ignore"):
        miss = np.abs(estimates.fit.mean - estimates.network.mean[:, :FITTED_TARGETS])
        allowed = MAX_DISAGREEMENT_DEVIATIONS * np.hypot(
            estimates.fit.deviation, estimates.network.deviation[:, :FITTED_TARGETS]
        )
        return np.asarray((miss <= allowed).all(axis=1))


def join_pairs(network: Gaussians, fit: Gaussians, calibration: StructureCalibration) -> tuple[Gaussians, np.ndarray]:
    """Return the best linear unbiased combination of network and fit for each target.

    Parameters
    ----------
    network, fit : Gaussians
        Of N sources.
    calibration : StructureCalibration

    Returns
    -------
    Gaussians
        Distributions of the six targets; their correlations are the weighted ones of network and fit.
    weight : ndarray
        (N, 5) weights of the fit.
    """
    weights, spreads = [], []
    for name, terms in zip(GROUP_OF[:FITTED_TARGETS], calibration.of_targets, strict=False):
        targets = GROUPS[name]
        difference = np.sqrt(((network.mean[:, targets] - fit.mean[:, targets]) ** 2).mean(axis=1))
        spread = network.spread(name)
        weight, variance = weight_of_second(spread, doubted(spread, fit.spread(name), difference), terms.shared)
        weights.append(weight)
        spreads.append(np.sqrt(variance))
    weight = np.stack(weights, axis=1)
    rest = 1 - np.pad(weight, ((0, 0), (0, network.mean.shape[1] - FITTED_TARGETS)))
    mean, covariance = network.mean.copy(), network.covariance * rest[:, :, None] * rest[:, None, :]
    mean[:, :FITTED_TARGETS] += weight * (fit.mean - mean[:, :FITTED_TARGETS])
    covariance[:, :FITTED_TARGETS, :FITTED_TARGETS] += fit.covariance * weight[:, :, None] * weight[:, None, :]
    joint, factor = Gaussians(mean, covariance), np.ones_like(mean)
    for target, (name, spread) in enumerate(zip(GROUP_OF[:FITTED_TARGETS], spreads, strict=True)):
        factor[:, target] = spread / joint.spread(name)
    return joint.scaled(factor), weight


def doubted(network: np.ndarray, fit: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """Return the standard deviation of a fit, enlarged where the fit differs from the network.

    Parameters
    ----------
    network, fit : ndarray
        (N,) standard deviations.
    difference : ndarray
        (N,) differences of the two values.

    Returns
    -------
    ndarray
        (N,)
    """
    return np.asarray(fit * np.hypot(1, difference / (DOUBT_DEVIATIONS * np.hypot(network, fit))))


def weight_of_second(first: np.ndarray, second: np.ndarray, shared: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of the second of two estimates in their best combination, and its variance.

    Parameters
    ----------
    first, second : ndarray
        Standard deviations.
    shared : float
        See :class:`Weighting`.

    Returns
    -------
    weight, variance : ndarray
    """
    variance_1, variance_2 = first**2, second**2
    common = shared * np.minimum(variance_1, variance_2)
    rest = np.maximum(variance_1 + variance_2 - 2 * common, 1e-9 * np.maximum(variance_1, variance_2))
    weight = np.clip((variance_1 - common) / rest, 0, 1)
    return weight, (1 - weight) ** 2 * variance_1 + weight**2 * variance_2 + 2 * weight * (1 - weight) * common


def signal_to_noise(mean: np.ndarray) -> np.ndarray:
    """Return the signal-to-noise ratio within the ellipse that holds half the light.

    Parameters
    ----------
    mean : ndarray
        (N, T) targets; the magnitude is relative to the sky noise of one pixel, and no other noise is included.

    Returns
    -------
    ndarray
        (N,)
    """
    with np.errstate(invalid="ignore", over="ignore"):
        flux = 10 ** (-0.4 * mean[:, 0])
        area = np.pi * np.exp(2 * mean[:, 1] - np.hypot(mean[:, 3], mean[:, 4]))
        return np.clip(0.5 * flux / np.sqrt(area), 1e-3, 1e9)

"""The network's posterior and a least-squares fit joined to one estimate, weighted by what held-out galaxies taught.

Network and fit look at the same pixels, so that their errors are correlated. If one of two unbiased estimators is
efficient, its covariance with the other is its own variance (Rao 1973, Linear Statistical Inference, section 5a.2); so
the covariance of the errors is modelled as `shared` times the smaller variance. With `shared` = 0 they are independent
and add as usual, with 1 only the better one counts; the weights of the best linear unbiased combination are always
within [0, 1]. Each parameter has its own weight. To combine all at once by both covariance matrices would be better for
pure Sersic profiles and is worse for all other galaxies, whose fits are off along just the directions in which noise
correlates their parameters.
"""

from dataclasses import dataclass, field

import numpy as np

from tuningfork.core.records import take
from tuningfork.measure.structure.estimates import FITTED_TARGETS, ProfileEstimates
from tuningfork.measure.structure.intervals import ErrorModel
from tuningfork.networks.posterior import GROUP_OF, GROUPS, Gaussians

DOUBT_DEVIATIONS = 1.5
"""Standard deviations by which the two may differ before the fit is doubted: its error then grows with the difference,
because the network may be imprecise, but a fit may have followed something else."""
MAX_DISAGREEMENT_DEVIATIONS = 8.0
"""Standard deviations by which a fit may differ from the network; beyond, it fitted something else."""


@dataclass(frozen=True)
class Weighting:
    """How the errors of a group of targets follow from the stated ones.

    Attributes
    ----------
    network_scale, fit_scale : float
        ln of the factors of the stated standard deviations.
    misfit_factor : float
        Errors of the fit because the galaxy is no Sersic profile. A relative error of the model adds its square times
        that of the signal-to-noise ratio to chi^2, and stated errors are inversely proportional to that ratio; so the
        error is the stated one times the root of the excess of chi^2, `misfit`, times this factor.
    floor : float
        Standard deviation of the fit in quadrature that no excess of chi^2 tells of.
    shared : float
        Covariance of the two errors over the smaller variance, in [0, 1].
    network_shift, fit_shift : float
        Mean errors in units of these standard deviations, which are subtracted: what is known well is hardly off.
    """

    network_scale: float = 0.0
    fit_scale: float = 0.0
    misfit_factor: float = 0.3
    floor: float = 0.0
    shared: float = 1.0
    network_shift: float = 0.0
    fit_shift: float = 0.0

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
            (N,) stated standard deviations, and roots of the excess of chi^2.

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
        Galaxies behind it, and those with a fit.
    note : str
        Empty, or why it was not learned.
    errors : dict
        Column of the catalogue -> :class:`~tuningfork.measure.structure.intervals.ErrorModel`.
    """

    groups: dict[str, Weighting]
    n: int
    n_fitted: int
    note: str = ""
    errors: dict[str, ErrorModel] = field(default_factory=dict)

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
    """Join network and fit; rows without a usable fit are the network's alone."""
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
    """Return estimates with mean errors subtracted and standard deviations as learned."""
    own: list[tuple[np.ndarray, np.ndarray]] = []
    other: list[tuple[np.ndarray, np.ndarray]] = []
    for name, terms in zip(GROUP_OF, calibration.of_targets, strict=True):
        stated = estimates.network.spread(name)
        deviation = terms.network_deviation(stated)
        own.append((deviation / stated, terms.network_shift * deviation))
        if len(other) < FITTED_TARGETS:
            stated = estimates.fit.spread(name)
            deviation = terms.fit_deviation(stated, estimates.misfit)
            other.append((deviation / stated, terms.fit_shift * deviation))
    network, fit = (
        Gaussians(scaled.mean - np.stack([shift for _, shift in terms], axis=1), scaled.covariance)
        for terms, scaled in (
            (own, estimates.network.scaled(np.stack([factor for factor, _ in own], axis=1))),
            (other, estimates.fit.scaled(np.stack([factor for factor, _ in other], axis=1))),
        )
    )
    return ProfileEstimates(network, fit, estimates.misfit, estimates.fitted)


def agree(estimates: ProfileEstimates) -> np.ndarray:
    """Return which fits agree with the network in every target; False where either is missing.

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
    """Return the best linear unbiased combination of both for each target of the same N sources.

    Parameters
    ----------
    network, fit : Gaussians
        Of N sources.
    calibration : StructureCalibration

    Returns
    -------
    Gaussians
        Of the six targets; correlations are those of both, by their weights.
    weight : ndarray
        (N, 5) of the fit.
    """
    weights, spreads = [], []
    for name, terms in zip(GROUP_OF[:FITTED_TARGETS], calibration.of_targets, strict=False):
        places = GROUPS[name]
        apart = np.sqrt(((network.mean[:, places] - fit.mean[:, places]) ** 2).mean(axis=1))
        spread = network.spread(name)
        weight, variance = weight_of_second(spread, doubted(spread, fit.spread(name), apart), terms.shared)
        weights.append(weight)
        spreads.append(np.sqrt(variance))
    weight = np.stack(weights, axis=1)
    rest = 1 - np.pad(weight, ((0, 0), (0, network.mean.shape[1] - FITTED_TARGETS)))
    mean, covariance = network.mean.copy(), network.covariance * rest[:, :, None] * rest[:, None, :]
    mean[:, :FITTED_TARGETS] += weight * (fit.mean - mean[:, :FITTED_TARGETS])
    covariance[:, :FITTED_TARGETS, :FITTED_TARGETS] += fit.covariance * weight[:, :, None] * weight[:, None, :]
    joint, factor = Gaussians(mean, covariance), np.ones_like(mean)
    for place, (name, spread) in enumerate(zip(GROUP_OF[:FITTED_TARGETS], spreads, strict=True)):
        factor[:, place] = spread / joint.spread(name)
    return joint.scaled(factor), weight


def doubted(network: np.ndarray, fit: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Return the standard deviation of a fit, enlarged where it differs from the network.

    Parameters
    ----------
    network, fit : ndarray
        (N,) standard deviations.
    apart : ndarray
        (N,) differences of the two values.

    Returns
    -------
    ndarray
        (N,)
    """
    return np.asarray(fit * np.hypot(1, apart / (DOUBT_DEVIATIONS * np.hypot(network, fit))))


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
    one, two = first**2, second**2
    common = shared * np.minimum(one, two)
    rest = np.maximum(one + two - 2 * common, 1e-9 * np.maximum(one, two))
    weight = np.clip((one - common) / rest, 0, 1)
    return weight, (1 - weight) ** 2 * one + weight**2 * two + 2 * weight * (1 - weight) * common


def signal_to_noise(mean: np.ndarray) -> np.ndarray:
    """Return the signal-to-noise ratio within the ellipse that holds half the light.

    Parameters
    ----------
    mean : ndarray
        (N, T) targets: the magnitude is relative to the sky noise of one pixel, the only noise that counts here.

    Returns
    -------
    ndarray
        (N,)
    """
    with np.errstate(invalid="ignore", over="ignore"):
        flux = 10 ** (-0.4 * mean[:, 0])
        area = np.pi * np.exp(2 * mean[:, 1] - np.hypot(mean[:, 3], mean[:, 4]))
        return np.clip(0.5 * flux / np.sqrt(area), 1e-3, 1e9)

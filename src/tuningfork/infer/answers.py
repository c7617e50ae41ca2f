"""The networks' answers about stamps, as arrays; no network is needed to use them."""

from dataclasses import dataclass

import numpy as np

from tuningfork.networks.posterior import Gaussians


@dataclass(frozen=True)
class MorphologyAnswers:
    """The answers of an ensemble of morphology networks about N stamps; NaN and zero masks for unreadable stamps.

    Attributes
    ----------
    fraction, fraction_error, concentration : ndarray
        (N, A) expected fractions of all answers, their standard deviations, and the concentrations of the Dirichlet
        distributions, before calibration; see :func:`tuningfork.infer.votes.join_concentrations`.
    bar_length, bar_length_spread : ndarray
        (N,) regressed full bar length (px), and the standard deviation of its logarithm.
    bar_angle, bar_angle_spread : ndarray
        (N,) position angle of the bar in the pixel frame and its standard deviation (deg).
    bar_probability : ndarray
        (N,) probability that the galaxy has a bar, before calibration.
    features : ndarray
        float16 (N, D), the feature vector of the first network, averaged over the orientations.
    bar_masks : ndarray
        float32 (N, M, s, s), the probability that a cell of the stamp lies on the bar, by each network.
    """

    fraction: np.ndarray
    fraction_error: np.ndarray
    concentration: np.ndarray
    bar_length: np.ndarray
    bar_length_spread: np.ndarray
    bar_angle: np.ndarray
    bar_angle_spread: np.ndarray
    bar_probability: np.ndarray
    features: np.ndarray
    bar_masks: np.ndarray


@dataclass(frozen=True)
class StructureAnswers:
    """The answers of an ensemble of structure networks about N stamps.

    Attributes
    ----------
    posterior : Gaussians
        Distributions of the targets `TARGETS`; NaN for unreadable stamps and for targets that no network learned.
    learned : frozenset of str
        Profile parameters that every network learned, by their names in the catalogue.
    limits : dict
        Target -> lowest and highest value among the galaxies that the networks learned from.
    """

    posterior: Gaussians
    learned: frozenset[str]
    limits: dict[str, list[float]]

    def rows(self, chosen: np.ndarray) -> "StructureAnswers":
        """Return the answers about some stamps.

        Parameters
        ----------
        chosen : ndarray
            Rows of these stamps.

        Returns
        -------
        StructureAnswers
        """
        posterior = Gaussians(self.posterior.mean[chosen], self.posterior.covariance[chosen])
        return StructureAnswers(posterior, self.learned, self.limits)

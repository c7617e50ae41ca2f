"""The estimates of each source's profile by network and fit."""

from dataclasses import dataclass

import numpy as np

from tuningfork.networks.posterior import Gaussians

FITTED_TARGETS = 5
"""Number of targets of a Sersic fit; they come first among the targets."""


@dataclass(frozen=True)
class ProfileEstimates:
    """The estimates of network and fit for N sources.

    Attributes
    ----------
    network : Gaussians
        Of the six targets.
    fit : Gaussians
        Of the first five targets, with the unscaled covariance of the normal equations; NaN without a fit.
    misfit : ndarray
        (N,) square root of the excess of chi^2, a measure of the error of the model in units of the noise.
    fitted : ndarray
        (N,) bool, whether the fit converged to a possible profile.
    """

    network: Gaussians
    fit: Gaussians
    misfit: np.ndarray
    fitted: np.ndarray

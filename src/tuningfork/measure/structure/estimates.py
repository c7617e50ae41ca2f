"""What network and fit say about the profile of each source."""

from dataclasses import dataclass

import numpy as np

from tuningfork.networks.posterior import Gaussians

FITTED_TARGETS = 5
"""The first so many targets are those of a Sersic fit."""


@dataclass(frozen=True)
class ProfileEstimates:
    """What network and fit say about N sources.

    Attributes
    ----------
    network : Gaussians
        Of the six targets.
    fit : Gaussians
        Of the first five; the covariance is that of the normal equations, not scaled. NaN where there is no fit.
    misfit : ndarray
        (N,) root of the excess of chi^2: error of the model in units of what noise alone leaves.
    fitted : ndarray
        (N,) bool, whether the fit converged to something possible.
    """

    network: Gaussians
    fit: Gaussians
    misfit: np.ndarray
    fitted: np.ndarray

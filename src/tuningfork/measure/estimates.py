"""What network and fit say of each source, and the frame of the galaxy in which their errors are described.

Light that no Sersic profile describes (a bulge, a bar) changes how flat a galaxy seems more than where it points. So the
two components of the ellipticity are taken along the galaxy's own direction and across it. That also keeps every
direction of the image alike.
"""

from dataclasses import dataclass

import numpy as np

COMPONENTS = ("mag", "log_r_eff", "log_sersic_n", "eta_along", "eta_across", "bulge_logit")
"""The targets in the frame of the galaxy, in the order of :data:`tuningfork.networks.structure.TARGETS`."""
FITTED = COMPONENTS[:5]
"""Those that a Sersic fit has."""
ETA = slice(3, 5)
ACROSS = 4
SMALLEST = 1e-5
"""Floor of every standard deviation, in target space."""


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

    @property
    def deviation(self) -> np.ndarray:
        """The standard deviations (N, T)."""
        variance = np.diagonal(self.covariance, axis1=1, axis2=2)
        return np.sqrt(np.maximum(variance, SMALLEST**2))

    def scaled(self, factor: np.ndarray) -> "Gaussians":
        """Return the distributions with standard deviations times `factor` (N, T) and the same correlations."""
        return Gaussians(self.mean, self.covariance * factor[:, :, None] * factor[:, None, :])

    def turned(self, angle: np.ndarray) -> "Gaussians":
        """Return the distributions with the ellipticity turned by `angle` (N,), rad, in the plane of its components."""
        mean, covariance = self.mean.copy(), self.covariance.copy()
        turn = rotation(angle)
        mean[:, ETA] = np.einsum("nij,nj->ni", turn, mean[:, ETA])
        covariance[:, ETA] = turn @ covariance[:, ETA]
        covariance[:, :, ETA] = covariance[:, :, ETA] @ turn.transpose(0, 2, 1)
        return Gaussians(mean, covariance)


@dataclass(frozen=True)
class Estimates:
    """What network and fit say of N sources.

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

    def direction(self) -> np.ndarray:
        """Return twice the position angle (N,), rad, by the fit or, without one, the network; 0 if there is none."""
        eta = np.where(self.fitted[:, None], self.fit.mean[:, ETA], self.network.mean[:, ETA])
        return np.nan_to_num(np.arctan2(eta[:, 1], eta[:, 0]))

    def aligned(self, direction: np.ndarray) -> "Estimates":
        """Return the estimates in the frame of galaxies that point to `direction` (N,)."""
        return Estimates(self.network.turned(-direction), self.fit.turned(-direction), self.misfit, self.fitted)


def rotation(angle: np.ndarray) -> np.ndarray:
    """Return matrices (N, 2, 2) that turn the ellipticity by `angle` (N,), rad."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cosine, -sine], axis=1), np.stack([sine, cosine], axis=1)], axis=1)

"""Normal distributions of many sources in the space of the structure network's targets."""

from dataclasses import dataclass

import numpy as np

GROUPS: dict[str, list[int]] = {
    "mag": [0],
    "log_r_eff": [1],
    "log_sersic_n": [2],
    "eta": [3, 4],
    "bulge_logit": [5],
}
"""Targets whose errors are described alike: both components of the ellipticity, so that no direction in the image is
preferred."""
GROUP_OF = [name for name, places in GROUPS.items() for _ in places]
"""The group of each target, in the order of :data:`tuningfork.networks.structure.TARGETS`."""
MIN_DEVIATION = 1e-5
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
        return np.sqrt(np.maximum(variance, MIN_DEVIATION**2))

    def spread(self, group: str) -> np.ndarray:
        """Return the root mean square of the standard deviations of a group.

        Parameters
        ----------
        group : str
            A key of `GROUPS`.

        Returns
        -------
        ndarray
            (N,)
        """
        return np.sqrt((self.deviation[:, GROUPS[group]] ** 2).mean(axis=1))

    def scaled(self, factor: np.ndarray) -> "Gaussians":
        """Return the distributions with other standard deviations and the same correlations.

        Parameters
        ----------
        factor : ndarray
            (N, T), by which the standard deviations are multiplied.
        """
        return Gaussians(self.mean, self.covariance * factor[:, :, None] * factor[:, None, :])

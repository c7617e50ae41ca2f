"""Combination of the Dirichlet distributions of several networks and orientations."""

import numpy as np

from tuningfork.core.decision_tree import questions

MIN_CONCENTRATION = 1e-3
"""Smallest concentration of a Dirichlet distribution."""


def join_concentrations(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Combine the Dirichlet distributions of several networks and orientations.

    Parameters
    ----------
    alpha : ndarray
        (K, N, A) concentrations of all A answers of the decision tree.

    Returns
    -------
    fraction : ndarray
        (N, A) mean of the mixture: the expected vote fractions.
    error : ndarray
        (N, A) standard deviation of the mixture, which includes the spread between its members.
    concentration : ndarray
        (N, A) concentrations of the Dirichlet distribution per question with the same mean and the same sum of the
        variances over the answers as the mixture (matching of moments).
    """
    fraction, error, concentration = (np.empty(alpha.shape[1:]) for _ in range(3))
    for entry in questions():
        part = alpha[..., entry.slice]
        total = part.sum(axis=-1, keepdims=True)
        mean = part / total
        variance = (mean * (1 - mean) / (total + 1)).mean(axis=0) + mean.var(axis=0)
        centre = mean.mean(axis=0)
        width = (centre * (1 - centre)).sum(axis=-1, keepdims=True) / variance.sum(axis=-1, keepdims=True)
        fraction[:, entry.slice] = centre
        error[:, entry.slice] = np.sqrt(variance)
        concentration[:, entry.slice] = np.maximum(centre * np.maximum(width - 1, MIN_CONCENTRATION), MIN_CONCENTRATION)
    return fraction, error, concentration

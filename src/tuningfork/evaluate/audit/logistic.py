"""Logistic regression of fractions, with errors from resamplings of the galaxies."""

import numpy as np
from scipy.special import expit

BOOTSTRAP_RESAMPLINGS = 200
"""Number of bootstrap resamplings of the galaxies."""
NEWTON_STEPS = 12
"""Number of Newton's steps of the maximisation."""
SLOPE_PRIOR_PRECISION = 0.01
"""Inverse variance of the prior of a slope per standard deviation; this weak prior keeps slopes of separable samples
finite."""


def bootstrap_weights(generator: np.random.Generator, number: int) -> np.ndarray:
    """Return the weights of a sample and of its bootstrap resamplings.

    Returns
    -------
    ndarray
        (1 + `BOOTSTRAP_RESAMPLINGS`, N), each row with the sum one; the first row has equal weights.
    """
    drawn = generator.multinomial(number, np.full(number, 1 / number), BOOTSTRAP_RESAMPLINGS)
    return np.asarray(np.concatenate([np.ones((1, number)), drawn]) / number)


def logistic_slopes(
    values: np.ndarray, fractions: np.ndarray, number: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the slope of the logit of a fraction with each covariate at fixed other covariates.

    Newton's steps maximise the quasi-likelihood of a binomial distribution. The result is valid for fractions of any
    scatter, because the errors are computed from the resamplings.

    Parameters
    ----------
    values : ndarray
        (N, K) covariates, none of them constant.
    fractions : ndarray
        (N,) from 0 to 1.
    number : ndarray
        (N,) number of answers behind each fraction.
    weights : ndarray
        (1 + R, N) weights of the sample and of its resamplings, see :func:`bootstrap_weights`.

    Returns
    -------
    slope, error : ndarray
        (K,) in the inverse unit of each covariate.
    """
    deviation = values.std(axis=0)
    design = np.concatenate([np.ones((len(values), 1)), (values - values.mean(axis=0)) / deviation], axis=1)
    weights = weights * number * (len(values) / number.mean())
    prior = SLOPE_PRIOR_PRECISION * np.eye(design.shape[1])
    prior[0, 0] = 0
    solution = np.zeros((len(weights), design.shape[1]))
    for _ in range(NEWTON_STEPS):
        expected = expit(np.clip(solution @ design.T, -15, 15))
        gradient = (weights * (fractions - expected)) @ design - solution @ prior
        curvature = np.einsum("rn,ni,nj->rij", weights * expected * (1 - expected), design, design, optimize=True)
        step = np.linalg.solve(curvature + prior + 1e-9 * np.eye(len(prior)), gradient[..., None])[..., 0]
        solution = solution + np.clip(step, -2, 2)
    slopes = solution[:, 1:] / deviation
    return slopes[0], slopes[1:].std(axis=0)

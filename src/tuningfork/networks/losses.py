"""Losses: votes are draws from a Dirichlet-multinomial; measurements are Gaussians with a predicted width, or follow
Student's t distribution with a predicted covariance."""

import torch
from torch import Tensor

from tuningfork.core.decision_tree import questions

T_DEGREES_OF_FREEDOM = 5.0
"""Degrees of freedom of the multivariate t distribution. With a normal distribution, the few galaxies that cannot be
measured (blends, galaxies larger than the stamp) would dominate the loss, and bright ones would be learned badly."""


def dirichlet_multinomial_nll(concentrations: Tensor, counts: Tensor) -> Tensor:
    """Return the negative log-likelihood of vote counts for one question.

    The exact formula of Walmsley+ (2022, MNRAS 509, 3966), binomial coefficient included.

    Parameters
    ----------
    concentrations : Tensor
        (N, A), above zero.
    counts : Tensor
        (N, A), non-negative; a row of zeros (nobody was asked) gives exactly zero.

    Returns
    -------
    Tensor
        (N,)
    """
    counts = counts.to(concentrations.dtype)
    total, votes = concentrations.sum(1), counts.sum(1)
    each = torch.lgamma(counts + concentrations) - torch.lgamma(concentrations) - torch.lgamma(counts + 1)
    log_likelihood = torch.lgamma(total) + torch.lgamma(votes + 1) - torch.lgamma(votes + total) + each.sum(1)
    return torch.where(votes > 0, -log_likelihood, torch.zeros_like(log_likelihood))


def vote_nll(concentrations: Tensor, counts: Tensor) -> Tensor:
    """Return the negative log-likelihood of vote counts, summed over all questions of the decision tree.

    Parameters
    ----------
    concentrations, counts : Tensor
        (N, all answers)

    Returns
    -------
    Tensor
        (N,)
    """
    parts = [dirichlet_multinomial_nll(concentrations[:, q.slice], counts[:, q.slice]) for q in questions()]
    return torch.stack(parts).sum(0)


def gaussian_nll(prediction: Tensor, truth: Tensor) -> Tensor:
    """Return the negative log-likelihood of measurements, without its constant.

    Parameters
    ----------
    prediction : Tensor
        (..., 2): mean and log standard deviation.
    truth : Tensor
        (...), NaN where it is not known.

    Returns
    -------
    Tensor
        (...), zero where the truth is not known.
    """
    known = torch.isfinite(truth)
    mean, log_sigma = prediction.unbind(-1)
    # Unknown values are replaced before the arithmetic, because a NaN that is only masked later spoils the gradient.
    deviation = (torch.where(known, truth, mean.detach()) - mean) * torch.exp(-log_sigma)
    return torch.where(known, deviation**2 / 2 + log_sigma, torch.zeros_like(mean))


def multivariate_nll(mean: Tensor, factor: Tensor, truth: Tensor) -> Tensor:
    """Return the negative log-likelihood under multivariate t distributions, without its constant.

    Unknown values are marginalised out: the likelihood is that of the known ones with their own covariance, because
    marginals of a t distribution are t distributions (Lange+ 1989, JASA 84, 881).

    Parameters
    ----------
    mean : Tensor
        (N, K)
    factor : Tensor
        (N, K, K), lower triangular with a positive diagonal; the covariance is factor @ factor.T.
    truth : Tensor
        (N, K), NaN where it is not known.

    Returns
    -------
    Tensor
        float64 (N,); zero where nothing is known.
    """
    known = torch.isfinite(truth)
    # With rows of unit length, the factorised matrix is one of correlations, whatever the units.
    spread = torch.linalg.vector_norm(factor, dim=2).double()
    rows = torch.where(known[..., None], factor / spread[..., None], 0)
    identity = torch.diag_embed((~known).double())
    # Without a check: a prediction that is NaN gives a loss that is NaN, which the loop reports.
    lower = torch.linalg.cholesky_ex(rows @ rows.mT + identity)[0]
    # Unknown values are replaced before the arithmetic, because a NaN that is only masked later spoils the gradient.
    deviation = torch.where(known, (torch.where(known, truth, 0) - mean) / spread, 0)
    whitened = torch.linalg.solve_triangular(lower, deviation[..., None], upper=False)[..., 0]
    volume = lower.diagonal(dim1=1, dim2=2).log() + torch.where(known, spread.log(), 0)
    tail = torch.log1p((whitened**2).sum(1) / (T_DEGREES_OF_FREEDOM - 2))
    return (T_DEGREES_OF_FREEDOM + known.sum(1)) / 2 * tail + volume.sum(1)


def mean_of_known(values: Tensor, truth: Tensor) -> Tensor:
    """Return the mean of values over the elements whose truth is known.

    Parameters
    ----------
    values : Tensor
        Zero where the truth is not known.
    truth : Tensor
        NaN where it is not known.

    Returns
    -------
    Tensor
        A scalar; zero if nothing is known.
    """
    return values.sum() / torch.isfinite(truth).sum().clamp(min=1)

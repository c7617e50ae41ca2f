"""The losses."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import dirichlet_multinomial, multivariate_t, norm

from tuningfork.core.decision_tree import answers, questions
from tuningfork.networks.losses import (
    T_DEGREES_OF_FREEDOM,
    dirichlet_multinomial_nll,
    gaussian_nll,
    mean_of_known,
    multivariate_nll,
    vote_nll,
)

concentration = st.floats(0.01, 200)


@settings(deadline=None)
@given(st.lists(st.tuples(concentration, st.integers(0, 60)), min_size=2, max_size=5))
def test_the_vote_loss_is_that_of_scipy(pairs: list[tuple[float, int]]) -> None:
    alpha, counts = (np.array(values, dtype=float) for values in zip(*pairs, strict=True))
    found = dirichlet_multinomial_nll(torch.tensor(alpha)[None], torch.tensor(counts)[None])
    expected = -dirichlet_multinomial.logpmf(counts.astype(int), alpha, int(counts.sum()))
    assert float(found) == pytest.approx(expected, abs=1e-6, rel=1e-6)


def test_a_question_that_nobody_was_asked_counts_nothing() -> None:
    alpha = torch.rand(3, len(answers()), requires_grad=True)
    counts = torch.zeros(3, len(answers()))
    counts[0, questions()[0].slice] = torch.tensor([3.0, 2.0, 1.0])
    loss = vote_nll(alpha, counts)
    assert loss[0] > 0
    assert torch.equal(loss[1:], torch.zeros(2))
    loss.sum().backward()
    assert alpha.grad is not None
    assert (alpha.grad[1:] == 0).all()
    assert (alpha.grad[0, 3:] == 0).all()


def test_the_measurement_loss_is_the_normal_log_likelihood_without_its_constant() -> None:
    prediction = torch.tensor([[1.0, np.log(0.5)], [2.0, np.log(3.0)]])
    truth = torch.tensor([1.3, -2.0])
    expected = -norm.logpdf([1.3, -2.0], [1, 2], [0.5, 3]) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(gaussian_nll(prediction, truth), expected, rtol=1e-5)


def test_an_unknown_truth_gives_no_loss_and_no_gradient() -> None:
    prediction = torch.tensor([[1.0, 0.0], [2.0, 0.0]], requires_grad=True)
    truth = torch.tensor([np.nan, 1.0])
    loss = mean_of_known(gaussian_nll(prediction, truth), truth)
    assert loss.item() == pytest.approx(0.5)
    loss.backward()
    assert prediction.grad is not None
    assert (prediction.grad[0] == 0).all()
    assert torch.isfinite(prediction.grad).all()


def test_no_known_truth_at_all_is_no_loss() -> None:
    truth = torch.full((4,), np.nan)
    assert float(mean_of_known(gaussian_nll(torch.zeros(4, 2), truth), truth)) == 0


@settings(deadline=None, max_examples=50)
@given(st.lists(st.booleans(), min_size=4, max_size=4), st.integers(0, 10**6))
def test_the_loss_of_the_profile_is_the_likelihood_of_the_known_alone(known: list[bool], seed: int) -> None:
    rng = np.random.default_rng(seed)
    factor = 10 ** rng.uniform(-1, 1, (4, 1)) * (np.tril(rng.normal(size=(4, 4)), -1) + np.eye(4))
    mean, truth = rng.normal(size=(2, 4))
    truth[~np.array(known)] = np.nan
    tensors = [torch.tensor(values[None], requires_grad=True) for values in (mean, factor)]
    loss = multivariate_nll(*tensors, torch.tensor(truth[None]))
    kept = np.flatnonzero(known)
    shape = (factor @ factor.T)[np.ix_(kept, kept)] * (T_DEGREES_OF_FREEDOM - 2) / T_DEGREES_OF_FREEDOM
    expected = 0.0
    if len(kept):
        likelihood = multivariate_t(mean[kept], shape, T_DEGREES_OF_FREEDOM)
        constant = multivariate_t(
            np.zeros(len(kept)),
            np.eye(len(kept)) * (T_DEGREES_OF_FREEDOM - 2) / T_DEGREES_OF_FREEDOM,
            T_DEGREES_OF_FREEDOM,
        )
        expected = constant.logpdf(np.zeros(len(kept))) - likelihood.logpdf(truth[kept])
    assert loss.item() == pytest.approx(expected, rel=1e-6, abs=1e-6)
    loss.sum().backward()
    for tensor in tensors:
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
    assert (tensors[0].grad[0, ~np.array(known)] == 0).all()


def test_the_loss_of_the_profile_bears_single_precision() -> None:
    """Uncertainties that differ by a factor of a thousand, nearly complete correlations."""
    sigma = np.array([2e-3, 3.0, 0.02])
    row = np.array([[1, 0, 0], [8, 1, 0], [8, -8, 1.0]])
    factor = sigma[:, None] * row / np.linalg.norm(row, axis=1, keepdims=True)
    truth = factor @ np.array([1.0, -0.5, 2.0])
    loss = multivariate_nll(*(torch.tensor(v[None], dtype=torch.float32) for v in (np.zeros(3), factor, truth)))
    tail = (T_DEGREES_OF_FREEDOM + 3) / 2 * np.log1p((1 + 0.25 + 4) / (T_DEGREES_OF_FREEDOM - 2))
    assert loss.item() == pytest.approx(tail + np.log(np.diag(factor)).sum(), rel=1e-4)

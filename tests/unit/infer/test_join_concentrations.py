"""The Dirichlet distributions of several networks and orientations joined to one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.decision_tree import answers, questions
from tuningfork.infer.votes import join_concentrations

NAMES = list(answers())


@settings(deadline=None)
@given(st.lists(st.floats(0.05, 100), min_size=len(NAMES), max_size=len(NAMES)))
def test_one_dirichlet_distribution_is_its_own_mixture(alpha: list[float]) -> None:
    fraction, error, concentration = join_concentrations(np.array(alpha)[None, None])
    np.testing.assert_allclose(concentration[0], np.maximum(alpha, 1e-3), rtol=1e-6)
    for question in questions():
        a = np.array(alpha)[question.slice]
        mean = a / a.sum()
        np.testing.assert_allclose(fraction[0, question.slice], mean)
        np.testing.assert_allclose(error[0, question.slice], np.sqrt(mean * (1 - mean) / (a.sum() + 1)))


def test_members_that_disagree_are_less_certain_than_each() -> None:
    one, other = np.full((1, len(NAMES)), 20.0), np.full((1, len(NAMES)), 20.0)
    other[0, NAMES.index("bar_yes")] = 200.0
    _, error, concentration = join_concentrations(np.stack([one, other]))
    _, alone, own = join_concentrations(one[None])
    bar = NAMES.index("bar_yes")
    assert error[0, bar] > 2 * alone[0, bar]
    assert concentration[0, bar] < own[0, bar]


def test_the_mixture_agrees_with_draws() -> None:
    rng = np.random.default_rng(0)
    alpha = rng.uniform(0.5, 20, (3, 1, len(NAMES)))
    fraction, error, _ = join_concentrations(alpha)
    place = questions()[0].slice
    draws = np.concatenate([rng.dirichlet(alpha[k, 0, place], 40_000) for k in range(3)])
    np.testing.assert_allclose(fraction[0, place], draws.mean(0), atol=0.005)
    np.testing.assert_allclose(error[0, place], draws.std(0), atol=0.005)

"""Votes: they follow the tree, the truth and what can be seen."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.config.population import ClassFractions, Population
from tuningfork.core.decision_tree import answers, questions
from tuningfork.simulate.galaxies.draw import draw_galaxy
from tuningfork.simulate.votes import answer_probabilities, draw_votes, signal_to_noise, visibility


def a(kind: str, seed: int = 0, **changes: float):
    """Return a galaxy of the class."""
    fractions = dict.fromkeys(ClassFractions.model_fields, 0.0) | {kind: 1.0}
    population = Population(classes=ClassFractions(**fractions))
    return replace(draw_galaxy(np.random.default_rng(seed), population), **changes)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(list(ClassFractions.model_fields)), st.integers(0, 1000), st.floats(0.01, 1e4), st.floats(0.3, 10)
)
def test_probabilities_are_probabilities(kind, seed, signal, fwhm):
    probabilities = answer_probabilities(a(kind, seed), signal, fwhm)
    assert set(probabilities) == {question.name for question in questions()}
    for question in questions():
        chances = probabilities[question.name]
        assert len(chances) == len(question.answers)
        assert np.all(chances >= 0)
        assert chances.sum() == pytest.approx(1)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(list(ClassFractions.model_fields)), st.integers(0, 1000), st.integers(0, 200))
def test_a_question_is_put_to_those_whose_answer_leads_to_it(kind, seed, volunteers):
    probabilities = answer_probabilities(a(kind, seed), 30.0, 1.3)
    votes = draw_votes(np.random.default_rng(seed), probabilities, volunteers)
    counts = dict(zip(answers(), votes.tolist(), strict=True))
    for question in questions():
        asked = volunteers if question.after is None else counts[question.after]
        assert votes[question.slice].sum() == asked


def test_votes_scatter_about_the_probabilities():
    probabilities = answer_probabilities(a("barred_spiral", 1, bar_length=9.0), 60.0, 1.2)
    rng = np.random.default_rng(5)
    votes = np.sum([draw_votes(rng, probabilities, 40) for _ in range(500)], axis=0)
    for question in questions():
        counts = votes[question.slice]
        assert counts / counts.sum() == pytest.approx(probabilities[question.name], abs=0.02)


@given(st.floats(0.1, 50), st.floats(0.2, 10), st.floats(0.05, 3), st.floats(1.05, 3))
def test_what_is_brighter_larger_or_stronger_is_seen_by_more(signal, resolution, contrast, factor):
    seen = visibility(signal, resolution, contrast)
    assert visibility(signal * factor, resolution, contrast) > seen
    assert visibility(signal, resolution * factor, contrast) > seen
    assert visibility(signal, resolution, contrast * factor) > seen


def test_a_bar_is_seen_when_it_is_long_and_the_seeing_is_good():
    def bar(fwhm: float = 1.2, signal: float = 60.0, **changes: float) -> float:
        well_seen = {"r_eff": 9.0, "axis_ratio": 0.8, "bar_length": 9.0, "bar_strength": 0.2}
        return answer_probabilities(a("barred_spiral", 2, **(well_seen | changes)), signal, fwhm)["bar"][0]

    assert bar() > 0.9
    assert bar(bar_length=3.0) < 0.75
    assert bar(fwhm=4.0) < 0.75
    assert bar(signal=1.0) < 0.75
    assert bar(bar_strength=0.02) < 0.75
    assert answer_probabilities(a("spiral", 2), 60.0, 1.2)["bar"][0] < 0.1


def test_each_class_is_told_from_the_others_when_it_is_well_seen():
    def chance(kind: str, question: str, answer: int) -> float:
        galaxies = [a(kind, seed, r_eff=10.0) for seed in range(10)]
        return float(np.mean([answer_probabilities(galaxy, 60.0, 1.2)[question][answer] for galaxy in galaxies]))

    assert chance("elliptical", "smooth_or_featured", 0) > 0.85
    assert chance("spiral", "smooth_or_featured", 1) > 0.85
    assert chance("edge_on", "edge_on", 0) > 0.85
    assert chance("spiral", "edge_on", 0) < 0.3
    assert chance("merger", "merging", 2) > 0.5
    assert chance("spiral", "merging", 0) > 0.9
    assert chance("lens", "smooth_or_featured", 0) > 0.5
    assert chance("lens", "merging", 1) > 0.5 > 2 * chance("lens", "merging", 2)


def test_one_sersic_profile_looks_the_more_like_a_disc_the_lower_its_index():
    featured = [
        answer_probabilities(a("sersic", 3, sersic_n=n, r_eff=10.0), 60.0, 1.2)["smooth_or_featured"][1]
        for n in (0.6, 1.5, 3.0, 5.0)
    ]
    assert featured == sorted(featured, reverse=True)
    assert featured[0] > 0.5 > 0.1 > featured[-1]


def test_the_bulge_that_is_said_to_be_seen_grows_with_the_bulge():
    sizes = [
        answer_probabilities(a("spiral", 4, bulge_fraction=fraction), 30.0, 1.3)["bulge_size"].argmax()
        for fraction in (0.01, 0.06, 0.2, 0.7)
    ]
    assert sizes == [0, 1, 2, 3]


def test_the_signal_is_that_of_a_patch_of_the_size_of_the_psf():
    galaxy = a("elliptical", mag=16.0, r_eff=4.0, axis_ratio=1.0)
    noise, scale, fwhm = 0.03, 0.4, 1.2
    flux = 10 ** (0.4 * 6.5) / (2 * np.pi * 16)
    pixels = np.pi / 4 * (fwhm / scale) ** 2
    expected = flux * scale**2 * pixels / (noise * np.sqrt(pixels))
    assert signal_to_noise(galaxy, noise, fwhm, scale, 22.5) == pytest.approx(expected)


def test_a_ring_is_a_feature_but_no_spiral_arms():
    def seen(rings: float) -> dict[str, np.ndarray]:
        well_seen = {"r_eff": 10.0, "arm_strength": 0.3, "bulge_fraction": 0.1, "ring_strength": rings}
        return answer_probabilities(a("spiral", 2, **well_seen), 60.0, 1.2)

    arms, ring = seen(0.0), seen(0.3)
    assert ring["smooth_or_featured"] == pytest.approx(arms["smooth_or_featured"])
    assert arms["spiral_arms"][0] > 0.9
    assert 0.1 < ring["spiral_arms"][0] < 0.4
    assert seen(0.05)["spiral_arms"][0] > 0.85

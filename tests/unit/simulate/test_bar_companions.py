"""What comes with bars, and what is no galaxy."""

from dataclasses import replace

import numpy as np
import pytest

from tuningfork.core.config import validate
from tuningfork.core.config.population import Population
from tuningfork.core.description import describe
from tuningfork.simulate.galaxies.artifacts import draw_artifact
from tuningfork.simulate.galaxies.bar_companions import draw_companions
from tuningfork.simulate.galaxies.bars import BarLight, bar_on_sky
from tuningfork.simulate.galaxies.disc_parts import disc_parts
from tuningfork.simulate.galaxies.draw import draw_galaxy
from tuningfork.simulate.imaging.observe import draw_foreground
from tuningfork.simulate.light.canvas import Light, north_up
from tuningfork.simulate.light.profiles import Knots
from tuningfork.simulate.votes import answer_probabilities, signal_to_noise

EVERYTHING = Population(
    oval_fraction=1.0, barlens_fraction=1.0, ansae_fraction=1.0, bar_dust_fraction=1.0, flocculent_fraction=0.5,
    lopsided_fraction=0.5, bar_light_max=0.5, bar_length_max=30.0, bar_relative_length_max=4.0,
    classes={"barred_spiral": 1, "elliptical": 0, "spiral": 0, "edge_on": 0, "merger": 0, "lens": 0},
)  # fmt: skip

PLAIN = Population(oval_fraction=0, barlens_fraction=0, ansae_fraction=0, bar_dust_fraction=0)


@pytest.mark.parametrize("seed", range(40))
def test_the_light_of_a_barred_galaxy_adds_up_and_no_disc_is_negative(seed):
    galaxy = draw_galaxy(np.random.default_rng(seed), EVERYTHING)
    assert sum(part.fraction for part in galaxy.parts) == pytest.approx(1.0)
    taken_away = {"dust", "disc"}
    assert all(part.fraction >= 0 for part in galaxy.parts if part.population not in taken_away)
    assert sum(part.fraction for part in galaxy.parts if part.population == "disc") > 0


def test_companions_lie_on_the_bar_and_point_along_it():
    bar = bar_on_sky(20.0, 0.3, 0.4, BarLight("ferrers", 1.0), 2.0, 0.8, 30.0)
    population = Population(oval_fraction=0, barlens_fraction=0, ansae_fraction=1.0, bar_dust_fraction=1.0)
    companions = draw_companions(np.random.default_rng(1), bar, 0.8, 30.0, population)
    ansae = next(part for part in companions.parts if part.population == "old")
    distance = np.hypot(ansae.profile.x, ansae.profile.y)
    assert ((distance > 0.8 * bar.length / 2) & (distance < bar.length / 2)).all()
    angle = np.rad2deg(np.arctan2(-ansae.profile.x, ansae.profile.y)) % 180
    np.testing.assert_allclose(angle, bar.position_angle, atol=1e-6)
    lanes = [part for part in companions.parts if part.population == "dust"]
    assert sum(lane.fraction for lane in lanes) < 0
    assert np.hypot(lanes[0].x + lanes[1].x, lanes[0].y + lanes[1].y) == pytest.approx(0, abs=1e-9)


def test_without_shares_nothing_comes_with_a_bar():
    bar = bar_on_sky(20.0, 0.3, 0.4, BarLight("ferrers", 1.0), 2.0, 0.8, 30.0)
    assert draw_companions(np.random.default_rng(1), bar, 0.8, 30.0, PLAIN).light == 0


@pytest.mark.parametrize("seed", range(40))
def test_artifacts_have_unit_light(seed):
    parts, _ = draw_artifact(np.random.default_rng(seed))
    assert sum(part.fraction for part in parts) == pytest.approx(1.0)


def test_volunteers_call_an_artifact_an_artifact():
    population = Population(classes=dict.fromkeys(Population().classes.model_dump(), 0.0) | {"artifact": 1.0})
    galaxy = draw_galaxy(np.random.default_rng(3), population)
    signal = signal_to_noise(galaxy, 0.1, 1.3, 0.396, 22.5)
    assert answer_probabilities(galaxy, signal, 1.3)["smooth_or_featured"].argmax() == 2


@pytest.mark.parametrize(("axis_ratio", "featured"), [(0.95, False), (0.3, True)])
def test_people_call_a_plain_disc_smooth_unless_it_is_inclined(axis_ratio, featured):
    classes = dict.fromkeys(Population().classes.model_dump(), 0.0) | {"spiral": 1.0}
    plain = Population(arms_fraction=0.0, inner_ring_fraction=0.0, bulge_fraction_max=0.1, classes=classes)
    shares = []
    for seed in range(300):
        galaxy = draw_galaxy(np.random.default_rng(seed), plain)
        if abs(galaxy.axis_ratio - axis_ratio) < 0.05:
            without_arms = replace(galaxy, arm_strength=0.0, ring_strength=0.0)
            shares.append(answer_probabilities(without_arms, 60.0, 0.3)["smooth_or_featured"][1])
    assert (np.mean(shares) > 0.5) == featured


LANES = Population(
    oval_fraction=0, barlens_fraction=0, ansae_fraction=0, bar_dust_fraction=1.0, bar_light_max=0.5,
    bulge_fraction_max=0.1, classes=dict.fromkeys(Population().classes.model_dump(), 0.0) | {"barred_spiral": 1.0},
)  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_no_dust_lane_takes_more_light_than_there_is(seed):
    galaxy = draw_galaxy(np.random.default_rng(seed), LANES)
    canvas = north_up(256, max(galaxy.r_eff, galaxy.bar_length) / 50)
    image = canvas.draw(galaxy.lights(["r"], 0, 22.5), [0.3], 3.0)[0]
    assert image.min() > -1e-3 * image.max()


def test_broken_discs_have_the_light_that_they_are_given_and_none_is_negative():
    population, seen = Population(broken_disc_fraction=1.0, lopsided_fraction=0.0), set()
    for seed in range(60):
        parts = disc_parts(np.random.default_rng(seed), 3.0, 0.1, 0.2, 0.8, 20.0, population)
        assert sum(part.fraction for part in parts) == pytest.approx(0.8)
        stars = [part for part in parts if part.population == "disc"]
        seen.add((len(stars), stars[-1].fraction < 0))
        image = north_up(256, 0.2).draw([Light(p.profile, np.array([p.fraction])) for p in stars], [1.0], 3.0)[0]
        assert image.min() > -1e-3 * image.max()
    assert seen == {(1, False), (2, False), (2, True)}


def test_as_many_galaxies_as_asked_for_have_something_in_front(root):
    description = describe(validate({}), root / "config" / "surveys")
    galaxy = draw_galaxy(np.random.default_rng(0), Population())
    rng = np.random.default_rng(1)
    drawn = [draw_foreground(rng, galaxy, 0.3, description) for _ in range(1000)]
    assert np.mean([bool(lights) for lights in drawn]) == pytest.approx(0.3, abs=0.05)
    lights = [light for found in drawn for light in found]
    assert max(np.hypot(light.x, light.y) for light in lights) < 1.7 * galaxy.r_eff
    assert not draw_foreground(rng, galaxy, 0.0, description)


def test_a_trail_is_even_and_crosses_the_whole_image():
    for seed in range(100):
        parts, _ = draw_artifact(np.random.default_rng(seed))
        if isinstance(parts[0].profile, Knots) and len(parts[0].profile.x) > 60:
            trail = parts[0].profile
            assert np.hypot(trail.x, trail.y).max() > 55
            assert np.ptp(np.abs(np.diff(trail.x))) < 1e-9

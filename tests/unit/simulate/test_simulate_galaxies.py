"""Galaxies: the stated distributions hold and the truth is that of the light that is drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from tuningfork.core.config.population import ClassFractions, Population, SkyPopulation
from tuningfork.simulate.galaxies.draw import draw_galaxy
from tuningfork.simulate.galaxies.priors import draw_magnitude
from tuningfork.simulate.light.canvas import north_up
from tuningfork.simulate.light.profiles import EdgeOn, Sersic
from tuningfork.simulate.truth import Part, equivalents, growth_radii

NUMBER = 1500


@pytest.fixture(scope="module")
def galaxies():
    return [draw_galaxy(np.random.default_rng([7, seed]), Population()) for seed in range(NUMBER)]


def only(kind: str, **priors: float) -> Population:
    """Return a population of one class."""
    none = dict.fromkeys(ClassFractions.model_fields, 0.0)
    return Population(classes=ClassFractions(**(none | {kind: 1.0})), **priors)


def test_magnitudes_and_radii_keep_to_the_limits(galaxies):
    population, galaxies = Population(), [galaxy for galaxy in galaxies if galaxy.kind != "artifact"]
    mag, r_eff = (np.array([getattr(galaxy, name) for galaxy in galaxies]) for name in ("mag", "r_eff"))
    assert population.mag_min <= mag.min() < 14.1 < 17.9 < mag.max() <= population.mag_max
    assert population.r_eff_min <= r_eff.min() < 1.8 < 11 < r_eff.max() <= population.r_eff_max
    surface = mag + 2.5 * np.log10(2 * np.pi * r_eff**2)
    assert 18.2 < surface.min() < surface.max() < 24.1


def test_classes_come_as_often_as_stated(galaxies):
    kinds = [galaxy.kind for galaxy in galaxies]
    for kind, expected in ClassFractions().model_dump().items():
        assert kinds.count(kind) / NUMBER == pytest.approx(expected, abs=0.04)


def test_single_sersic_profiles_follow_their_priors():
    population = only("sersic", sersic_n_min=0.5, sersic_n_max=6.0, axis_ratio_min=0.3)
    drawn = [draw_galaxy(np.random.default_rng([3, seed]), population) for seed in range(1000)]
    n, axis_ratio = (np.array([getattr(galaxy, name) for galaxy in drawn]) for name in ("sersic_n", "axis_ratio"))
    assert kstest(np.log(n / 0.5) / np.log(12), "uniform").pvalue > 0.001
    assert kstest((axis_ratio - 0.3) / 0.7, "uniform").pvalue > 0.001
    for galaxy in drawn[:50]:
        (part,) = galaxy.parts
        truth = (galaxy.sersic_n, galaxy.r_eff, galaxy.axis_ratio, galaxy.position_angle)
        assert part.profile == Sersic(*truth)
        assert np.isnan(galaxy.bulge_fraction)


def test_indices_of_ellipticals_are_not_rounded():
    drawn = [draw_galaxy(np.random.default_rng([4, seed]), only("elliptical")) for seed in range(200)]
    assert len({galaxy.sersic_n for galaxy in drawn}) == 200


@pytest.mark.parametrize("slope", [0.0, 0.25, 0.6, -0.3])
def test_counts_grow_with_the_slope(slope):
    mag = draw_magnitude(np.random.default_rng(2), 14.0, 18.0, slope, 200_000)
    bright, faint = np.count_nonzero(mag < 15), np.count_nonzero(mag > 17)
    assert np.log10(faint / bright) == pytest.approx(3 * slope, abs=0.04)
    assert SkyPopulation().mag_slope > Population().mag_slope


def test_limits_that_real_surface_brightness_cannot_meet_are_kept_all_the_same():
    population = Population(mag_min=8.0, mag_max=9.0, r_eff_min=0.1, r_eff_max=0.5)
    radii = [draw_galaxy(np.random.default_rng(seed), population).r_eff for seed in range(30)]
    assert 0.1 <= min(radii) < max(radii) <= 0.5


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([0.5, 1.0, 2.0, 4.0, 6.0]), st.floats(1, 12), st.floats(0.2, 1), st.floats(0, 180))
def test_one_sersic_profile_is_its_own_equivalent(n, r_eff, axis_ratio, angle):
    profile = Sersic(n, r_eff, axis_ratio, angle)
    assert equivalents([Part(profile, 1.0, "old")], axis_ratio, angle) == (r_eff, n)
    # In two halves it must be measured, and is still the same galaxy.
    radius, index = equivalents([Part(profile, 0.5, "old"), Part(profile, 0.5, "old")], axis_ratio, angle)
    assert radius == pytest.approx(r_eff, rel=0.002)
    assert index == pytest.approx(n, rel=0.01)


def test_a_bulge_makes_a_disc_more_concentrated():
    disc, bulge = Sersic(1.0, 6.0, 0.7, 10.0), Sersic(4.0, 1.0, 0.9, 10.0)
    alone = equivalents([Part(disc, 1.0, "disc")], 0.7, 10.0)
    both = equivalents([Part(disc, 0.7, "disc"), Part(bulge, 0.3, "old")], 0.7, 10.0)
    assert both[0] < alone[0]
    assert both[1] > alone[1] + 0.5


def test_the_axis_ratio_of_an_edge_on_disc_is_that_of_its_light():
    disc = EdgeOn(3.0, 0.6, 0.0)
    x, y, _ = disc.points()
    assert np.sqrt((x**2).mean() / (y**2).mean()) == pytest.approx(disc.axis_ratio, rel=0.05)


@pytest.mark.parametrize("kind", [kind for kind in ClassFractions.model_fields if kind != "artifact"])
def test_half_of_the_drawn_light_lies_within_the_true_half_light_ellipse(kind):
    """The truth, made from points, is checked against pixels: without noise and almost without PSF."""
    for seed in range(4):
        galaxy = draw_galaxy(np.random.default_rng([11, seed]), only(kind))
        scale, size = galaxy.r_eff / 40, 512
        row, column = (np.indices((size, size)) - size // 2) * scale
        lights = galaxy.lights(["r"], 0, 22.5)
        image = north_up(size, scale).draw(lights, [1.2 * scale], 3.0)[0].astype(float)
        angle = np.deg2rad(90 + galaxy.position_angle)
        along = column * np.cos(angle) + row * np.sin(angle)
        across = row * np.cos(angle) - column * np.sin(angle)
        radius = np.hypot(along, across / galaxy.axis_ratio)
        total = 10 ** (-0.4 * (galaxy.mag - 22.5))
        # The wings of concentrated galaxies reach beyond the image.
        assert 0.85 * total < image.sum() < 1.002 * total
        # The PSF widens thin discs a little.
        tolerance = 0.035 if kind == "edge_on" else 0.015
        assert image[radius < galaxy.r_eff].sum() / total == pytest.approx(0.5, abs=tolerance)


def test_bars_have_stated_lengths_that_the_size_does_not_give_away(galaxies):
    barred = [galaxy for galaxy in galaxies if galaxy.kind == "barred_spiral"]
    length, r_eff = (np.array([getattr(galaxy, name) for galaxy in barred]) for name in ("bar_length", "r_eff"))
    population = Population()
    assert population.bar_length_min * 0.93 < length.min() < length.max() < population.bar_length_max * 1.08
    assert 0.3 < np.corrcoef(length, r_eff)[0, 1] < 0.65
    strength = np.array([galaxy.bar_strength for galaxy in barred])
    assert 0.04 <= strength.min() < strength.max() <= Population().bar_light_max
    others = [galaxy for galaxy in galaxies if galaxy.kind != "barred_spiral"]
    assert all(np.isnan(galaxy.bar_length) and galaxy.bar_strength == 0 for galaxy in others)


def test_the_true_bar_is_the_one_that_is_drawn(galaxies):
    """Taking the bar away from a galaxy leaves a hole of its length in its direction, but for the faint light at its ends."""
    for galaxy in [galaxy for galaxy in galaxies if galaxy.kind == "barred_spiral"][:10]:
        (bar,) = [part for part in galaxy.parts if part.fraction == galaxy.bar_strength and part.population == "old"]
        x, y, weight = bar.profile.points()
        angle = np.deg2rad(90 + galaxy.bar_position_angle)
        along = x * np.cos(angle) + y * np.sin(angle)
        across = y * np.cos(angle) - x * np.sin(angle)
        beyond = np.abs(along) > galaxy.bar_length / 2
        assert weight[beyond].sum() < 0.05
        assert np.abs(along).max() > 0.45 * galaxy.bar_length
        assert (weight * across**2).sum() < (weight * along**2).sum()


def test_growth_radii_grow(galaxies):
    for galaxy in [galaxy for galaxy in galaxies[:100] if galaxy.kind != "artifact"]:
        radii = growth_radii(galaxy.parts, galaxy.axis_ratio, galaxy.position_angle, [0.1, 0.3, 0.5, 0.7, 0.9])
        assert np.all(np.diff(radii) > 0)


def test_parts_of_a_galaxy_sum_to_its_flux(galaxies):
    for galaxy in galaxies[:200]:
        assert sum(part.fraction for part in galaxy.parts) == pytest.approx(1)
        # Dust takes light away, and so does the hollow of a disc.
        assert all(part.fraction > 0 or part.population in ("dust", "disc") for part in galaxy.parts if part.fraction)
        total = sum(light.fluxes for light in galaxy.lights(["g", "r"], 1, 22.5))
        assert -2.5 * np.log10(total[1]) + 22.5 == pytest.approx(galaxy.mag)

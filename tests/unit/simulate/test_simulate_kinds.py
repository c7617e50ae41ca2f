"""What galaxies are made of: boxy bars, rings, dust lanes, lensed arcs; and what distance does to them."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from tuningfork.core.config.population import ClassFractions, Population
from tuningfork.simulate.galaxies.bars import END_LEVEL, FAMILIES, Bar, BarLight, draw_boxiness
from tuningfork.simulate.galaxies.draw import draw_galaxy
from tuningfork.simulate.galaxies.spheroids import arcs_of_source
from tuningfork.simulate.light.axes import to_axes
from tuningfork.simulate.light.canvas import Light, north_up
from tuningfork.simulate.light.profiles import Ferrers, Knots

WAVES = tuple(axis.astype(np.float32) for axis in np.meshgrid(np.linspace(0, 6, 40), np.linspace(-6, 6, 80)))


def a(kind: str, seed: int = 0, redshift: float | None = None, **priors: float):
    """Return a galaxy of the kind."""
    fractions = dict.fromkeys(ClassFractions.model_fields, 0.0) | {kind: 1.0}
    population = Population(classes=ClassFractions(**fractions), **priors)
    return draw_galaxy(np.random.default_rng([5, seed]), population, redshift)


LIGHTS = [light for members in FAMILIES.values() for light in members]


@pytest.mark.parametrize("index", [1.0, 1.5])
def test_an_elliptical_bar_of_this_family_is_a_ferrers_bar(index):
    """The analytic profile ends at zero light; a bar of the same light is as long as its isophote of 10 %."""
    end = np.sqrt(1 - END_LEVEL ** (1 / index))
    bar = Bar(8.0 * end, 0.35, 30.0, BarLight("ferrers", index))
    assert bar.amplitude(*WAVES) == pytest.approx(Ferrers(8.0, 0.35, 30.0, index).amplitude(*WAVES), abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(
    st.floats(3, 12), st.floats(0.2, 0.9), st.floats(0, 180), st.sampled_from(LIGHTS), st.sampled_from([2.0, 2.25, 4.0])
)
def test_a_bar_is_drawn_as_its_points_say(length, axis_ratio, angle, light, boxiness):
    bar = Bar(length, axis_ratio, angle, light, boxiness)
    x, y, weight = bar.points()
    kx, ky = 2 / length * np.random.default_rng(1).normal(size=(2, 30, 1))
    expected = (weight * np.cos(kx * x + ky * y)).sum(axis=1)
    drawn = bar.amplitude(kx.astype(np.float32), ky.astype(np.float32))[:, 0]
    assert drawn == pytest.approx(expected, abs=4e-3)


@pytest.mark.parametrize("light", LIGHTS, ids=str)
def test_every_bar_ends_where_a_tenth_of_its_central_light_is_left(light):
    length, scale = 12.0, 0.05
    canvas = north_up(512, scale)
    along = canvas.draw([Light(Bar(length, 0.4, 0.0, light), np.ones(1))], [0.06], 3.0)[0][256:, 256]
    last = np.flatnonzero(along >= END_LEVEL * along[0])[-1] * scale
    assert 2 * last == pytest.approx(length, rel=0.03)


def test_boxy_bars_fill_their_corners():
    canvas, scale = north_up(128, 0.1), 0.1
    image = {
        exponent: canvas.draw([Light(Bar(6.0, 0.5, 0.0, boxiness=exponent), np.ones(1))], [0.1], 3.0)[0]
        for exponent in (2.0, 4.0)
    }
    half = Bar(6.0, 0.5, 0.0).semi_major_axis / scale
    row, column = 64 + round(0.62 * half), 64 + round(0.62 * half / 2)
    assert image[4.0][row, column] > 1.5 * image[2.0][row, column]
    drawn = [draw_boxiness(np.random.default_rng(seed), 3.6) for seed in range(200)]
    assert set(drawn) == {2.0, 2.25, 2.5, 2.75, 3.0, 3.25, 3.5}


def test_arcs_are_those_of_a_traced_lens():
    """Every pixel is traced back to the source's plane; the surface brightness there is that of the image."""
    radius, distance, sigma, direction, scale = 2.0, 0.7, 0.25, 25.0, 0.05
    arcs = arcs_of_source(radius, distance, sigma, direction)
    row, column = (np.indices((160, 160)) - 80) * scale
    # Beyond the Einstein radius, and within it where the ray crosses the axis, the deflection is `radius`.
    reach = np.maximum(np.hypot(row, column), 1e-6)
    along, across = to_axes(column * (1 - radius / reach), row * (1 - radius / reach), direction)
    traced = np.exp(-0.5 * ((along - distance) ** 2 + across**2) / sigma**2)
    drawn = north_up(160, scale).draw([Light(arcs, np.ones(1))], [0.05], 3.0)[0]
    assert np.abs(drawn / drawn.sum() - traced / traced.sum()).sum() / 2 < 0.12
    whole = arcs_of_source(radius, 0.0, sigma, direction)
    assert np.ptp(np.hypot(whole.x, whole.y)) < 1e-9
    assert np.ptp(whole.weight) < 1e-9


def test_lenses_are_ellipticals_with_blue_arcs():
    for seed in range(20):
        galaxy = a("lens", seed, einstein_radius_min=1.0, einstein_radius_max=2.0)
        stars, arcs = galaxy.parts
        assert (stars.population, arcs.population) == ("old", "young")
        assert arcs.fraction == galaxy.disturbance == pytest.approx(1 - stars.fraction)
        assert galaxy.bulge_fraction == 1
        middle = arcs.profile.weight @ np.hypot(arcs.profile.x, arcs.profile.y)
        assert 0.8 < middle < 3


@pytest.mark.parametrize("kind", ["spiral", "barred_spiral"])
def test_rings_come_as_often_as_stated_and_lie_in_the_disc(kind):
    for inner, outer in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        for seed in range(5):
            galaxy = a(kind, seed, inner_ring_fraction=inner, outer_ring_fraction=outer)
            knots = [
                part.profile for part in galaxy.parts if isinstance(part.profile, Knots) and len(part.profile.x) > 2
            ]
            rings = []
            for profile in knots:
                along, across = to_axes(profile.x, profile.y, galaxy.position_angle)
                places = np.stack([along, across / galaxy.cos_inclination])
                # The knots of an ellipse are all as far from the centre in units of their own spread.
                distance = np.einsum("ik,ij,jk->k", places, np.linalg.inv(np.cov(places)), places)
                if np.ptp(distance) < 1e-6:
                    rings.append(np.hypot(*places).mean())
            assert len(rings) == inner + outer
            assert 0 <= galaxy.ring_strength <= galaxy.arm_strength
            assert (galaxy.ring_strength > 0) == (inner + outer > 0)
            assert (galaxy.ring_strength == galaxy.arm_strength) == (inner > 0)
            if len(rings) == 2:
                assert rings[1] > 1.4 * rings[0]


def test_a_dust_lane_darkens_the_plane_and_takes_no_more_than_there_is():
    darker = []
    for seed in range(8):
        images = []
        for share in (0.0, 1.0):
            galaxy = a("edge_on", seed, dust_lane_fraction=share, bulge_fraction_max=0.8)
            canvas = north_up(256, galaxy.r_eff / 30)
            images.append(canvas.draw(galaxy.lights(["u", "r"], 1, galaxy.mag), 2 * [galaxy.r_eff / 30], 3.0))
            assert images[-1].min() > -1e-3 * images[-1].max()
        angle = np.deg2rad(90 + galaxy.position_angle)
        place = 128 + np.rint(25 * np.array([np.sin(angle), np.cos(angle)])).astype(int)
        darker.append([dusty[tuple(place)] / clear[tuple(place)] for clear, dusty in zip(*images, strict=True)])
    assert np.max(darker) < 0.97
    ultraviolet, red = np.mean(darker, axis=0)
    assert ultraviolet < red < 0.9


@pytest.mark.parametrize("kind", list(ClassFractions.model_fields))
def test_the_same_galaxy_further_away_is_fainter_and_smaller_and_otherwise_alike(kind):
    near, far = (a(kind, 3, redshift, redshift_max=1.0) for redshift in (0.05, 0.6))

    def distance(redshift: float) -> float:
        return quad(lambda z: 1 / np.sqrt(0.3 * (1 + z) ** 3 + 0.7), 0, redshift)[0]

    assert far.mag - near.mag == pytest.approx(5 * np.log10(distance(0.6) * 1.6 / distance(0.05) / 1.05), abs=1e-4)
    smaller = distance(0.05) / 1.05 / (distance(0.6) / 1.6)
    assert far.r_eff / near.r_eff == pytest.approx(smaller, rel=1e-4)
    # Tolman: surface brightness falls as (1 + z)^-4, whatever the cosmology.
    surface = [galaxy.mag + 5 * np.log10(galaxy.r_eff) for galaxy in (near, far)]
    assert surface[1] - surface[0] == pytest.approx(10 * np.log10(1.6 / 1.05), abs=1e-6)
    for one, other in zip(near.parts, far.parts, strict=True):
        assert one.fraction == other.fraction
        here, there = one.profile.points()[0] + one.x, other.profile.points()[0] + other.x
        assert there == pytest.approx(here * smaller, rel=1e-3)
    changed = {"mag", "r_eff", "bar_length", "redshift", "parts"}
    same = [{key: value for key, value in asdict(galaxy).items() if key not in changed} for galaxy in (near, far)]
    assert str(same[0]) == str(same[1])
    if kind == "barred_spiral":
        assert far.bar_length == pytest.approx(near.bar_length * smaller, rel=1e-4)


def test_priors_hold_at_the_smallest_redshift_and_redshifts_are_drawn_up_to_the_largest():
    rng, other = np.random.default_rng(8), np.random.default_rng(8)
    population = Population(redshift_min=0.1, redshift_max=0.5)
    for _ in range(50):
        galaxy = draw_galaxy(rng, population)
        plain = draw_galaxy(other, population, redshift=0.1)
        assert plain.kind == "artifact" or population.mag_min <= plain.mag <= population.mag_max
        assert 0.1 <= galaxy.redshift <= 0.5
        assert galaxy.mag >= plain.mag
        again = plain.seen_at(galaxy.redshift, population)
        assert (again.mag, again.r_eff) == pytest.approx((galaxy.mag, galaxy.r_eff))
    assert rng.uniform() == other.uniform()
    assert np.isnan(a("spiral").redshift)

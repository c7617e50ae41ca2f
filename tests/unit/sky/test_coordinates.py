"""Angles and positions between the sky and an image's pixels."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from tuningfork.sky.coordinates import (
    directions,
    distance,
    jacobian,
    orientation,
    pixel_to_sky_angle,
    sky_to_pixel_angle,
    to_pixels,
)

ANGLES = st.floats(0, 179.9)
TURNS = st.floats(-180, 180)


def tangent(matrix: list[list[float]], ra: float = 10.0, dec: float = 20.0) -> WCS:
    """Return a TAN WCS whose CD matrix is `matrix` arcsec per pixel."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [51, 51]
    wcs.wcs.cd = np.array(matrix) / 3600
    return wcs


@given(ANGLES, TURNS, st.booleans())
def test_sky_angles_come_back_as_pixel_angles(angle: float, north: float, left: bool) -> None:
    there = pixel_to_sky_angle(sky_to_pixel_angle(angle, north, left), north, left)
    assert abs((there - angle + 90) % 180 - 90) < 1e-6


@pytest.mark.parametrize(
    ("matrix", "north", "left"),
    [
        ([[-0.4, 0], [0, 0.4]], 0, True),  # north up, east left
        ([[0.4, 0], [0, 0.4]], 0, False),  # mirrored
        ([[0, 0.4], [0.4, 0]], -90, True),  # SDSS on the equator: north to the right, east up
        ([[0.4, 0], [0, -0.4]], 180, True),  # upside down
    ],
)
def test_orientation_of_known_images(matrix: list[list[float]], north: float, left: bool) -> None:
    angle, east_is_left = orientation(tangent(matrix), np.array([50.0]), np.array([50.0]))
    assert abs((angle[0] - north + 180) % 360 - 180) < 0.01
    assert bool(east_is_left[0]) is left


@given(st.floats(0, 360), st.floats(-80, 80), st.floats(-180, 180), st.booleans(), ANGLES)
def test_position_angle_agrees_with_astropy(ra: float, dec: float, turn: float, mirrored: bool, theta: float) -> None:
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    sign = 1 if mirrored else -1
    wcs = tangent([[0.4 * sign * c, -0.4 * sign * s], [0.4 * s, 0.4 * c]], ra, dec)
    north, left = orientation(wcs, np.array([50.0]), np.array([50.0]))
    step = 0.5
    x, y = 50 - step * np.sin(np.deg2rad(theta)), 50 + step * np.cos(np.deg2rad(theta))
    here, there = (SkyCoord(*wcs.all_pix2world([px], [py], 0), unit="deg") for px, py in ((50, 50), (x, y)))
    expected = here.position_angle(there).deg[0] % 180
    found = pixel_to_sky_angle(theta, north, left)[0]
    assert abs((found - expected + 90) % 180 - 90) < 0.05


def test_pixel_scale_is_that_of_the_header() -> None:
    scale, _, _ = directions(jacobian(tangent([[-0.396, 0], [0, 0.396]]), np.array([50.0]), np.array([50.0])))
    assert scale[0] == pytest.approx(0.396, rel=1e-6)


def test_positions_across_right_ascension_zero_and_on_the_far_side() -> None:
    wcs = tangent([[-0.4, 0], [0, 0.4]], ra=0.0, dec=0.0)
    ra, dec = np.array([359.999, 0.001, 180.0, np.nan]), np.array([0.0, 0.0, 0.0, 0.0])
    x, y = to_pixels(wcs, ra, dec, (101, 101))
    assert x[0] == pytest.approx(59, abs=0.01)
    assert x[1] == pytest.approx(41, abs=0.01)
    assert np.isnan(x[2:]).all()
    assert np.isnan(y[2:]).all()


def test_distances_at_the_pole_across_zero_between_antipodes_and_of_a_milliarcsecond() -> None:
    ra, dec = np.array([10.0, 359.9, 190.0, 0.1]), np.array([80.0, 0.0, 80.0, 0.0])
    other_ra, other_dec = np.array([190.0, 0.1, 10.0, 0.1]), np.array([80.0, 0.0, -80.0, 1e-3 / 3600])
    np.testing.assert_allclose(distance(ra, dec, other_ra, other_dec), [20.0, 0.2, 180.0, 1e-3 / 3600], rtol=1e-9)
    assert np.isnan(distance(np.array([np.nan]), np.array([0.0]), 10.0, 0.0)).all()

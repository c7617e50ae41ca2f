"""Shards: fixed by the sky, complete, without overlap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuningfork.core.config.sky import Box, Cone
from tuningfork.core.errors import InputError
from tuningfork.sky.shards import Shard, pixels, shards_of_footprint, shards_of_positions


@given(st.floats(0, 360, exclude_max=True), st.floats(-90, 90), st.integers(0, 12))
def test_every_position_lies_in_exactly_its_shard(ra: float, dec: float, order: int) -> None:
    shard = Shard(order, int(pixels(np.array([ra]), np.array([dec]), order)[0]))
    assert shard.contains(np.array([ra]), np.array([dec])).all()
    assert Shard.parse(shard.name) == shard


@pytest.mark.parametrize("name", ["8", "8-", "x-1", "2-192", "30-1", "../8-1", "-1-1"])
def test_names_that_are_no_shards_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected order-pixel"):
        Shard.parse(name)


@given(
    st.floats(0, 359),
    st.floats(-80, 79),
    st.floats(0.01, 3),
    st.floats(0.01, 3),
    st.integers(3, 8),
    st.integers(0, 2**32 - 1),
)
def test_a_box_is_covered(ra: float, dec: float, width: float, height: float, order: int, seed: int) -> None:
    box = Box(ra_min=ra, ra_max=(ra + width) % 360, dec_min=dec, dec_max=dec + height)
    found = {shard.pixel for shard in shards_of_footprint(box, order)}
    generator = np.random.default_rng(seed)
    inside_ra = (ra + generator.uniform(0, width, 200)) % 360
    inside = pixels(inside_ra, generator.uniform(dec, dec + height, 200), order)
    assert set(inside.tolist()) <= found


def test_the_whole_sky_and_a_box_across_zero() -> None:
    assert len(shards_of_footprint(Box(ra_min=0.0, ra_max=360.0, dec_min=-90.0, dec_max=90.0), 2)) == 192
    across = shards_of_footprint(Box(ra_min=359.9, ra_max=0.1, dec_min=-0.1, dec_max=0.1), 8)
    assert 1 < len(across) < 12


def test_a_cone_is_covered() -> None:
    cone = Cone(ra=150.0, dec=2.0, radius=0.5)
    found = {shard.pixel for shard in shards_of_footprint(cone, 8)}
    angle = np.linspace(0, 2 * np.pi, 100)
    ra, dec = 150 + 0.49 * np.cos(angle) / np.cos(np.deg2rad(2)), 2 + 0.49 * np.sin(angle)
    assert set(pixels(ra, dec, 8).tolist()) <= found


def test_missing_positions_belong_to_no_shard() -> None:
    ra, dec = np.array([10.0, np.nan, 10.0]), np.array([5.0, 5.0, 95.0])
    assert len(shards_of_positions(ra, dec, 6)) == 1
    assert shards_of_positions(ra, dec, 6)[0].contains(ra, dec).tolist() == [True, False, False]

"""Shards: fixed by the sky, complete, without overlap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuningfork.core.errors import InputError
from tuningfork.sky.coordinates import wrapped
from tuningfork.sky.shards import Shard, pixels, shards_of_positions


@given(st.floats(0, 360, exclude_max=True), st.floats(-90, 90), st.integers(0, 12))
def test_every_position_lies_in_exactly_its_shard(ra: float, dec: float, order: int) -> None:
    shard = Shard(order, int(pixels(np.array([ra]), np.array([dec]), order)[0]))
    assert shard.contains(np.array([ra]), np.array([dec])).all()
    assert Shard.parse(shard.name) == shard


EDGES = st.sampled_from([-0.0, 0.0, 360.0, -360.0, 720.0, -1e-20, 45.0, 90.0, -90.0])


@given(
    st.lists(st.tuples(EDGES | st.floats(-360, 720), st.floats(-90, 90)), min_size=1, max_size=6), st.integers(0, 12)
)
def test_the_pixel_of_a_position_depends_on_no_other_and_not_on_how_it_is_written(
    positions: list[tuple[float, float]], order: int
) -> None:
    ra, dec = np.array(positions).T
    together = pixels(ra, dec, order)
    assert together.tolist() == [int(pixels(ra[k : k + 1], dec[k : k + 1], order)[0]) for k in range(len(ra))]
    assert together.tolist() == pixels(wrapped(ra), dec, order).tolist()
    assert ((wrapped(ra) >= 0) & (wrapped(ra) < 360) & ~np.signbit(wrapped(ra))).all()


@pytest.mark.parametrize("name", ["8", "8-", "x-1", "2-192", "30-1", "../8-1", "-1-1"])
def test_names_that_are_no_shards_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected order-pixel"):
        Shard.parse(name)


def test_missing_positions_belong_to_no_shard() -> None:
    ra, dec = np.array([10.0, np.nan, 10.0]), np.array([5.0, 5.0, 95.0])
    assert len(shards_of_positions(ra, dec, 6)) == 1
    assert shards_of_positions(ra, dec, 6)[0].contains(ra, dec).tolist() == [True, False, False]

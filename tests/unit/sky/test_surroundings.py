"""Boxes around shards, to ask services about."""

import numpy as np
import pytest

from tuningfork.sky.shards import Shard, pixels
from tuningfork.sky.surroundings import Surroundings


@pytest.mark.parametrize(
    "shard", [Shard(5, 0), Shard(3, 300), Shard(0, 4), Shard(6, 40959), Shard(2, 15), Shard(8, 300736)]
)
def test_the_box_holds_the_shard(shard: Shard) -> None:
    box = Surroundings.around(shard)
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 200_000), np.rad2deg(np.arcsin(rng.uniform(-1, 1, 200_000)))
    near_ra, near_dec = shard.centre
    ra = np.concatenate([ra, (near_ra + rng.normal(0, 30 / 2**shard.order, 20_000)) % 360])
    dec = np.concatenate([dec, np.clip(near_dec + rng.normal(0, 30 / 2**shard.order, 20_000), -90, 90)])
    inside = pixels(ra, dec, shard.order) == shard.pixel
    assert inside.any()
    in_ra = np.abs((ra - box.ra + 180) % 360 - 180) <= box.half
    assert (in_ra & (dec >= box.dec_min) & (dec <= box.dec_max))[inside].all()


def test_a_box_across_right_ascension_zero_is_two_ranges() -> None:
    across, plain, polar = (
        Surroundings(0.0, 1.0, -1, 1),
        Surroundings(10.0, 1.0, -1, 1),
        Surroundings(9.0, 180.0, 80, 95),
    )
    assert across.wraps
    assert across.condition("p.ra", "p.dec").startswith("(p.ra >= 359.00000000 OR p.ra <= 1.00000000) AND")
    assert plain.condition("p.ra", "p.dec").startswith("(p.ra BETWEEN 9.00000000 AND 11.00000000) AND")
    assert polar.condition() == "(ra BETWEEN 0 AND 360) AND (dec BETWEEN 80.00000000 AND 90.00000000)"

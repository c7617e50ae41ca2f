"""Random numbers that depend on the configuration and the thing at hand, never on the order of jobs."""

import hashlib

import numpy as np


def seed_for(seed: int, *keys: str | int) -> int:
    """Return a 63-bit seed derived from the configuration's seed and a path of keys such as (stage, shard)."""
    text = "/".join([str(seed), *map(str, keys)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(seed: int, *keys: str | int) -> np.random.Generator:
    """Return a NumPy generator seeded by :func:`seed_for`."""
    return np.random.default_rng(seed_for(seed, *keys))

"""Random numbers depend on the thing at hand alone."""

from tuningfork.core.seeds import generator_for, seed_for


def test_seeds_are_stable_and_differ_by_every_key() -> None:
    assert seed_for(1, "simulate", 3) == 3978957232897399283
    assert len({seed_for(seed, stage, item) for seed in (1, 2) for stage in ("a", "b") for item in (1, 2)}) == 8
    assert generator_for(1, "a").normal() == generator_for(1, "a").normal()

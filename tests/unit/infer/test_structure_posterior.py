"""Orientations of a stamp agree about its profile once they are turned back."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers.moments_network import moments
from helpers.small_sets import stamp_files, write_stamps

from tuningfork.core.config.stages import Infer
from tuningfork.infer.answers import StructureAnswers
from tuningfork.infer.structure import ask_structure, undone_signs
from tuningfork.infer.tables import read_structure, write_structure
from tuningfork.networks.inputs import ORIENTATIONS, dihedral_angle
from tuningfork.networks.posterior import Gaussians
from tuningfork.networks.structure import TARGETS, shear_of
from tuningfork.stamps.store import open_store


def test_the_answer_is_the_same_whatever_orientations_are_averaged(tmp_path: Path) -> None:
    table, stamps = open_store(stamp_files(write_stamps(tmp_path / "shard.parquet")), ["r"], "r")
    once, often = (
        ask_structure(moments(), table, stamps, Infer(rotations=rotations, batch_size=4)).posterior
        for rotations in (1, 8)
    )
    good = [0, 2, 5, 6]  # the fourth is too faint for moments
    np.testing.assert_allclose(once.mean[good], often.mean[good], atol=5e-3)
    np.testing.assert_allclose(once.covariance[good][:, 3, 3], often.covariance[good][:, 3, 3], atol=2e-4)
    # Mirror images reverse the correlation of the two components: over all orientations none is left.
    assert once.covariance[0, 3, 4] == pytest.approx(0.05 * 0.03, rel=1e-3)
    assert often.covariance[0, 3, 4] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("turn", range(ORIENTATIONS))
def test_components_turn_back(turn: int) -> None:
    angle = np.array([10.0, 75.0, 170.0])
    seen = np.stack(shear_of(np.full(3, 0.4), dihedral_angle(angle, turn)))
    signs = undone_signs(turn)[[TARGETS.index("eta_1"), TARGETS.index("eta_2")]]
    np.testing.assert_allclose(seen * signs[:, None], np.stack(shear_of(np.full(3, 0.4), angle)), atol=1e-12)


def test_a_shard_without_sources_has_a_posterior_of_none(tmp_path: Path) -> None:
    none = StructureAnswers(Gaussians(np.zeros((0, 6)), np.zeros((0, 6, 6))), frozenset(["mag"]), {})
    keys = pa.chunked_array([pa.array([], pa.int64())])
    write_structure(tmp_path / "none.parquet", {"source_id": keys}, none, {}, 1)
    read = read_structure(tmp_path / "none.parquet", keys)
    assert read.posterior.mean.shape == (0, 6)
    assert read.posterior.covariance.shape == (0, 6, 6)

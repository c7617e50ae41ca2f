"""Parts of the training set: the same galaxies in whatever order they are drawn, as their tables say."""

import numpy as np
import pytest

from tuningfork.core.columns import vote_columns
from tuningfork.core.config import validate
from tuningfork.core.description import describe
from tuningfork.core.files import open_array
from tuningfork.core.parameters import Parameters
from tuningfork.core.tables import detail_of, lineage_of, read_table
from tuningfork.training.parts import simulate_part


@pytest.fixture(scope="module")
def parameters(root):
    def make(**simulate: object) -> Parameters:
        configuration = validate({"seed": 5, "simulate": {"galaxies_per_part": 20} | simulate, "stamps": {"size": 96}})
        description = describe(configuration, root / "config" / "surveys")
        return Parameters("simulate", "0123", configuration, description)

    return make


def written(parameters, part, folder):
    """Write one part and return its stamps and its table."""
    output, table = folder / f"part-{part}.npy", folder / f"part-{part}.parquet"
    simulate_part(parameters, part, output, table)
    return np.array(open_array(output)), read_table(table)


def test_a_galaxy_does_not_depend_on_its_part_nor_on_the_order(parameters, tmp_path):
    second, table = written(parameters(), 1, tmp_path)
    halves, half_table = written(parameters(galaxies_per_part=10), 3, tmp_path)
    assert half_table["index"].to_pylist() == list(range(30, 40))
    assert np.array_equal(second[10:], halves)
    assert table.slice(10).equals(half_table)
    other, _ = written(parameters(), 0, tmp_path)
    assert not np.array_equal(other[0], second[0])


def test_the_table_describes_the_stamps(parameters, tmp_path):
    stamps, table = written(parameters(neighbour_density=0.0), 0, tmp_path)
    assert stamps.shape == (20, 2, 3, 96, 96)
    assert stamps.dtype == np.float32
    assert table["split"].to_pylist() == (["train"] * 8 + ["validation", "test"]) * 2
    assert detail_of(tmp_path / "part-0.parquet", "bands") == ["g", "r", "i"]
    assert lineage_of(tmp_path / "part-0.parquet") == {"simulate": "0123"}
    for row, (image, weight) in zip(table.to_pylist(), stamps, strict=True):
        kept = min(row["native_size"], 96)
        assert np.count_nonzero(weight[1]) == kept**2
        assert np.all(image[weight == 0] == 0)
        assert weight[1].max() == pytest.approx(row["sky_noise_r"] ** -2, rel=1e-4)
        assert (row["bar_length"] is None) == (row["class"] != "barred_spiral")
        # A galaxy of some size keeps most of its light on its stamp, at the centre.
        expected = 10 ** (-0.4 * (row["mag"] - row["zero_point"]))
        if row["r_eff"] / row["pixel_scale"] < kept / 10:
            noise = row["sky_noise_r"] * kept
            assert image[1].sum() == pytest.approx(expected, rel=0.15, abs=4 * noise)


def test_every_volunteer_is_counted(parameters, tmp_path):
    _, table = written(parameters(volunteers=17), 0, tmp_path)
    votes = np.stack([table[name].to_numpy() for name in vote_columns()], axis=1)
    assert np.all(votes[:, :3].sum(axis=1) == 17)


def test_other_seeds_give_other_galaxies(parameters, tmp_path):
    first = parameters()
    configuration = first.configuration.model_copy(update={"seed": 6})
    second = Parameters("simulate", "0123", configuration, first.description)
    assert not np.array_equal(written(first, 0, tmp_path)[0], written(second, 0, tmp_path)[0])

"""Parts of the training set: the same galaxies in whatever order they are drawn, as their tables say."""

import numpy as np
import pytest

from tuningfork.core.checksums import row_checksums
from tuningfork.core.config import validate
from tuningfork.core.decision_tree import vote_columns
from tuningfork.core.description import describe
from tuningfork.core.errors import ConfigurationError
from tuningfork.core.files import open_array
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import detail_of, lineage_of, read_table
from tuningfork.simulate.imaging.conditions import draw_conditions
from tuningfork.training.sets.parts import simulate_part


@pytest.fixture(scope="module")
def parameters(root):
    def make(**simulate: object) -> Parameters:
        configuration = validate(
            {"seed": 5, "simulate": {"galaxies_per_part": 20} | simulate, "stamps": {"size": 96, "scale": "native"}}
        )
        description = describe(configuration, root / "config" / "surveys")
        return Parameters("simulate", "0123", configuration, description)

    return make


def written(parameters, part, folder):
    """Write one part and return its stamps and its table."""
    output, table = folder / f"part-{part}.npy", folder / f"part-{part}.parquet"
    simulate_part(parameters=parameters, part=part, pixels=output, table=table)
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
    assert table["pixels_checksum"].to_pylist() == row_checksums(stamps).tolist()
    assert table["split"].to_pylist() == (["train"] * 8 + ["validation", "test"]) * 2
    assert detail_of(tmp_path / "part-0.parquet", "bands") == ["g", "r", "i"]
    assert lineage_of(tmp_path / "part-0.parquet") == {"simulate": "0123"}
    for row, (image, weight) in zip(table.to_pylist(), stamps, strict=True):
        kept = min(row["native_size"], 96)
        assert np.count_nonzero(weight[1]) == kept**2
        assert np.all(image[weight == 0] == 0)
        # Far out there are few photons of the galaxy; at its centre they outnumber the sky's.
        assert weight[1].max() == pytest.approx(row["sky_noise_r"] ** -2, rel=0.15)
        if row["mag"] < 16:
            assert weight[1, 48, 48] < 0.7 * weight[1].max()
        bulge = row["bulge_to_total"]
        assert bulge == 1 if row["class"] == "elliptical" else bulge > 0
        assert (row["bar_length"] is None) == (row["class"] != "barred_spiral")
        # A galaxy of some size keeps most of its light on its stamp, at the centre.
        expected = 10 ** (-0.4 * (row["mag"] - row["zero_point"]))
        if row["r_eff"] / row["pixel_scale"] < kept / 10:
            noise = row["sky_noise_r"] * kept
            assert image[1].sum() == pytest.approx(expected, rel=0.15, abs=4 * noise)


def test_seeing_and_noise_cover_the_limits_that_are_asked_for(root):
    configuration = validate({"simulate": {"seeing": [0.8, 1.8], "noise": [0.5, 4.0]}})
    description = describe(configuration, root / "config" / "surveys")
    asked = configuration.simulate
    drawn = [draw_conditions(np.random.default_rng(i), description, asked.seeing, asked.noise) for i in range(400)]
    seeing, noise = np.array([c.psf_fwhm for c in drawn]), np.array([c.sky_noise for c in drawn])
    for values, low, high in (
        (seeing[:, 1], 0.8, 1.8),
        (noise[:, 1] / description.sky_noise[1], 0.5, 4.0),
    ):
        evenly = np.log(values / low) / np.log(high / low)
        assert np.sort(evenly) == pytest.approx(np.linspace(0, 1, 400), abs=0.08)
    assert seeing[:, 0] / seeing[:, 1] == pytest.approx(description.psf_fwhm[0] / description.psf_fwhm[1])
    assert abs(np.corrcoef(np.log(seeing[:, 1]), np.log(noise[:, 1]))[0, 1]) < 0.15


@pytest.mark.parametrize("limits", [{"seeing": [1.8, 0.8]}, {"noise": [0.0, 1.0]}, {"seeing": [1.0]}])
def test_limits_without_a_meaning_are_refused(limits):
    with pytest.raises(ConfigurationError, match="seeing" if "seeing" in limits else "noise"):
        validate({"simulate": limits})


def test_the_table_tells_the_psf_of_each_galaxy(parameters, tmp_path):
    _, table = written(parameters(seeing=[0.8, 1.8]), 0, tmp_path)
    widths, exponents = (table[name].to_numpy() for name in ("psf_fwhm_r", "psf_beta"))
    assert widths.min() < 1.1 < 1.5 < widths.max()
    assert 0.05 < np.std(np.log(exponents)) < 0.2


def test_every_volunteer_is_counted(parameters, tmp_path):
    _, table = written(parameters(volunteers=17), 0, tmp_path)
    votes = np.stack([table[name].to_numpy() for name in vote_columns()], axis=1)
    assert np.all(votes[:, :3].sum(axis=1) == 17)


def test_other_seeds_give_other_galaxies(parameters, tmp_path):
    first = parameters()
    configuration = first.configuration.model_copy(update={"seed": 6})
    second = Parameters("simulate", "0123", configuration, first.description)
    assert not np.array_equal(written(first, 0, tmp_path)[0], written(second, 0, tmp_path)[0])

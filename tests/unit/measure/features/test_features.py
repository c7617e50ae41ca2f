"""Bulge and spiral arms on maps and light: what is masked, what is counted, and what a shard's table says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.small_networks import LINEAGE, SIZE, model_card, parameters, stamp_store
from helpers.small_sets import stamp_files
from hypothesis import given
from hypothesis import strategies as st

from tuningfork.core.calibration_file import write_calibration
from tuningfork.core.columns import of_stage
from tuningfork.core.columns.table import shard_table
from tuningfork.core.decision_tree import answers, question
from tuningfork.core.errors import InputError
from tuningfork.core.files import open_array
from tuningfork.core.flags import Flag
from tuningfork.core.tables import detail_of, lineage_of, numpy_column, read_table, write_table
from tuningfork.explain.feature_maps import feature_maps_shard
from tuningfork.explain.saliency import arms_logit, bulge_logit
from tuningfork.measure.features.azimuthal import Azimuthal, azimuthal, elliptical_radius
from tuningfork.measure.features.calibration import ARMS, BULGE, FeatureCalibration, FractionCalibration, answer_of
from tuningfork.measure.features.maps import measured
from tuningfork.measure.features.shard import FeatureInputs, features_shard
from tuningfork.networks.inputs import dihedral

S, PSF = 96, 3.0
Y, X = np.indices((S, S)) - S // 2
R, THETA = np.hypot(X, Y), np.arctan2(Y, X)
DISC = 60 * np.exp(-R / 9)
WAVE = np.cos(2 * (THETA - 2.2 * np.log(np.maximum(R, 1) / 6)))
"""1 on the crest of two logarithmic arms, -1 between them."""
MAP = np.exp(-R / 12)
"""A map that marks the galaxy without a preference in angle."""


def spiral(strength: float, bulge: float = 0.0) -> np.ndarray:
    """Return a disc whose light swings by a part of itself along two arms, with a bulge in its middle."""
    return DISC * (1 + strength * WAVE * (R > 6)) + bulge * np.exp(-((R / 2.5) ** 2))


def frames(*light: np.ndarray) -> Azimuthal:
    noise = np.random.default_rng(5).standard_normal((S, S))
    images = np.stack([one + noise for one in light])
    return azimuthal(images, np.ones_like(images), np.full(len(images), PSF))


def maps(number: int, radius: float = 12.0) -> np.ndarray:
    return np.stack([np.exp(-R / radius)] * number)


def test_a_mask_lies_on_the_arms_and_not_between_them() -> None:
    found = measured(frames(spiral(0.5), spiral(0.0)), maps(2), maps(2), np.full(2, PSF))
    mask, without = found.masks
    disc = (R > 8) & (R < 24)
    crest, gap = disc & (WAVE > 0.6), disc & (WAVE < -0.3)
    assert mask[crest].mean() > 0.7
    assert mask[gap].mean() < 0.05
    assert without.sum() < 0.25 * mask.sum()
    assert found.arms[1] < 0.25 * found.arms[0]


def test_the_map_decides_where_arms_may_be() -> None:
    one_side = MAP * (X < 0) + 0.0
    found = measured(frames(spiral(0.5)), maps(1), one_side[None], np.full(1, PSF))
    assert found.masks[0][X < -6].any()
    # The map is smoothed before it is read.
    assert not found.masks[0][X > 6].any()
    assert found.arms[0] < found.residual[0]


def test_a_bright_neighbour_is_no_arm() -> None:
    neighbour = 80 * np.exp(-((X - 18) ** 2 + (Y - 4) ** 2) / 6)
    found = measured(frames(DISC + neighbour), maps(1), maps(1), np.full(1, PSF))
    assert not found.masks[0][np.hypot(X - 18, Y - 4) < 2].any()


@pytest.mark.parametrize("turn", [1, 2, 3, 5])
def test_a_turned_stamp_has_the_turned_mask(turn: int) -> None:
    light = spiral(0.5, 200) + np.random.default_rng(3).standard_normal((S, S))
    turned = dihedral(torch.from_numpy(light), turn).numpy()
    images, several = np.stack([light, turned]), maps(2, 30)
    found = measured(azimuthal(images, np.ones_like(images), np.full(2, PSF)), several, several, np.full(2, PSF))
    expected = dihedral(torch.from_numpy(found.masks[0]), turn).numpy()
    assert (found.masks[1] & expected).sum() > 0.85 * (found.masks[1] | expected).sum()
    assert found.arms[1] == pytest.approx(found.arms[0], rel=0.1)


def test_a_bulge_has_more_of_the_light_than_the_middle_of_a_disc() -> None:
    found = measured(frames(DISC, spiral(0.0, 300)), maps(2, 4), maps(2), np.full(2, PSF))
    assert found.bulge[1] > 1.5 * found.bulge[0]
    wider = measured(frames(DISC), maps(1, 8), maps(1), np.full(1, PSF))
    assert wider.bulge[0] > found.bulge[0]


def test_nothing_is_measured_where_there_is_no_galaxy_or_no_map() -> None:
    empty = measured(frames(0 * R), maps(1), maps(1), np.full(1, PSF))
    assert np.isnan([empty.bulge, empty.arms, empty.end, empty.concentration]).all()
    assert not empty.masks.any()
    unmapped = measured(frames(DISC), 0 * maps(1), 0 * maps(1), np.full(1, PSF))
    assert np.isnan(unmapped.bulge).all()
    assert unmapped.arms[0] == 0


@given(st.floats(0.35, 1), st.floats(0, 180), st.floats(2, 6))
def test_the_radius_of_a_pixel_is_that_of_the_ring_through_it(ratio: float, angle: float, psf: float) -> None:
    """The ring's own axis ratio, as the rings of the harmonics have it, must lead back to the pixel."""
    values = [torch.tensor([value], dtype=torch.float32) for value in (ratio, angle, psf)]
    radius = elliptical_radius(33, torch.zeros(1, 2), *values)[0].double()
    axis, turn = torch.arange(33, dtype=torch.float64) - 16, np.deg2rad(angle)
    along, across = (
        axis[:, None] * np.cos(turn) - axis * np.sin(turn),
        axis * np.cos(turn) + axis[:, None] * np.sin(turn),
    )
    inner = torch.clamp(radius**2, max=(1.1 * psf) ** 2)
    own = (ratio**2 * (radius**2 - inner) + inner) / radius**2
    expected = along**2 + across**2 / own
    good = radius > 0.5
    assert torch.allclose(expected[good].sqrt(), radius[good], rtol=1e-3)


def test_the_answers_are_those_of_the_decision_tree() -> None:
    votes = torch.rand(4, len(answers())) + 0.1
    expected = {
        f"{label}_fraction": (votes[:, entry.slice] / votes[:, entry.slice].sum(1, keepdim=True))[:, place].numpy()
        for entry in (question("spiral_arms"), question("bulge_size"))
        for place, label in enumerate(entry.labels)
    }
    for name, logit in ((ARMS, arms_logit), (BULGE, bulge_logit)):
        assert torch.sigmoid(logit({"concentrations": votes})).numpy() == pytest.approx(answer_of(name, expected))


def votes_table(path: Path, stamps: Path) -> Path:
    rows = read_table(stamps)
    good = rows["valid_fraction"].to_numpy() > 0
    values = {f"{label}_fraction": np.where(good, 0.4, np.nan) for label in answers()}
    values |= {"source_id": rows["source_id"], "flags": rows["flags"]}
    write_table(path, shard_table("classify", values), LINEAGE | {"classify": "c0"})
    return path


def calibration(path: Path) -> Path:
    bulge = FractionCalibration([0.2, 0, 0, 0, 0.1], True, [0.5], [0.07], 100)
    arms = replace(bulge, coefficients=[0.1, 0, 0, 0, 0.1, 0], logit=False)
    write_calibration(path, "features", FeatureCalibration({BULGE: bulge, ARMS: arms}), {"calibrate_features": "f0"})
    return path


def inputs_of(folder: Path, samples: int) -> FeatureInputs:
    """Make the maps of a shard of five sources: the first has no stamp, the second one of the sky alone."""
    stamps = stamp_store(folder / "8-1.parquet", 5)
    pixels = np.load(stamps.with_suffix(".npy"), mmap_mode="r+")
    pixels[1, 0] = np.random.default_rng(0).normal(0, 0.03, pixels[1, 0].shape)
    pixels.flush()
    rows = read_table(stamps)
    flags = numpy_column(rows, "flags").copy()
    flags[1] = int(Flag.NO_SIGNAL)
    place = rows.column_names.index("flags")
    write_table(
        stamps, rows.set_column(place, "flags", pa.array(flags)), LINEAGE, bands=["g", "r", "i"], reference_band="r"
    )
    maps = folder / "maps.parquet"
    feature_maps_shard(
        parameters("feature_maps", features={"samples": samples}),
        stamps=stamp_files(stamps),
        models=[model_card(folder, "morphology")],
        output=maps.with_suffix(".npy"),
        table=maps,
    )
    return FeatureInputs(
        stamps=stamp_files(stamps),
        morphology=votes_table(folder / "votes.parquet", stamps),
        map_table=maps,
        maps=maps.with_suffix(".npy"),
        calibration=calibration(folder / "features.json"),
    )


@pytest.mark.parametrize("samples", [0, 2])
def test_a_shard_has_a_row_and_a_mask_for_every_source(tmp_path: Path, samples: int) -> None:
    inputs = inputs_of(tmp_path, samples)
    masks, table = tmp_path / "features.npy", tmp_path / "features.parquet"
    features_shard(parameters("features"), inputs=inputs, output=masks, table=table)
    found, packed = read_table(table), np.load(masks)
    assert found.column_names[2:] == [column.name for column in of_stage("features")]
    assert found["flags"].to_pylist() == read_table(inputs.stamps.table)["flags"].to_pylist()
    assert packed.shape == (5, SIZE, SIZE // 8)
    unpacked = np.unpackbits(packed, axis=-1, count=SIZE)
    assert not unpacked[:2].any()
    given_up = 5 if samples == 0 else 2
    for column in found.column_names[2:]:
        assert np.isnan(numpy_column(found, column)).tolist() == [True] * given_up + [False] * (5 - given_up), column
    if samples:
        assert unpacked[2:].any()
        assert found[f"{BULGE}_error"].to_pylist()[2:] == pytest.approx([0.07] * 3)
    assert detail_of(table, "samples") == samples
    assert lineage_of(table) == LINEAGE | {
        "classify": "c0",
        "train-morphology": "m0",
        "feature_maps": "feature_maps-digest",
        "calibrate_features": "f0",
        "features": "features-digest",
    }


def test_maps_repeat_and_those_of_other_sources_or_another_length_are_refused(tmp_path: Path) -> None:
    inputs = inputs_of(tmp_path, 2)
    maps = np.array(open_array(inputs.maps))
    assert maps.shape == (5, 2, SIZE, SIZE)
    assert not maps[0].any()
    assert np.all(maps[1:].max(axis=(2, 3)) == 1)
    (tmp_path / "again").mkdir()
    np.testing.assert_array_equal(open_array(inputs_of(tmp_path / "again", 2).maps), maps)
    outputs = {"output": tmp_path / "o.npy", "table": tmp_path / "o.parquet"}
    np.save(tmp_path / "short.npy", maps[:4])
    with pytest.raises(InputError, match=r"short\.npy: an array of the shape \(4, 2, 64, 64\) for the 5 rows"):
        features_shard(parameters("features"), inputs=replace(inputs, maps=tmp_path / "short.npy"), **outputs)
    for name in ("map_table", "morphology"):
        other = tmp_path / f"other_{name}.parquet"
        write_table(other, read_table(getattr(inputs, name)).take([1, 0, 2, 3, 4]))
        with pytest.raises(InputError, match=f"other_{name}.parquet: its 5 sources differ from"):
            features_shard(parameters("features"), inputs=replace(inputs, **{name: other}), **outputs)
    assert not outputs["output"].exists()

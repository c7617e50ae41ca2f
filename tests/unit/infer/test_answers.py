"""What the networks say about a shard: asked once, stored, and read again."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.inferred import held_out_answers, held_out_profiles, morphology_answers, structure_answers
from helpers.small_sets import parameters, stamp_files, write_model, write_part, write_stamps

from tuningfork.calibrate.held_out import held_out_rows, morphology_of_split, structure_of_split
from tuningfork.core.config.stages import Infer
from tuningfork.core.errors import InputError
from tuningfork.core.files import open_array
from tuningfork.core.records import take
from tuningfork.core.tables import detail_of, lineage_of, read_table, write_table
from tuningfork.infer import shard
from tuningfork.infer.answers import MorphologyAnswers, StructureAnswers
from tuningfork.infer.morphology import ask_morphology, mean_angle
from tuningfork.infer.shard import infer_morphology
from tuningfork.infer.structure import ask_structure
from tuningfork.infer.tables import read_morphology, read_structure
from tuningfork.networks.ensemble import Ensemble, load_ensemble
from tuningfork.networks.inputs import dihedral_angle
from tuningfork.networks.morphology import MASK_SHRINK
from tuningfork.stamps.store import open_store

NAMES = [field.name for field in fields(MorphologyAnswers)]
VOTES = ("fraction", "fraction_error", "concentration")
BAR = ("bar_length", "bar_length_spread", "bar_angle", "bar_angle_spread", "bar_masks")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("infer")


@pytest.fixture(scope="module")
def stamps(folder: Path) -> Path:
    return write_stamps(folder / "shard.parquet")


@pytest.fixture(scope="module")
def models(folder: Path) -> list[Path]:
    return [write_model(folder / f"{k}.json", "morphology", k) for k in range(2)]


@pytest.fixture(scope="module")
def written(stamps: Path, models: list[Path]) -> tuple[Path, Path]:
    return morphology_answers(stamps, models)


def ask(stamps: Path, ensemble: Ensemble, rows: list[int] | None = None, **settings: int) -> MorphologyAnswers:
    table, pixels = open_store(stamp_files(stamps), ensemble.bands, ensemble.reference_band)
    chosen = np.arange(table.num_rows) if rows is None else np.array(rows)
    return ask_morphology(ensemble, table.take(chosen), pixels[chosen], Infer(**settings))


def same(one: MorphologyAnswers, other: MorphologyAnswers, names: tuple[str, ...] = tuple(NAMES)) -> None:
    """Check that answers are the same bit for bit."""
    for name in names:
        values, expected = getattr(one, name), getattr(other, name)
        assert (values.dtype, values.shape) == (expected.dtype, expected.shape), name
        np.testing.assert_array_equal(values, expected, err_msg=name)


def test_answers_survive_the_file_bit_by_bit(stamps: Path, models: list[Path], written: tuple[Path, Path]) -> None:
    found = ask(stamps, load_ensemble(models, "morphology"), rotations=2, bar_rotations=2)
    same(read_morphology(*written, read_table(stamps)["source_id"]), found)
    missing = np.isin(np.arange(7), [1, 4])
    for name in NAMES:
        values = getattr(found, name).reshape(7, -1)
        assert np.isnan(values[missing]).all() if name != "bar_masks" else not values[missing].any()
        assert np.isfinite(values[~missing]).all(), name
    assert found.bar_masks.shape == (7, 2, 32 // MASK_SHRINK, 32 // MASK_SHRINK)
    assert read_table(written[0])["flags"].to_pylist() == [0, 4, 0, 0, 4, 0, 0]
    assert detail_of(written[0], "members") == 2
    assert lineage_of(written[0]) == {
        "stamps": "t",
        "train-morphology": "m",
        "infer_morphology": "infer_morphology-digest",
    }


def test_a_shard_without_sources_has_answers_about_none(tmp_path: Path, models: list[Path]) -> None:
    stamps = write_stamps(tmp_path / "none.parquet", number=0)
    found = read_morphology(*morphology_answers(stamps, models), read_table(stamps)["source_id"])
    same(found, ask(stamps, load_ensemble(models, "morphology")))
    assert found.bar_masks.shape[:2] == (0, 2)


def test_answers_do_not_depend_on_the_batch_size_nor_on_the_other_stamps(stamps: Path, models: list[Path]) -> None:
    ensemble = load_ensemble(models, "morphology")
    small, large = (ask(stamps, ensemble, batch_size=size) for size in (2, 64))
    alone = ask(stamps, ensemble, rows=[5, 2])
    for other in (take(small, np.array([5, 2])), alone):
        for name in NAMES:
            expected = getattr(large, name)[[5, 2]]
            np.testing.assert_allclose(getattr(other, name), expected, rtol=2e-3, atol=2e-3, err_msg=name)


def test_the_first_orientations_serve_the_votes_as_if_no_more_had_been_asked(stamps: Path, models: list[Path]) -> None:
    """Votes and bars average as many orientations as each is given, whatever the other is given."""
    ensemble = load_ensemble(models, "morphology")
    both = ask(stamps, ensemble, rotations=2, bar_rotations=4)
    same(both, ask(stamps, ensemble, rotations=2, bar_rotations=2), VOTES)
    same(both, ask(stamps, ensemble, rotations=4, bar_rotations=4), BAR)
    turned = ask(stamps, ensemble, rotations=4, bar_rotations=2)
    same(turned, ask(stamps, ensemble, rotations=2, bar_rotations=2), BAR)
    same(turned, ask(stamps, ensemble, rotations=4, bar_rotations=4), VOTES)
    assert not np.array_equal(turned.fraction, both.fraction, equal_nan=True)


def test_an_angle_is_uncertain_if_its_vector_is_short_or_the_answers_differ() -> None:
    turns = [0, 1, 4, 5]

    given = np.array([[30.0, 30, 5], [30, 30, 55], [30, 30, 5], [30, 30, 55]])
    length = np.array([1.0, 0.6, 1.0])
    doubled = np.deg2rad([2 * dihedral_angle(angles, turn) for angles, turn in zip(given, turns, strict=True)])
    angle, spread = mean_angle(length[:, None] * np.stack([np.cos(doubled), np.sin(doubled)], axis=-1), turns)
    assert angle == pytest.approx([30, 30, 30], abs=1e-6)
    assert spread[0] == pytest.approx(0, abs=0.1)
    # The circular standard deviation of a mean vector of 0.6, and of two angles 50 deg apart.
    assert spread[1:] == pytest.approx([28.96, 26.93], abs=0.05)


def test_the_mask_of_each_network_has_its_own_place(stamps: Path, models: list[Path]) -> None:
    together = ask(stamps, load_ensemble(models, "morphology"), rotations=1, bar_rotations=2)
    for place, model in enumerate(models):
        alone = ask(stamps, load_ensemble([model], "morphology"), rotations=1, bar_rotations=2)
        np.testing.assert_allclose(together.bar_masks[:, place], alone.bar_masks[:, 0], atol=1e-6)


def test_stamps_in_other_bands_are_refused(tmp_path: Path, models: list[Path]) -> None:
    stamps = write_stamps(tmp_path / "shard.parquet")
    table = pq.read_table(stamps)
    metadata = {**table.schema.metadata, b"tuningfork.bands": b'["u", "r"]'}
    pq.write_table(table.replace_schema_metadata(metadata), stamps)
    with pytest.raises(InputError, match=r"shard.parquet.*\['u', 'r'\].*\['g', 'r'\]"):
        infer_morphology(
            parameters("infer_morphology"),
            stamps=stamp_files(stamps),
            models=models,
            output=tmp_path / "o.parquet",
            masks=tmp_path / "o.npy",
        )
    assert not (tmp_path / "o.npy").exists()


def test_files_that_do_not_belong_to_the_stamps_are_refused(
    tmp_path: Path, stamps: Path, written: tuple[Path, Path]
) -> None:
    table, masks = written
    keys = read_table(stamps)["source_id"]
    np.save(tmp_path / "short.npy", open_array(masks)[:6])
    with pytest.raises(
        InputError, match=r"short\.npy: an array of the shape \(6, 2, .* for the 7 rows of .*shard-answ"
    ):
        read_morphology(table, tmp_path / "short.npy", keys)
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "cut.npy").write_bytes(masks.read_bytes()[:200])
    for name in ("empty.npy", "cut.npy", "none.npy"):
        with pytest.raises(InputError, match=f"{name}: cannot be read"):
            read_morphology(table, tmp_path / name, keys)
    for other in (keys.slice(0, 6), pa.chunked_array([keys.to_numpy()[::-1]])):
        with pytest.raises(InputError, match="its 7 rows are not about these"):
            read_morphology(table, masks, other)


def test_damaged_tables_are_refused(tmp_path: Path, stamps: Path, written: tuple[Path, Path]) -> None:
    table, masks = written
    keys, damaged = read_table(stamps)["source_id"], tmp_path / "damaged.parquet"
    with pytest.raises(InputError, match=r"damaged\.parquet: no such file"):
        read_morphology(damaged, masks, keys)
    damaged.write_bytes(table.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"damaged\.parquet: not a readable Parquet file"):
        read_morphology(damaged, masks, keys)
    rows = read_table(table)
    write_table(damaged, rows.drop_columns(["bar_angle"]), answers=detail_of(table, "answers"))
    with pytest.raises(InputError, match=r"damaged\.parquet: lacks the columns \['bar_angle'\]"):
        read_morphology(damaged, masks, keys)
    write_table(damaged, rows.replace_schema_metadata(None))
    with pytest.raises(InputError, match="not a table of the networks' answers"):
        read_morphology(damaged, masks, keys)
    write_table(damaged, rows, answers=["bar_yes", "bar_no"])
    with pytest.raises(InputError, match="answers about another decision tree"):
        read_morphology(damaged, masks, keys)


def test_answers_about_held_out_galaxies_are_in_the_order_of_the_parts(
    tmp_path: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard, "GALAXIES_AT_ONCE", 5)
    parts = [
        write_part(tmp_path / "one.parquet", 30),
        write_part(tmp_path / "two.parquet", 40, seed=4, index=np.arange(30, 70)),
        write_part(tmp_path / "three.parquet", 8, seed=5, index=np.arange(70, 78)),  # of training galaxies alone
    ]
    answers = held_out_answers(parts, models)
    ensemble = load_ensemble(models, "morphology")
    for split in ("validation", "test"):
        rows, found = morphology_of_split(parts, answers, split)
        assert rows["split"].unique().to_pylist() == [split]
        one = ask(parts[1], ensemble, rows=[int(rows["index"][3].as_py()) - 30], rotations=2, bar_rotations=2)
        for name in NAMES:
            np.testing.assert_allclose(getattr(found, name)[3:4], getattr(one, name), rtol=2e-3, atol=2e-3)
    assert held_out_rows(parts).num_rows == 14
    with pytest.raises(InputError, match="its 14 rows are not about these 6 stamps"):
        morphology_of_split(parts[:1], answers, "test")


def of_structure(stamps: Path, models: list[Path]) -> StructureAnswers:
    ensemble = load_ensemble(models, "structure")
    table, pixels = open_store(stamp_files(stamps), ["r"], "r")
    return ask_structure(ensemble, table, pixels, Infer(rotations=2))


def test_the_posterior_survives_the_file_bit_by_bit(tmp_path: Path, stamps: Path) -> None:
    models = [write_model(tmp_path / f"{k}.json", "structure", k) for k in range(2)]
    table = structure_answers(stamps, models)
    expected, found = of_structure(stamps, models), read_structure(table, read_table(stamps)["source_id"])
    np.testing.assert_array_equal(found.posterior.mean, expected.posterior.mean)
    np.testing.assert_array_equal(found.posterior.covariance, expected.posterior.covariance)
    assert (found.learned, found.limits) == (expected.learned, expected.limits)
    assert np.flatnonzero(np.isnan(found.posterior.mean).all(axis=1)).tolist() == [1, 4]
    assert detail_of(table, "members") == 2
    with pytest.raises(InputError, match="are not about these 5 stamps"):
        read_structure(table, read_table(stamps)["source_id"].slice(2))
    write_table(table, read_table(table).drop_columns(["covariance"]))
    with pytest.raises(InputError, match=r"lacks the columns \['covariance'\]"):
        read_structure(table, read_table(stamps)["source_id"])


def test_the_posterior_of_held_out_galaxies_is_that_of_their_split(tmp_path: Path) -> None:
    models = [write_model(tmp_path / "m.json", "structure")]
    parts = [
        write_part(tmp_path / "one.parquet", 30),
        write_part(tmp_path / "two.parquet", 20, index=np.arange(30, 50)),
    ]
    answers = held_out_profiles(parts, models)
    rows, found = structure_of_split(parts, answers, "test")
    assert rows["index"].to_pylist() == [9, 19, 29, 39, 49]
    whole = of_structure(parts[0], models)
    np.testing.assert_allclose(found.posterior.mean[:3], whole.posterior.mean[[9, 19, 29]], rtol=2e-3, atol=2e-3)

"""Pictures with votes become a part of a training set."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.small_networks import one_band_morphology
from PIL import Image

from tuningfork.core.errors import InputError
from tuningfork.core.tables import read_table, write_table
from tuningfork.measure.votes.correction import corrected
from tuningfork.networks.ensemble import load_ensemble
from tuningfork.pictures import votes as votes_module
from tuningfork.pictures.learn_votes import learn_picture_votes
from tuningfork.pictures.votes import write_picture_votes
from tuningfork.stamps.store import StampFiles
from tuningfork.training.sets.dataset import open_training_set


def draw(path, sigma=9.0, size=160):
    y, x = np.mgrid[:size, :size] - size / 2
    light = np.exp(-(x**2 + y**2) / (2 * sigma**2)) + 0.02 * np.random.default_rng(1).standard_normal((size, size))
    Image.fromarray(np.uint8(np.clip(20 + 220 * light, 0, 255))).convert("RGB").save(path)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    names = [f"galaxy-{number}.png" for number in range(12)]
    for name in names:
        draw(tmp_path / "pictures" / name)
    (tmp_path / "pictures" / "text.png").write_text("no picture")
    votes = pd.DataFrame({"file": [*names, "text.png"], "smooth_or_featured_smooth_votes": 17.0, "bar_yes_votes": 2.5})
    votes.to_csv(tmp_path / "votes.csv", index=False)
    return tmp_path


def test_the_part_has_the_stamps_and_the_votes_of_the_pictures_that_can_be_read(folder):
    used, given, copies = write_picture_votes(folder / "pictures", folder / "votes.csv", folder / "part.parquet", 5.5)
    assert (used, given, copies) == (12, 13, 0)
    table = read_table(folder / "part.parquet")
    assert "text.png" not in table["file"].to_pylist()
    assert set(table["split"].to_pylist()) <= {"train", "validation", "test"}
    training = open_training_set([StampFiles(folder / "part.parquet", folder / "part.npy")], needs_rows=False)
    assert training.columns["bar_yes_votes"].tolist() == [2.5] * 12
    assert training.columns["edge_on_yes_votes"].tolist() == [0.0] * 12
    assert np.isnan(training.columns["bar_strength"]).all()


def test_of_several_tables_in_a_file_the_one_that_names_pictures_is_taken(folder):
    tables = [Table({"x": [1]}), Table.read(folder / "votes.csv")]
    hdus = [fits.PrimaryHDU(), *map(fits.table_to_hdu, tables)]
    fits.HDUList(hdus).writeto(folder / "votes.fits")
    used, given, _ = write_picture_votes(folder / "pictures", folder / "votes.fits", folder / "part.parquet", 5.5)
    assert (used, given) == (12, 13)


def test_pictures_are_read_in_batches_to_the_same_part(folder, monkeypatch):
    write_picture_votes(folder / "pictures", folder / "votes.csv", folder / "whole.parquet", 5.5)
    monkeypatch.setattr(votes_module, "PICTURES_IN_MEMORY", 5)
    write_picture_votes(folder / "pictures", folder / "votes.csv", folder / "batches.parquet", 5.5)
    assert read_table(folder / "whole.parquet").equals(read_table(folder / "batches.parquet"))
    np.testing.assert_array_equal(np.load(folder / "whole.npy"), np.load(folder / "batches.npy"))
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["pictures"]


def test_the_split_of_a_picture_does_not_depend_on_the_others(folder):
    write_picture_votes(folder / "pictures", folder / "votes.csv", folder / "all.parquet", 5.5)
    pd.read_csv(folder / "votes.csv").iloc[5:].to_csv(folder / "fewer.csv", index=False)
    write_picture_votes(folder / "pictures", folder / "fewer.csv", folder / "fewer.parquet", 5.5)
    everything, fewer = (
        read_table(folder / f"{name}.parquet").to_pandas().set_index("file")["split"] for name in ("all", "fewer")
    )
    assert (everything[fewer.index] == fewer).all()


def test_pictures_are_not_drawn_as_pictures_a_second_time(folder):
    write_picture_votes(folder / "pictures", folder / "votes.csv", folder / "part.parquet", 5.5)
    part = StampFiles(folder / "part.parquet", folder / "part.npy")
    training = open_training_set([part], needs_rows=False)
    object.__setattr__(training, "pictures", 1.0)
    rows = np.arange(12)
    scale = []
    training.batch(rows, lambda columns, turns: scale.append(columns["pixel_scale"]) or {}, np.random.default_rng(0))
    np.testing.assert_allclose(scale[0], read_table(part.table)["pixel_scale"].to_numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="file"), "needed are file"),
        (lambda t: t[["file"]], "at least one of"),
        (lambda t: t.assign(bar_yes_votes=-1), "row 1: bar_yes_votes is -1; expected a number of votes"),
        (lambda t: t.assign(bar_yes_votes=["many", *[1] * 12]), "row 1: bar_yes_votes is many"),
        (lambda t: t.assign(file="../" + t["file"]), "names without a folder"),
        (lambda t: t.iloc[:1].assign(file="missing.png"), "none of 1 pictures"),
        (lambda t: t.iloc[:0], "no rows; expected one for each picture"),
        (lambda t: t.iloc[[0, 1, 0]], "row 3: galaxy-0.png is in the table already"),
        (
            lambda t: t.assign(bar_yes_votes=1e300),
            r"row 1: bar_yes_votes is 1e\+300; expected a number of votes from 0 to",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_fault(folder, change, message):
    change(pd.read_csv(folder / "votes.csv")).to_csv(folder / "bad.csv", index=False)
    with pytest.raises(InputError, match=message):
        write_picture_votes(folder / "pictures", folder / "bad.csv", folder / "part.parquet", 5.5)


def test_copies_without_a_smooth_galaxy_and_names_that_cannot_be_written_are_refused(folder):
    pd.read_csv(folder / "votes.csv")[["file", "bar_yes_votes"]].to_csv(folder / "bars.csv", index=False)
    with pytest.raises(
        InputError, match="--bars 3: no galaxy to copy: most people call none of the 12 pictures smooth"
    ):
        write_picture_votes(folder / "pictures", folder / "bars.csv", folder / "part.parquet", 5.5, bars=3)
    assert not (folder / "part.npy").exists()
    (folder / "part.npy").mkdir()
    with pytest.raises(InputError, match=r"part\.npy: cannot be written, since it is a folder"):
        write_picture_votes(folder / "pictures", folder / "votes.csv", folder / "part.parquet", 5.5)
    write_picture_votes(folder / "pictures", folder / "votes.csv", folder / "new" / "part.parquet", 5.5)
    assert (folder / "new" / "part.npy").is_file()


def test_copies_of_smooth_galaxies_have_the_bar_that_their_row_tells(folder):
    _, _, copies = write_picture_votes(folder / "pictures", folder / "votes.csv", folder / "part.parquet", 5.5, bars=2)
    assert copies == 24
    table, pixels = read_table(folder / "part.parquet").to_pandas(), np.load(folder / "part.npy")
    assert (table["bar_strength"][:12] == 0).all()
    assert (table["bar_yes_votes"][12:] == 0).all()
    assert (table["split"][12:].to_numpy() == np.repeat(table["split"][:12].to_numpy(), 2)).all()
    y, x = np.indices(pixels.shape[-2:]) - pixels.shape[-1] // 2
    original = dict(zip(table["file"][:12], pixels[:12, 0, 0], strict=True))
    for row in range(12, 36):
        added = pixels[row, 0, 0] - original[table["file"][row]]
        share = added.sum() / original[table["file"][row]][np.hypot(x, y) < 30].clip(0).sum()
        assert share == pytest.approx(table["bar_strength"][row] / (1 - table["bar_strength"][row]), rel=0.1)
        angle = np.deg2rad(90 + table["bar_position_angle"][row])
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        assert (added * along**2).sum() > (added * across**2).sum()
        on_axis = added[np.abs(across) < 1]
        inside = np.abs(along[np.abs(across) < 1]) < table["bar_length"][row] / table["pixel_scale"][row] / 2
        assert on_axis[inside].sum() > 0.8 * on_axis.sum()
    training = open_training_set([StampFiles(folder / "part.parquet", folder / "part.npy")], needs_rows=False)
    assert np.isfinite(training.columns["bar_length"]).sum() == 24


def test_the_answers_of_networks_are_corrected_towards_those_of_people(tmp_path):
    # To the untrained network all pictures are alike; people call nine in ten smooth.
    (tmp_path / "pictures").mkdir()
    names = [f"galaxy-{number}.png" for number in range(80)]
    for number, name in enumerate(names):
        draw(tmp_path / "pictures" / name, sigma=5 + number % 7, size=64)
    smooth = np.arange(80) % 10 > 0
    votes = {
        "smooth_or_featured_smooth_votes": np.where(smooth, 19, 3),
        "smooth_or_featured_featured_votes": np.where(smooth, 1, 17),
    }
    pd.DataFrame({"file": names, **votes}).to_csv(tmp_path / "votes.csv", index=False)
    write_picture_votes(tmp_path / "pictures", tmp_path / "votes.csv", tmp_path / "people.parquet", None)
    table = read_table(tmp_path / "people.parquet")
    split = pa.array(np.where(np.arange(table.num_rows) < 60, "validation", "test").tolist())
    table = table.set_column(table.column_names.index("split"), "split", split)
    write_table(tmp_path / "people.parquet", table, bands=["r"], reference_band="r")
    ensemble = load_ensemble([one_band_morphology(tmp_path, ["r"], seed=5)], "morphology")
    corrections, figures = learn_picture_votes(tmp_path / "people.parquet", ensemble)
    assert {name for name, entry in corrections.items() if entry.applied} == {"smooth_or_featured"}
    assert corrections["smooth_or_featured"].learned_from == "volunteers"
    expected = corrected(np.array([[1.0, 1.0, 1.0]]), corrections["smooth_or_featured"].correction)[0]
    assert expected[0] > expected[1] > expected[2]
    assert figures["n"] == 20
    assert figures["balanced_accuracy"] >= figures["balanced_accuracy_uncorrected"]

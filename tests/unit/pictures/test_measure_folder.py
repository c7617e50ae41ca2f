"""tuningfork measure-folder: a row for every file, and lengths that a turn of the picture does not change."""

import json
import os
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from helpers.small_networks import one_band_morphology
from PIL import Image

from tuningfork.cli import main
from tuningfork.core.calibration_file import write_calibration
from tuningfork.core.config import validate
from tuningfork.core.description import describe
from tuningfork.core.flags import Flag
from tuningfork.measure.bars.calibration import uncalibrated
from tuningfork.networks.compact import compact_card
from tuningfork.networks.ensemble import load_ensemble
from tuningfork.networks.model_file import read_card
from tuningfork.pictures.calibrate import BARRED_ALONE, calibrate_pictures
from tuningfork.pictures.calibration import PICTURE_RECIPE
from tuningfork.pictures.gallery import draw_gallery
from tuningfork.pictures.measure import PictureSettings, calibration_of
from tuningfork.pictures.shown import warnings_of
from tuningfork.stamps.picture.stretch import UNKNOWN_STRETCH, USUAL_STRETCHES

SIDE = 160
SURVEYS = Path(__file__).resolve().parents[3] / "config" / "surveys"
ESTIMATORS = ("direct", "mask", "saliency", "fourier")


@pytest.fixture(scope="module")
def card(tmp_path_factory) -> Path:
    """Return the card of an untrained network that reads one band; to this one, everything is a spiral."""
    return one_band_morphology(tmp_path_factory.mktemp("models"), ["r"], seed=5)


def barred_galaxy(side: int = SIDE, seed: int = 0) -> np.ndarray:
    """Return an 8-bit picture of a disc with a bar at 30 deg from upward, counter-clockwise; row 0 at the top."""
    y, x = np.indices((side, side)) - (side - 1) / 2
    x, y = x / side * 160, -y / side * 160
    theta = np.deg2rad(30)
    along, across = y * np.cos(theta) - x * np.sin(theta), x * np.cos(theta) + y * np.sin(theta)
    light = 0.5 * np.exp(-np.hypot(x, y) / 12) + 0.7 * np.exp(-((along / 12) ** 4) - (across / 3) ** 2)
    light += 0.03 + np.random.default_rng(seed).normal(0, 0.01, light.shape)
    return np.round(255 * np.clip(np.arcsinh(8 * light.clip(0)) / 8, 0, 1)).astype(np.uint8)


def run(folder: Path, out: Path, card: Path, *options: str) -> pd.DataFrame:
    main(["measure-folder", str(folder), "--out", str(out), "--models", str(card), "--saliency-samples", "2", *options])
    table = pd.read_parquet(out) if out.suffix == ".parquet" else pd.read_csv(out)
    return table.set_index("file", drop=False)


@pytest.fixture(scope="module")
def measured(tmp_path_factory, card) -> tuple[Path, pd.DataFrame]:
    """Return the output and the rows of a folder of good and bad files."""
    folder = tmp_path_factory.mktemp("pictures")
    picture = barred_galaxy()
    Image.fromarray(picture).save(folder / "galaxy.png")
    Image.fromarray(np.rot90(picture)).save(folder / "turned.png")
    Image.fromarray(barred_galaxy(2 * SIDE)).save(folder / "twice.png")
    Image.fromarray(picture).convert("RGB").save(folder / "galaxy.jpg", quality=90)
    (folder / "cut.jpg").write_bytes((folder / "galaxy.jpg").read_bytes()[:900])
    (folder / "notes.txt").write_text("not a picture")
    (folder / "$empty$.png").write_bytes(b"")
    Image.fromarray(np.zeros((40, 30), np.uint8)).save(folder / "black.png")
    Image.fromarray(picture[76:84, 76:84]).save(folder / "tiny.png")
    (folder / "more").mkdir()
    Image.fromarray(picture).save(folder / "more" / "inside.png")
    out = folder / "table.parquet"
    return out, run(folder, out, card, "--gallery", str(folder / "gallery.png"))


def test_every_file_is_a_row_and_sub_folders_are_not_entered(measured) -> None:
    _, rows = measured
    files = ["$empty$.png", "black.png", "cut.jpg", "galaxy.jpg", "galaxy.png", "notes.txt", "tiny.png", "turned.png"]
    assert list(rows.index) == [*files, "twice.png"]
    for name in ("$empty$.png", "cut.jpg", "notes.txt"):
        assert rows.loc[name, "flags"] == Flag.BAD_TILE
        assert rows.loc[name, "reason"]
    assert rows.loc["black.png", "flags"] == Flag.NO_SIGNAL
    good = rows.loc[["galaxy.jpg", "galaxy.png", "turned.png", "twice.png"]]
    assert (good["reason"] == "").all()
    numbers = (
        "bar_length_pixels",
        "bar_length_scaled",
        "bar_position_angle",
        "bar_vote_share",
        "bar_length_pixels_error",
    )
    assert np.isfinite(good[[*numbers, "bar_length_scaled_error", "r50", "r90", "psf_fwhm"]].to_numpy(float)).all()
    assert rows.loc[["$empty$.png", "black.png"], list(numbers)].isna().all(axis=None)


def test_a_turn_of_the_picture_turns_the_angle_and_keeps_the_length(measured) -> None:
    _, rows = measured
    one, turned = rows.loc["galaxy.png"], rows.loc["turned.png"]
    for name in ("bar_length_pixels", "bar_length_scaled", "bar_yes_fraction", "r90"):
        assert turned[name] == pytest.approx(one[name], rel=0.01)
    off = (turned["bar_position_angle"] - one["bar_position_angle"] - 90 + 90) % 180 - 90
    assert abs(off) < 3


def test_lengths_are_in_pixels_of_the_picture(measured) -> None:
    _, rows = measured
    one, twice = rows.loc["galaxy.png"], rows.loc["twice.png"]
    assert twice["r90"] == pytest.approx(2 * one["r90"], rel=0.1)
    assert twice["bar_length_pixels"] == pytest.approx(2 * one["bar_length_pixels"], rel=0.2)
    assert twice["bar_length_scaled"] == pytest.approx(one["bar_length_scaled"], rel=0.2)
    assert (one["x"], one["y"]) == pytest.approx((SIDE / 2, SIDE / 2), abs=0.5)


def test_the_light_of_the_bar_is_measured_where_it_was_drawn(measured) -> None:
    _, rows = measured
    # The bar falls to a half 11 px from the centre on either side; in a picture that is read with a lower Q than it was
    # drawn with, everything falls more slowly.
    assert rows.loc["galaxy.png", "bar_length_fourier_pixels"] == pytest.approx(28, rel=0.35)


def test_what_the_networks_take_for_an_artifact_gets_a_reason_and_no_length(tmp_path) -> None:
    sees_artifacts = one_band_morphology(tmp_path, ["r"], seed=7)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(barred_galaxy()).save(tmp_path / "pictures" / "star.png")
    row = run(tmp_path / "pictures", tmp_path / "t.parquet", sees_artifacts).loc["star.png"]
    assert row["morphology"] == "artifact"
    assert "a star or an artifact" in row["reason"]
    assert row["flags"] & Flag.STAR_OR_ARTIFACT
    lengths = [f"bar_length_{name}_pixels" for name in ESTIMATORS]
    others = ("r50", "r90", "bar_length_pixels", "bar_length_scaled", "bar_position_angle", "bar_length_method")
    assert row[[*lengths, *others]].isna().all()
    assert row[["bar_probability", "bar_vote_share", "x", "y", "psf_fwhm"]].notna().all()


def test_columns_have_units_and_descriptions(measured) -> None:
    schema = pq.read_schema(measured[0])
    assert schema.field("bar_length_pixels").metadata[b"unit"] == b"pix"
    assert all(field.metadata[b"description"] for field in schema)
    assert json.loads(schema.metadata[b"tuningfork.stretch"]) is None
    assert set(pd.read_parquet(measured[0])["stretch"].dropna()) <= {UNKNOWN_STRETCH, *(q for _, q in USUAL_STRETCHES)}


def test_the_gallery_shows_the_pictures_that_were_measured(measured) -> None:
    with Image.open(measured[0].with_name("gallery.png")) as gallery:
        assert gallery.width > 400


def test_the_page_shows_every_bar_where_it_is_and_says_in_words_what_was_measured(measured, tmp_path) -> None:
    out, rows = measured
    table, files = pq.read_table(out), [out.parent / name for name in rows.index]
    (tmp_path / "page").mkdir()
    page = tmp_path / "page" / "gallery.html"
    number = draw_gallery(files, table, page)
    text = page.read_text()
    assert number == text.count("<figure>") == text.count('class="edge"') == rows["bar_length_pixels"].notna().sum()
    one = rows.loc["galaxy.png"]
    name = "barred spiral" if one["morphology"] == "barred_spiral" else one["morphology"].replace("_", " ")
    sure, length, error = 100 * one["bar_probability"], one["bar_length_pixels"], one["bar_length_pixels_error"]
    facts = (f"{name}, bar {sure:.0f} %", f"length {length:.0f} ± {error:.0f} px")
    assert all(f"<span>{fact}" in text for fact in facts)
    # Who cannot see the picture hears the same; who has no mouse reaches its file by the keyboard.
    (alt,) = re.findall(r'alt="(Picture galaxy\.png with the outline of the bar: [^"]*)"', text)
    assert all(fact in alt for fact in facts)
    links = [page.parent / unquote(link) for link in re.findall(r'<a class="stamp" href="([^"]*)"', text)]
    assert len(links) == number
    assert all(link.exists() for link in links)
    # SVG turns clockwise from the x axis.
    turns = [float(turn) for turn in re.findall(r"rotate\(([-\d.]+)\)", text)]
    shown = rows[rows["bar_length_pixels"].notna()]
    assert turns == pytest.approx((-90 - shown["bar_position_angle"]).tolist(), abs=0.01)
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)


@pytest.mark.skipif(sys.platform != "linux", reason="names need not be UTF-8 there only")
def test_names_of_files_are_text_in_the_gallery_and_no_markup(card, tmp_path, capsys) -> None:
    folder, page = tmp_path / "pictures", tmp_path / "new" / "gallery.html"
    folder.mkdir()
    Image.fromarray(barred_galaxy()).save(tmp_path / "galaxy.png")
    hostile = (
        b"<script>alert(1)<\\script>",
        b'"\'onerror=alert(1) x="',
        b"javascript:alert(1)",
        b"\xff",
        b"{{7*7}}#?%41&amp;",
    )
    for name in hostile:
        (folder / os.fsdecode(name + b".png")).write_bytes((tmp_path / "galaxy.png").read_bytes())
    rows = run(folder, tmp_path / "table.csv", card, "--gallery", str(page))
    text = page.read_text()
    links = [page.parent / os.fsdecode(unquote_to_bytes(link)) for link in re.findall(r'"stamp" href="([^"]*)"', text)]
    assert len(rows) == len(links) == len(hostile)
    assert all(link.is_file() for link in links)
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, attributes))
    parser.feed(text)
    assert "script" not in {tag for tag, _ in tags}
    assert not any(
        name.startswith("on") or str(value).startswith("javascript") for _, pairs in tags for name, value in pairs
    )
    assert "{{7*7}}#?%41&amp;amp;.png</strong>" in text
    for path in folder.iterdir():
        path.write_bytes(b"")
    run(folder, tmp_path / "table.csv", card, "--gallery", str(page))
    assert "no picture to show; the file of this name is of an earlier run" in capsys.readouterr().out


def test_a_psf_too_wide_for_the_galaxy_is_flagged_with_the_length_below_which_nothing_is_meant(
    measured, tmp_path, card, capsys
) -> None:
    Image.fromarray(barred_galaxy()).save(tmp_path / "galaxy.png")
    half_light = measured[1].loc["galaxy.png", "r50"]
    for factor, flagged in ((0.6, False), (0.9, True)):
        width = f"{factor * half_light:.3f}"
        one = run(tmp_path, tmp_path / "t.csv", card, "--psf-fwhm", width).loc["galaxy.png"]
        assert bool(one["flags"] & Flag.PSF_TOO_WIDE) == flagged
        said = f"lengths below {1.8 * half_light:.0f} px mean nothing"
        assert (said in str(one["reason"])) == (said in "; ".join(warnings_of(one))) == flagged
        assert ("too wide for short bars on 1" in capsys.readouterr().out) == flagged


def test_a_calibration_makes_the_recommended_length(tmp_path, card, measured) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    Image.fromarray(barred_galaxy()).save(folder / "galaxy.png")
    plain = uncalibrated()
    direct = replace(plain.lengths["direct"], intercept=float(np.log(2)))
    doubled = replace(plain, lengths=plain.lengths | {"direct": direct})
    calibration = tmp_path / "calibration.json"
    write_calibration(calibration, PICTURE_RECIPE, doubled, {}, networks=["other"])
    out = tmp_path / "table.csv"
    with pytest.raises(SystemExit, match=r"made with other networks; .* tuningfork calibrate-pictures --models"):
        run(folder, out, card, "--calibration", str(calibration))
    networks = [read_card(card)["weights_sha256"]]
    write_calibration(calibration, PICTURE_RECIPE, doubled, {}, networks=networks)
    rows = run(folder, out, card, "--calibration", str(calibration))
    length = measured[1].loc["galaxy.png", "bar_length_pixels"]
    assert rows.loc["galaxy.png", "bar_length_pixels"] == pytest.approx(2 * length, rel=1e-3)


def test_the_shipped_calibration_is_that_of_the_shipped_network() -> None:
    ensemble = load_ensemble([compact_card("morphology")], "morphology")
    assert calibration_of(PictureSettings(), ensemble).combination.n > 100


def test_a_calibration_learned_on_drawn_pictures_can_be_used(card) -> None:
    values = {"survey": {"simulated": {"bands": ["r"]}}, "saliency": {"samples": 1}}
    configuration = validate(values | {"simulate": {"population": {"classes": BARRED_ALONE}}})
    ensemble = load_ensemble([card], "morphology")
    path = card.with_name("calibration.json")
    figures = calibrate_pictures(12, ensemble, configuration, describe(configuration, SURVEYS), path)
    assert figures["recommended"]["n"] <= 12
    again = calibration_of(PictureSettings(models=(card,), calibration=path), ensemble)
    assert set(again.lengths) == set(ESTIMATORS)


def test_the_command_makes_a_calibration_that_measure_folder_takes(tmp_path, card, capsys) -> None:
    calibration = tmp_path / "new" / "calibration.json"
    main(["calibrate-pictures", "--models", str(card), "--out", str(calibration), "--galaxies", "10"])
    printed = capsys.readouterr().out
    assert "recommended" in printed
    assert f"{calibration}: learned from 10 galaxies" in printed
    assert json.loads(calibration.read_text())["networks"] == [read_card(card)["weights_sha256"]]
    Image.fromarray(barred_galaxy()).save(tmp_path / "galaxy.png")
    rows = run(tmp_path, tmp_path / "t.csv", card, "--calibration", str(calibration))
    assert rows.loc["galaxy.png", "bar_length_pixels"] > 0


def test_a_calibration_of_too_few_galaxies_is_refused(tmp_path, card) -> None:
    with pytest.raises(SystemExit, match="--galaxies 3: expected a number from 10"):
        main(["calibrate-pictures", "--models", str(card), "--out", str(tmp_path / "c.json"), "--galaxies", "3"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "table.txt"], "ends in .parquet or .csv"),
        (["--out", "t.csv", "--stretch", "-1"], "--stretch -1: expected a number from 0 to 50"),
        (["--out", "t.csv", "--gallery", "g.gif"], "--gallery g.gif: expected a name that ends in .html, .png"),
        (["--out", "t.csv", "--models", "none.json"], "none.json: no such model card"),
    ],
)
def test_wrong_options_end_with_one_sentence(options, words, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(SystemExit) as caught:
        main(["measure-folder", ".", *options])
    assert words in str(caught.value)


def test_folders_and_networks_that_cannot_serve_are_refused(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    out = str(tmp_path / "t.csv")
    for folder, words in (("empty", "no files in it"), ("nowhere", "not a folder that can be read")):
        with pytest.raises(SystemExit, match=words):
            main(["measure-folder", str(tmp_path / folder), "--out", out])
    colours = one_band_morphology(tmp_path, ["g", "r", "i"])
    with pytest.raises(SystemExit, match="single band"):
        main(["measure-folder", str(tmp_path), "--out", out, "--models", str(colours)])


def test_real_pictures_are_measured(tmp_path, card) -> None:
    root = os.environ.get("TUNINGFORK_REAL_DATA")
    if not root:
        pytest.skip("TUNINGFORK_REAL_DATA names no folder of real data")
    folder = tmp_path / "real"
    folder.mkdir()
    for name in ("gz1_stamps", "decals_rings"):
        for path in sorted((Path(root) / name / "images").iterdir())[::100]:
            (folder / path.name).symlink_to(path)
    rows = run(folder, tmp_path / "table.parquet", card)
    assert len(rows) >= 10
    assert rows["bar_length_pixels"].notna().mean() > 0.9
    sdss = rows[rows["file"].str.len() < 23]
    # These were scaled by the galaxies' Petrosian radii when they were made.
    assert np.nanstd(np.log(sdss["r90"])) < 0.3

"""The user's own images: what is read, what is refused, and that no source is lost."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from helpers.folder_runs import ORDER, check, run, shards, values_of, write_bands
from helpers.frozen import ROOT, parameters
from helpers.small_images import header_at, pixels
from PIL import Image as Picture

from tuningfork.core.config import validate
from tuningfork.core.config.sources import TableCatalogue
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import describe
from tuningfork.core.errors import ConfigurationError
from tuningfork.core.files import open_array
from tuningfork.core.flags import decode
from tuningfork.core.tables import read_table
from tuningfork.sky.shards import Shard
from tuningfork.stamps.shard import cut_shard
from tuningfork.surveys.area import shards_of
from tuningfork.surveys.jobs import fetch_tiles, list_sources
from tuningfork.surveys.lists.sources.table import UserTable

BANDS = ["g", "r", "i"]


def flags_of(rows: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    return {key: decode(row["flags"]) for key, row in rows.items()}


def test_without_a_table_every_image_is_a_galaxy_at_its_centre(tmp_path: Path) -> None:
    write_bands(tmp_path / "images", "ngc1", 10.0, 20.0)
    write_bands(tmp_path / "images", "ngc2", 200.0, -20.0)
    rows, stamps, _ = run(tmp_path)
    assert flags_of(rows) == {"0/ngc1": ["PADDED"], "1/ngc2": ["PADDED"]}
    row = rows["0/ngc1"]
    assert (row["ra"], row["dec"]) == pytest.approx((10, 20))
    stamp = stamps[row["row"]]
    assert stamp.shape == (2, 3, 128, 128)
    assert np.unravel_index(stamp[0, 1].argmax(), (128, 128)) == (64, 64)
    assert row["sky_noise_r"] == pytest.approx(0.1, rel=0.1)
    assert np.median(stamp[0, 1][stamp[1, 1] > 0]) == pytest.approx(0, abs=0.05)


def test_sources_on_a_large_tile_come_from_the_table(tmp_path: Path) -> None:
    write_bands(tmp_path / "images", "field", 10.0, 20.0, width=400, height=300, sky=0.0)
    pd.DataFrame(
        {"source_id": [7, 3, 9], "ra": [10.0, 10.005, 11.0], "dec": [20.0, 20.0, 20.0], "radius": [1, 40, 1]}
    ).to_csv(tmp_path / "t.csv", index=False)
    rows, stamps, _ = run(tmp_path, table="t.csv")
    assert sorted(rows) == ["3/", "7/", "9/"]
    assert flags_of(rows)["7/"] == []
    # Six half-light radii of 40 arcsec are more than the image shows.
    assert set(flags_of(rows)["3/"]) == {"NO_SIGNAL", "PADDED"}
    assert flags_of(rows)["9/"] == ["OUTSIDE_TILES"]
    assert not stamps[rows["9/"]["row"]].any()


def test_ids_that_are_words_become_names_and_doubles_are_kept(tmp_path: Path) -> None:
    write_bands(tmp_path / "images", "field", 10.0, 20.0, width=300, height=300)
    pd.DataFrame({"source_id": ["a", "b", "a"], "ra": [10.0] * 3, "dec": [20.0] * 3}).to_parquet(tmp_path / "t.parquet")
    rows, _, _ = run(tmp_path, table="t.parquet")
    assert flags_of(rows) == {"0/a": ["DUPLICATE_ID"], "1/b": [], "2/a": ["DUPLICATE_ID"]}


def test_doubled_numbers_are_kept_and_flagged(tmp_path: Path) -> None:
    write_bands(tmp_path / "images", "field", 10.0, 20.0, width=300, height=300)
    frame = pd.DataFrame({"source_id": [5, 4, 5], "name": ["x", "y", "z"], "ra": [10.0] * 3, "dec": [20.0] * 3})
    Table.from_pandas(frame).write(tmp_path / "t.fits")
    rows, _, _ = run(tmp_path, table="t.fits")
    assert flags_of(rows) == {"4/y": [], "5/x": ["DUPLICATE_ID"], "5/z": ["DUPLICATE_ID"]}


def test_rows_without_a_possible_position_belong_to_the_first_shard(tmp_path: Path) -> None:
    write_bands(tmp_path / "images", "field", 10.0, 20.0, width=300, height=300)
    frame = pd.DataFrame(
        {"source_id": [1, 2, 3, 4], "ra": [10.0, np.nan, 20.0, 200.0], "dec": [20.0, 5.0, 95.0, -40.0]}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    rows, _, _ = run(tmp_path, table="t.csv")
    assert len(rows) == 4
    assert flags_of(rows)["2/"] == flags_of(rows)["3/"] == ["NO_POSITION"]
    first = shards(tmp_path, "t.csv")[0].name
    assert rows["2/"]["shard"] == rows["3/"]["shard"] == first
    assert rows["3/"]["dec"] is None


def test_without_any_position_there_is_still_a_shard(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Picture.fromarray(np.full((64, 64, 3), 9, dtype=np.uint8)).save(tmp_path / "images" / "a.png")
    assert shards(tmp_path) == [Shard(ORDER, 0)]


def test_pictures_are_measured_without_a_position(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    image = np.random.default_rng(1).integers(5, 12, (100, 100, 3)).astype(np.uint8)
    image[46:54, 46:54] = [[[250, 150, 50]]]  # red 250, green 150, blue 50
    image[10, 50] = 255  # near the top
    Picture.fromarray(image).save(tmp_path / "images" / "my galaxy.png")
    rows, stamps, manifest = run(tmp_path, pixel_scale=0.396)
    assert flags_of(rows) == {"0/my_galaxy": ["NO_POSITION", "PADDED"]}
    peak = stamps[0, 0, :, 64, 64]
    assert peak == pytest.approx([42, 142, 242], abs=2)  # g is blue, i is red; the sky of about 8 is taken off
    assert stamps[0, 0, 1, 64 + 39].max() > 200  # top is +y
    assert {row["status"] for row in manifest} == {"ok"}


def test_a_table_of_files_gives_pictures_their_positions(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Picture.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8)).save(
            tmp_path / "images" / name
        )
    frame = pd.DataFrame(
        {"name": ["A", "B", "C"], "file": ["a.jpg", "images/b", "c.jpg"], "ra": [1.0, 2.0, 3.0], "dec": [0.5] * 3}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    rows, _, manifest = run(tmp_path, table="t.csv", pixel_scale=0.262)
    assert "PADDED" in flags_of(rows)["0/A"]
    assert "PADDED" in flags_of(rows)["1/B"]
    assert flags_of(rows)["2/C"] == ["BAD_TILE"]
    assert rows["0/A"]["ra"] == 1.0
    assert rows["0/A"]["pixel_scale"] == pytest.approx(0.262, rel=1e-4)
    assert (rows["0/A"]["north_angle"], rows["0/A"]["east_is_left"]) == (pytest.approx(0, abs=1e-3), True)
    assert next(row["reason"] for row in manifest if row["tile"] == "c").startswith(
        "no file of the image c in this band"
    )


def test_unreadable_images_are_rows_with_a_reason(tmp_path: Path) -> None:
    write_bands(tmp_path / "images", "good", 10.0, 20.0)
    write_bands(tmp_path / "images", "short", 10.1, 20.0)
    for band in BANDS:
        path = tmp_path / "images" / f"short-{band}.fits"
        path.write_bytes(path.read_bytes()[:5000])
    (tmp_path / "images" / "html.fits").write_text("<html>not here</html>")
    (tmp_path / "images" / "cut.fits.gz").write_bytes(
        gzip.compress((tmp_path / "images" / "good-r.fits").read_bytes())[:900]
    )
    (tmp_path / "images" / "noise.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    (tmp_path / "images" / "empty.fits").write_bytes(b"")
    rows, _, manifest = run(tmp_path)
    bad = {"cut", "empty", "html", "noise", "short"}
    assert {key.split("/")[1]: "BAD_TILE" in names for key, names in flags_of(rows).items()} == {
        name: name in bad for name in bad | {"good"}
    }
    for row in manifest:
        assert (row["status"] == "ok") is (row["tile"] == "good")
        assert row["status"] == "ok" or "not a readable image" in row["reason"]


def test_a_truncated_download_of_a_real_survey(tmp_path: Path, real_data: Path) -> None:
    (tmp_path / "images").mkdir()
    origin = real_data / "decals_fits" / "zooniverse_decals"
    (tmp_path / "images" / "a.fits").symlink_to(origin / "example_incomplete_TRUNCATED.fits")
    (tmp_path / "images" / "b.fits.gz").symlink_to(origin / "example_d.fits.gz")
    rows, _, manifest = run(tmp_path, bands=["g", "r", "z"])
    assert flags_of(rows) == {"0/a": ["BAD_TILE"], "1/b": []}
    assert rows["0/a"]["ra"] == pytest.approx(18.066, abs=0.01)
    assert "not a readable image" in manifest[0]["reason"]


def test_a_missing_band_is_flagged(tmp_path: Path) -> None:
    write_bands(tmp_path / "images", "a", 10.0, 20.0, bands="ri", width=200, height=200)
    rows, stamps, manifest = run(tmp_path)
    assert flags_of(rows) == {"0/a": ["MISSING_BAND"]}
    assert not stamps[0, :, 0].any()
    assert [row["status"] for row in manifest] == ["missing", "ok", "ok"]


def test_a_wrong_wcs_is_not_trusted_blindly(tmp_path: Path, real_data: Path) -> None:
    """The SDSS crops of this galaxy carry a WCS that is wrong by 346 arcsec: its row must say so."""
    (tmp_path / "images").mkdir()
    for band in BANDS:
        name = f"SDSS_{band}.fits.gz"
        (tmp_path / "images" / name).symlink_to(real_data / "three_surveys_one_galaxy" / name)
    pd.DataFrame({"file": ["SDSS"], "ra": [27.9521], "dec": [0.2638]}).to_csv(tmp_path / "t.csv", index=False)
    rows, _, _ = run(tmp_path, table="t.csv")
    assert flags_of(rows) == {"0/": ["OUTSIDE_TILES"]}


def test_real_stamps_of_two_surveys(tmp_path: Path, real_data: Path) -> None:
    (tmp_path / "images").mkdir()
    for band in BANDS:
        efigi = real_data / "efigi_sdss_fits" / f"img-{band}" / f"PGC0000212_{band}.fits.gz"
        (tmp_path / "images" / efigi.name).symlink_to(efigi)
        des = real_data / "three_surveys_one_galaxy" / f"DES_{band}.fits.gz"
        (tmp_path / "images" / des.name).symlink_to(des)
    rows, stamps, _ = run(tmp_path)
    assert flags_of(rows) == {"0/DES": [], "1/PGC0000212": []}
    assert rows["1/PGC0000212"]["pixel_scale"] == pytest.approx(0.6776, abs=0.001)
    row = rows["0/DES"]
    assert row["east_is_left"] is False
    # The image spans 63 arcsec, and DES and Pan-STARRS agree on a half-light radius of 9.6 arcsec.
    assert row["pixel_scale"] == pytest.approx(6 * 9.6 / 128, rel=0.05)
    assert 3.5 < row["sky_noise_r"] < 4.5 * row["pixel_scale"] / 0.263  # the edges of the image scatter by 3.8
    assert stamps[row["row"], 0, 1, 54:74, 54:74].sum() > 100 * 20 * row["sky_noise_r"]


@pytest.mark.parametrize("ending", ["csv", "parquet", "fits", "vot", "tsv"])
def test_tables_of_every_format(tmp_path: Path, ending: str) -> None:
    frame = pd.DataFrame({"ID": [2**60 + 1, 5], "RAJ2000": [1.5, 2.5], "DEJ2000": [-1.0, 0.0], "Name": ["x", "y"]})
    path = tmp_path / f"t.{ending}"
    if ending == "parquet":
        frame.to_parquet(path)
    elif ending in {"csv", "tsv"}:
        frame.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    else:
        Table.from_pandas(frame).write(path, format="votable" if ending == "vot" else "fits")
    table = UserTable(TableCatalogue(path=str(path)))
    found = [row for shard in table.shards(ORDER) for row in table.sources(shard).to_pylist()]
    assert {row["source_id"]: (row["ra"], row["dec"], row["name"], row["flags"]) for row in found} == {
        2**60 + 1: (1.5, -1.0, "x", 0),
        5: (2.5, 0.0, "y", 0),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2\n", r"t\.csv has the columns x, y; expected ra and dec \(deg\), or file"),
        ("ra,dec\n12:34:56,1\n", r"t\.csv: row 1: ra is '12:34:56'; expected degrees \(188\.73"),
        ("", r"t\.csv: not a readable table"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_before_any_job(tmp_path: Path, text: str, message: str) -> None:
    write_bands(tmp_path / "images", "a", 10.0, 20.0)
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ConfigurationError, match=f"sources.catalogue.path: .*{message}"):
        check(tmp_path, "t.csv")


def test_missing_files_and_folders_are_refused_before_any_job(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"survey\.folder\.images: .*no such folder"):
        check(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(ConfigurationError, match="holds no FITS, PNG or JPEG image"):
        check(tmp_path)
    write_bands(tmp_path / "images", "a", 10.0, 20.0)
    check(tmp_path)
    with pytest.raises(ConfigurationError, match=r"sources\.catalogue\.path: .*no such file"):
        check(tmp_path, "t.csv")
    for name in ("t.parquet", "t.fits", "t.vot"):
        (tmp_path / name).write_text("nothing of the kind")
        with pytest.raises(ConfigurationError, match="not a readable table"):
            check(tmp_path, name)


@pytest.mark.parametrize(
    ("text", "readers"),
    [
        (None, {"sources", "tiles", "stamps"}),
        ("ra,dec\n10,20\n", {"tiles", "stamps"}),
        ("file\na\n", {"sources", "tiles", "stamps"}),
    ],
)
def test_a_changed_image_concerns_exactly_the_stages_that_read_it(
    tmp_path: Path, text: str | None, readers: set[str]
) -> None:
    """A table of positions needs no image to list its sources; images without a table, or named by it, are read for them."""
    write_bands(tmp_path / "images", "a", 10.0, 20.0)
    if text is not None:
        (tmp_path / "t.csv").write_text(text)
    before = check(tmp_path, "t.csv" if text is not None else None)
    write_bands(tmp_path / "images", "a", 10.0, 20.0, width=200)
    after = check(tmp_path, "t.csv" if text is not None else None)
    assert {stage for stage in before if before[stage] != after[stage]} == readers


def test_galaxies_are_detected_on_images_that_reach_over_several_shards(tmp_path: Path) -> None:
    """Through all stages: found on the images, each once, and cut from them."""
    rng = np.random.default_rng(3)
    (tmp_path / "images").mkdir()
    rows, columns = np.indices((300, 300))
    image = rng.normal(10, 0.1, (300, 300))
    places = [(150, 150), (60, 60), (60, 240), (240, 60), (240, 240)]
    for x, y in places:
        image += 5 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 40)
    wcs = header_at(10.0, 20.0, 300, 300)
    for band in BANDS:
        fits.writeto(tmp_path / "images" / f"field-{band}.fits", image.astype(np.float32), wcs)
    Picture.fromarray(np.full((64, 64, 3), 9, dtype=np.uint8)).save(tmp_path / "images" / "nowhere.png")
    catalogue = {"kind": "detection"}
    values = values_of(tmp_path) | {"sources": {"catalogue": catalogue, "mag_max": 22.0}}
    values["sky"]["shard_order"] = 11
    stages = parameters(tmp_path / "params", values)
    configuration = validate(values)
    transfer = Transfer(cache=str(tmp_path / "cache"))
    found = []
    for shard in shards_of(configuration, describe(configuration, ROOT / "config" / "surveys")):
        paths = [tmp_path / f"{shard.name}.{end}" for end in ("s.parquet", "t.parquet", "npy", "parquet")]
        list_sources(parameters=stages["sources"], shard=shard.name, transfer=transfer, output=paths[0])
        fetch_tiles(parameters=stages["tiles"], shard=shard.name, sources=paths[0], transfer=transfer, output=paths[1])
        cut_shard(
            parameters=stages["stamps"],
            shard=shard.name,
            sources=paths[0],
            tiles=paths[1],
            transfer=transfer,
            pixels=paths[2],
            table=paths[3],
        )
        stamps = open_array(paths[2])
        rows_of = zip(read_table(paths[0]).to_pylist(), read_table(paths[3]).to_pylist(), stamps, strict=True)
        for source, row, stamp in rows_of:
            assert row["tile"] == "field"
            assert np.hypot(*(np.array(np.unravel_index(stamp[0, 1].argmax(), (128, 128))) - 64)) < 3
            found.append((source["ra"], source["dec"]))
    x, y = WCS(wcs).all_world2pix(*np.array(found).T, 0)
    assert sorted((round(a), round(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)) == sorted(places)


def test_positions_without_any_wcs_are_refused_before_any_job(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    fits.writeto(tmp_path / "images" / "a.fits", np.stack([pixels()] * 3))
    (tmp_path / "t.csv").write_text("ra,dec\n1,2\n")
    with pytest.raises(ConfigurationError, match=r"none of the 1 images .* has a WCS.*add a column file"):
        check(tmp_path, "t.csv")

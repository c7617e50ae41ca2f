"""The manifest: what is known of a shard's tiles, and what is missing."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tuningfork.cli import main
from tuningfork.core.tables import write_table
from tuningfork.surveys.base import FetchedTile, Tile
from tuningfork.surveys.manifest import fetch_all, read_tiles

GOOD = Tile("good", 1.0, 2.0, ((0.9, 1.9), (1.1, 1.9), (1.1, 2.1), (0.9, 2.1)), (0.9, 1.1, 1.9, 2.1), {"psf": 1.5})
BAD = Tile("bad", np.nan, np.nan)


class SomeSurvey:
    """A survey with one tile that comes, but for one band, and one that does not."""

    def __init__(self, folder: Path) -> None:
        (folder / "one.fits").write_bytes(b"image and weight")
        (folder / "psf.fits").write_bytes(b"psf")

    def fetch(self, tile: Tile) -> FetchedTile:
        if tile.name == "bad":
            return FetchedTile(tile, {}, dict.fromkeys("gr", "HTTP 404"))
        files = {"image": "one.fits", "weight": "one.fits", "psf": "psf.fits"}
        return FetchedTile(tile, {"r": files}, {"g": "HTTP 503"})


@pytest.fixture
def manifest(tmp_path: Path):
    return fetch_all(SomeSurvey(tmp_path), [BAD, GOOD], ["g", "r"], 2, tmp_path.joinpath)


def test_tiles_read_back_as_they_were_fetched(manifest) -> None:
    tiles = read_tiles(manifest)
    assert list(tiles) == ["bad", "good"]
    assert tiles["good"].tile == GOOD
    assert tiles["good"].tile.facts == {"psf": 1.5}
    assert tiles["good"].files == {"r": {"image": "one.fits", "weight": "one.fits", "psf": "psf.fits"}}
    assert tiles["good"].faults == {"g": "HTTP 503"}
    assert tiles["bad"].files == {}
    assert np.isnan(tiles["bad"].tile.ra)


def test_every_file_is_a_row_with_its_checksum_and_every_missing_band_one_with_its_reason(manifest) -> None:
    rows = manifest.to_pylist()
    assert [(row["tile"], row["band"], row["role"], row["status"]) for row in rows] == [
        ("bad", "g", None, "missing"), ("bad", "r", None, "missing"), ("good", "g", None, "missing"),
        ("good", "r", "image", "ok"), ("good", "r", "weight", "ok"), ("good", "r", "psf", "ok"),
    ]  # fmt: skip
    assert rows[2]["reason"] == "HTTP 503"
    assert rows[3]["sha256"] == hashlib.sha256(b"image and weight").hexdigest()
    assert rows[3]["bytes"] == 16


def test_missing_tiles_are_listed_and_asked_for_again(
    manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    (results / "tiles").mkdir(parents=True)
    whole = manifest.filter([row["status"] == "ok" for row in manifest.to_pylist()])
    write_table(results / "tiles" / "8-1.parquet", manifest, {"tiles": "x"})
    write_table(results / "tiles" / "8-2.parquet", whole, {"tiles": "x"})
    main(["missing", "--results", str(results)])
    listing = capsys.readouterr().out
    assert "8-1  good  g  HTTP 503" in listing
    assert "3 images of 2 tiles are missing in 1 shards." in listing
    assert (results / "tiles" / "8-1.parquet").exists()
    main(["missing", "--results", str(results), "--again"])
    assert sorted(path.name for path in (results / "tiles").iterdir()) == ["8-2.parquet"]
    main(["missing", "--results", str(results)])
    assert "No tile is missing." in capsys.readouterr().out


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such folder; give the results of a run"):
        main(["missing", "--results", str(tmp_path)])

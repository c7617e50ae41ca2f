"""What identifies the user's own files: a changed file changes the parameters of the stages that read it."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from helpers.frozen import ROOT
from helpers.small_images import header_at, pixels

from tuningfork.core.config import validate
from tuningfork.core.config.sources import HatsCatalogue
from tuningfork.core.description import describe
from tuningfork.core.stage.parameters import freeze
from tuningfork.surveys.inputs import _listing, inputs_of
from tuningfork.surveys.lists.sources.hats import Hats


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    data = pixels()
    for name in ("a", "b"):
        fits.writeto(folder / f"{name}.fits", data, header_at(10.0, 5.0, data.shape[1], data.shape[0]))
    return folder


def frozen(images: Path) -> dict[str, str]:
    """Return the frozen parameters of each stage, with the digests of the images."""
    configuration = validate(
        {
            "sky": {"footprint": {"kind": "table"}},
            "survey": {"name": "folder", "folder": {"images": str(images), "bands": ["r"]}},
            "sources": {"catalogue": {"kind": "survey"}},
        }
    )
    description = describe(configuration, ROOT / "config" / "surveys")
    return freeze(configuration, description, ROOT, inputs_of(configuration, description))


def test_an_image_of_the_same_size_that_was_written_again_is_measured_again(images: Path) -> None:
    before = frozen(images)
    assert frozen(images) == before
    path = images / "b.fits"
    status = path.stat()
    with fits.open(path, mode="update") as hdus:
        hdus[0].data = hdus[0].data * np.float32(1.1)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert path.stat().st_size == status.st_size
    after = frozen(images)
    changed = {stage for stage in before if before[stage] != after[stage]}
    assert {"sources", "tiles", "stamps"} <= changed
    assert "simulate" not in changed


def test_reading_an_image_or_moving_the_folder_changes_nothing(images: Path) -> None:
    digest = _listing(images.iterdir())
    for path in images.iterdir():
        path.read_bytes()
    assert _listing(images.rename(images.with_name("moved")).iterdir()) == digest


def test_a_partition_of_a_hats_catalogue_of_the_same_size_is_read_again(tmp_path: Path) -> None:
    partition = tmp_path / "dataset" / "Norder=0" / "Dir=0" / "Npix=4.parquet"
    partition.parent.mkdir(parents=True)
    (tmp_path / "hats.properties").write_text("hats_col_ra=ra\nhats_col_dec=dec\n")
    pq.write_table(pa.table({"ra": [10.0], "dec": [5.0]}), partition)
    before = Hats(HatsCatalogue(kind="hats", path=str(tmp_path))).digest()
    status = partition.stat()
    pq.write_table(pa.table({"ra": [10.5], "dec": [5.0]}), partition)
    os.utime(partition, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert partition.stat().st_size == status.st_size
    assert Hats(HatsCatalogue(kind="hats", path=str(tmp_path))).digest() != before

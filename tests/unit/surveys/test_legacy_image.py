"""Coadds of the Legacy Surveys: unpacked by rows, each row of tiles once, and masked."""

import tracemalloc
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import pytest
from helpers.servers.legacy import PACKING, SIZE, pack
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.errors import InputError
from tuningfork.surveys.legacy.image import PackedImage, open_brick

NAME = "1126p222"


def layered(folder: Path, shape: tuple[int, int], header: dict[str, Any] | None = None) -> dict[str, Path]:
    """Write the four files of a band, with its values of each pixel."""
    rng = np.random.default_rng(7)
    keys = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 1.0, "CRPIX1": 1.0, "CRPIX2": 1.0}
    keys |= {"CD1_1": -1e-4, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-4, "BRICKNAM": NAME} | (header or {})
    weight = rng.uniform(1e4, 2e4, shape) * (rng.random(shape) > 0.1)
    layers = {"image": rng.normal(0, 0.01, shape), "invvar": weight, "psfsize": rng.uniform(1, 2, shape)}
    layers["maskbits"] = rng.integers(0, 1 << 17, shape)
    paths = {}
    for role, values in layers.items():
        paths[role] = folder / f"{role}.fits.fz"
        paths[role].write_bytes(pack(values.astype("i4" if role == "maskbits" else "f4"), PACKING[role], keys))
    return paths


@given(st.lists(st.tuples(st.integers(0, 329), st.integers(1, 330)), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_rows_are_the_same_however_they_are_asked_for(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.fits.fz"
    if not path.exists():
        values = np.random.default_rng(1).normal(size=(330, 110)).astype("f4")
        path.write_bytes(pack(values, PACKING["image"], {}))
    whole = fitsio.read(str(path))
    packed = PackedImage(path)
    assert packed.shape == (330, 110)
    for start, height in asked:
        rows = packed.rows(start, start + height)
        assert np.array_equal(rows, whole[start : start + height])
        rows[:] = 0


def test_each_row_of_tiles_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.fits.fz"
    path.write_bytes(pack(np.arange(450 * 60, dtype="f4").reshape(450, 60), "G 60,100; qz 0", {}))
    packed, read = PackedImage(path), []
    inner = packed._read
    monkeypatch.setattr(packed, "_read", lambda start, stop: read.append((start, stop)) or inner(start, stop))
    for start in range(0, 450, 37):
        packed.rows(start, start + 37)
    unpacked = [row for start, stop in read for row in range(start, stop)]
    assert sorted(unpacked) == list(range(450))


def test_a_whole_brick_is_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "image.fits.fz"
    values = np.zeros((SIZE, SIZE), dtype="f4")
    values[1234, 2345] = 7
    path.write_bytes(pack(values, PACKING["image"], {}))
    del values
    packed = PackedImage(path)
    tracemalloc.start()
    total = sum(float(packed.rows(start, start + 100).sum()) for start in range(0, SIZE, 100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == pytest.approx(7, abs=1e-3)
    assert peak < 100 * SIZE * 4 * 5
    assert packed.at(np.array([2345.3, -1.0, np.nan]), np.array([1233.7, 5.0, 5.0])) == pytest.approx(
        [7, np.nan, np.nan], abs=1e-3, nan_ok=True
    )


@pytest.mark.parametrize(("band", "satur", "allmask"), [("g", 2, 5), ("r", 3, 6), ("z", 4, 7), ("i", 14, 15)])
def test_only_the_bits_of_the_band_take_weight_away(tmp_path: Path, band: str, satur: int, allmask: int) -> None:
    paths = layered(tmp_path, (230, 210))
    image = open_brick(paths, NAME, band, 22.5)
    flux, weight = image.rows(30, 205)
    bits = fitsio.read(str(paths["maskbits"]))[30:205]
    given_weight = fitsio.read(str(paths["invvar"]))[30:205]
    bad = (bits >> satur & 1) | (bits >> allmask & 1) | (given_weight <= 0)
    assert np.array_equal(weight, np.where(bad, 0, given_weight))
    assert image.saturated is not None
    assert np.array_equal(image.saturated(30, 205), bits >> satur & 1 == 1)
    assert np.array_equal(flux, fitsio.read(str(paths["image"]))[30:205])
    sizes = fitsio.read(str(paths["psfsize"]))
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0, 209, 40), rng.uniform(0, 229, 40)
    assert np.array_equal(image.psf_fwhm(x, y), sizes[np.rint(y).astype(int), np.rint(x).astype(int)].astype(float))
    assert (image.zero_point, image.shape) == (22.5, (230, 210))


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    paths = layered(tmp_path, (120, 120))
    with pytest.raises(InputError, match=f"expected brick 0001m002, found {NAME}"):
        open_brick(paths, "0001m002", "r", 22.5)
    (tmp_path / "other").mkdir()
    other = layered(tmp_path / "other", (120, 130))
    with pytest.raises(InputError, match=r"psfsize\.fits\.fz: \(120, 130\), but the image has \(120, 120\)"):
        open_brick(paths | {"psfsize": other["psfsize"]}, NAME, "r", 22.5)
    with pytest.raises(InputError, match="no maskbits file"):
        open_brick({role: path for role, path in paths.items() if role != "maskbits"}, NAME, "r", 22.5)
    paths["image"].write_bytes(paths["image"].read_bytes()[:9000])
    with pytest.raises(InputError, match=r"image\.fits\.fz: not a readable FITS image"):
        open_brick(paths, NAME, "r", 22.5).rows(0, 120)

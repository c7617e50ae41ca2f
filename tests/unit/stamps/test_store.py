"""The stamp store: pixels that are not those of the table are refused."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers.stamping import DESCRIPTION, SIZE, build, image

from tuningfork.core.checksums import SAMPLED_ROWS, row_checksums
from tuningfork.core.columns import published
from tuningfork.core.errors import InputError
from tuningfork.core.tables import read_table, write_table
from tuningfork.stamps.store import CHECKSUM_COLUMN, StampFiles, new_stamps, open_store, paired

BANDS = ["g", "r"]


def stored(folder: Path, name: str, seed: int, number: int = 200) -> StampFiles:
    """Write a store of random stamps with the table of the same name."""
    files = StampFiles(folder / f"{name}.parquet", folder / f"{name}.npy")
    rng = np.random.default_rng(seed)
    with new_stamps(files.pixels, (number, 2, len(BANDS), 8, 8)) as store:
        for source in range(number - 1):
            for band in range(len(BANDS)):
                store.write(source, band, rng.normal(size=(2, 8, 8)).astype(np.float32))
        checksums = store.checksums()
    table = pa.table({"source_id": np.arange(number), CHECKSUM_COLUMN: checksums})
    write_table(files.table, table, {"stamps": "same"}, bands=BANDS, reference_band="r")
    return files


def test_a_store_opens_and_its_checksums_are_those_of_the_file(tmp_path: Path) -> None:
    files = stored(tmp_path, "a", 1)
    table, stamps = open_store(files, BANDS, "r")
    assert stamps.shape == (200, 2, 2, 8, 8)
    np.testing.assert_array_equal(row_checksums(stamps), table[CHECKSUM_COLUMN].to_numpy())
    np.testing.assert_array_equal(row_checksums(np.array(stamps)), table[CHECKSUM_COLUMN].to_numpy())
    assert open_store(files, ["r"], "r")[1].shape == (200, 2, 1, 8, 8)


def test_the_checksum_of_a_stamp_follows_what_was_written_last(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    path = tmp_path / "a.npy"
    with new_stamps(path, (3, 2, 1, 9, 9)) as store:
        for _ in range(2):
            store.write(1, 0, rng.normal(size=(2, 9, 9)).astype(np.float32))
        checksums = store.checksums()
    np.testing.assert_array_equal(row_checksums(np.load(path)), checksums)
    assert checksums[0] == checksums[2] != checksums[1]


@pytest.mark.parametrize(
    "change", ["reversed", "foreign", "first two swapped", "planes swapped", "one pixel of the last"]
)
def test_pixels_that_are_not_those_of_the_table_are_refused(tmp_path: Path, change: str) -> None:
    files = stored(tmp_path, "a", 1)
    pixels = np.load(files.pixels)
    if change == "reversed":
        pixels = pixels[::-1]
    elif change == "foreign":
        pixels = np.load(stored(tmp_path, "b", 2).pixels)
    elif change == "first two swapped":
        pixels[[0, 1]] = pixels[[1, 0]]
    elif change == "planes swapped":
        pixels = pixels[:, ::-1]
    else:
        pixels[-1, 1, 1, 7, 7] += 1
    np.save(files.pixels, pixels)
    with pytest.raises(InputError, match=r"a\.npy.*a\.parquet.*checksums differ"):
        open_store(files, BANDS, "r")


def test_a_table_without_checksums_is_accepted(tmp_path: Path) -> None:
    files = stored(tmp_path, "a", 1)
    table = read_table(files.table)
    np.save(files.pixels, np.load(files.pixels)[::-1])
    unknown = pa.nulls(len(table), pa.uint32())
    for changed in (table.drop_columns(CHECKSUM_COLUMN), table.set_column(1, CHECKSUM_COLUMN, unknown)):
        write_table(files.table, changed, bands=BANDS, reference_band="r")
        assert len(open_store(files, BANDS, "r")[1]) == 200


def test_only_some_rows_of_a_large_file_are_compared(tmp_path: Path) -> None:
    files = stored(tmp_path, "a", 1, number=10 * SAMPLED_ROWS)
    pixels = np.load(files.pixels, mmap_mode="r+")
    pixels[1] += 1
    pixels.flush()
    open_store(files, BANDS, "r")
    pixels[0] += 1
    pixels.flush()
    with pytest.raises(InputError, match="row 0"):
        open_store(files, BANDS, "r")


def test_checksums_of_other_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for shape, dtype in (((5, 4, 6, 6), np.float16), ((5, 6, 1), np.uint8), ((5, 7), np.float32)):
        array = rng.integers(0, 200, shape).astype(dtype)
        checksums = row_checksums(array)
        assert checksums.dtype == np.uint32
        assert len(set(checksums.tolist())) == 5
        np.testing.assert_array_equal(row_checksums(array[::-1]), checksums[::-1])
        np.save(tmp_path / "a.npy", array)
        mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
        np.testing.assert_array_equal(row_checksums(mapped), checksums)
        np.testing.assert_array_equal(row_checksums(mapped[2:]), checksums[2:])


def test_cut_stamps_have_checksums_that_are_not_published(tmp_path: Path) -> None:
    tile = {"r": image((100, 100), 50.3, 40.4), "g": image((100, 100), 47.8, 43.9)}
    built = build(tmp_path / "s.npy", {"t": tile}, [10.0, 50.0], [0.0, 0.0])
    assert built.stamps.shape == (2, 2, 2, SIZE, SIZE)
    assert built.table[CHECKSUM_COLUMN] == row_checksums(built.stamps).tolist()
    assert CHECKSUM_COLUMN not in [column.name for column in published(DESCRIPTION.bands)]


def test_tables_and_pixels_come_in_pairs() -> None:
    paths = [Path("a"), Path("b")]
    assert paired(paths, paths)[1] == StampFiles(Path("b"), Path("b"))
    with pytest.raises(InputError, match="2 tables of stamps but 1 files of pixels"):
        paired(paths, paths[:1])


@pytest.mark.parametrize("rows", [199, 201, 0])
def test_a_table_has_as_many_rows_as_its_array_has_stamps(tmp_path: Path, rows: int) -> None:
    files = stored(tmp_path, "a", 1)
    table = read_table(files.table).take(np.arange(rows) % 200)
    write_table(files.table, table, {"stamps": "same"}, bands=BANDS, reference_band="r")
    with pytest.raises(InputError, match=rf"a\.npy: 200 stamps for {rows} rows of .*a\.parquet; delete both"):
        open_store(files, BANDS, "r")


def test_labels_may_have_spare_stamps(tmp_path: Path) -> None:
    files = stored(tmp_path, "a", 1)
    labels = pa.table({"source_id": np.arange(150), "labeller": ["me"] * 150})
    write_table(files.table, labels, {}, bands=BANDS, reference_band="r")
    table, stamps = open_store(files, BANDS, "r")
    assert table.num_rows == 150
    assert len(stamps) == 200


@pytest.mark.parametrize("shape", [(), (200,), (200, 2, 3, 8, 8)])
def test_an_array_of_another_shape_is_no_stamps(tmp_path: Path, shape: tuple[int, ...]) -> None:
    files = stored(tmp_path, "a", 1)
    np.save(files.pixels, np.zeros(shape, np.float32))
    with pytest.raises(InputError, match=r"a\.npy: an array of the shape .* for stamps in 2 bands; delete both"):
        open_store(files, BANDS, "r")


def test_an_empty_file_of_pixels_is_named(tmp_path: Path) -> None:
    files = stored(tmp_path, "a", 1)
    files.pixels.write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.npy: cannot be read \(.*\); delete it and run again"):
        open_store(files, BANDS, "r")

"""The table of pictures that the shipped morphology network learned from, beside simulated galaxies as surveys see them.

It joins three kinds of rows: pictures that people have classified, the rarer classes several times; pictures of smooth
galaxies with simulated bars (both from `tuningfork picture-votes --bars`); and every simulated galaxy of a training
set, drawn as a picture. Drawing them once takes a hundredth of a second each; drawn anew in every pass, they would take
longer than the training.

    tuningfork run config/examples/bars.yaml training_set
    python benchmarks/_shipped_pictures.py --people pictures.parquet --simulated results/training --out all.parquet

Then set `train.morphology.picture_votes: all.parquet` and run the target `models`.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.core.checksums import row_checksums
from tuningfork.core.decision_tree import vote_columns
from tuningfork.core.files import new_array, open_array
from tuningfork.core.running.progress import track
from tuningfork.core.tables import numpy_column, read_table, write_table
from tuningfork.pictures.votes import PICTURE_BAND
from tuningfork.stamps.store import CHECKSUM_COLUMN
from tuningfork.training.sets.pictures import as_pictures

REPEATED = {"spiral_arms_yes_votes": 4, "edge_on_yes_votes": 3, "merging_merger_votes": 6}
"""How often a training picture is shown in each pass if more than `VOTES` volunteers gave this answer."""
VOTES = 5
TRUTHS = ("bar_length", "bar_position_angle", "bar_axis_ratio", "bar_strength")
IMAGING = ("pixel_scale", f"sky_noise_{PICTURE_BAND}", f"psf_fwhm_{PICTURE_BAND}")


def of_people(path: Path) -> tuple[pa.Table, Iterator[np.ndarray]]:
    """Return the rows of the pictures that people have classified, and their stamps, with repetitions."""
    table, pixels = read_table(path), open_array(path.with_suffix(".npy"))
    times = np.ones(table.num_rows, dtype=int)
    for name, number in REPEATED.items():
        times = np.where(numpy_column(table, name) > VOTES, number, times)
    times[np.array(table["split"].to_pylist()) != "train"] = 1
    rows = np.repeat(np.arange(table.num_rows), times)
    return table.take(pa.array(rows)), (np.asarray(pixels[row]) for row in rows.tolist())


def of_part(path: Path, number: int) -> tuple[pa.Table, np.ndarray]:
    """Return the rows and the stamps of a part of the training set, drawn as pictures."""
    table, pixels = read_table(path), open_array(path.with_suffix(".npy"))
    images = np.array(pixels[:, 0, :1], dtype=np.float32)
    columns = {name: numpy_column(table, name).astype(float) for name in IMAGING}
    as_pictures(images, columns, PICTURE_BAND, 1.0, np.random.default_rng([7, number]))
    weight = (images != 0) / columns[IMAGING[1]].astype(np.float32)[:, None, None, None] ** 2
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values.astype(np.float32)))
    return table, np.stack([images, weight], axis=1).astype(np.float32)


def joined(tables: list[pa.Table], checksums: list[np.ndarray]) -> pa.Table:
    """Return all rows with the columns that the training reads."""
    number = sum(table.num_rows for table in tables)
    columns: dict[str, object] = {"index": np.arange(number), "class": [""] * number, "picture": np.ones(number, bool)}
    columns["split"] = [split for table in tables for split in table["split"].to_pylist()]
    columns[CHECKSUM_COLUMN] = np.concatenate(checksums)
    missing = dict.fromkeys([*IMAGING, "psf_beta", "zero_point", *TRUTHS], np.nan) | dict.fromkeys(vote_columns(), 0.0)
    for name, value in missing.items():
        values = [
            numpy_column(table, name).astype(np.float32)
            if name in table.column_names
            else np.full(table.num_rows, value, np.float32)
            for table in tables
        ]
        columns[name] = np.concatenate(values)
    return pa.table(columns)


def main() -> None:
    """Write the table and the stamps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=Path, required=True, help="table from tuningfork picture-votes")
    parser.add_argument("--simulated", type=Path, required=True, help="folder with the parts of a training set")
    parser.add_argument("--out", type=Path, required=True, help="table to write, .parquet")
    parser.add_argument("--cores", type=int, default=2, help="parts that are drawn at once")
    options = parser.parse_args()
    parts = sorted(options.simulated.glob("part-*.parquet"), key=lambda path: int(path.stem.split("-")[1]))
    people, stamps = of_people(options.people)
    total = people.num_rows + sum(read_table(path).num_rows for path in parts)
    shape = open_array(options.people.with_suffix(".npy")).shape[1:]
    tables, checksums, place = [people], [np.zeros(people.num_rows, np.uint32)], people.num_rows
    array_path = options.out.with_suffix(".npy")
    with new_array(array_path, (total, *shape), np.float32) as array, ProcessPoolExecutor(options.cores) as pool:
        for row, stamp in enumerate(stamps):
            array[row] = stamp
            checksums[0][row] = row_checksums(stamp[None])[0]
        for table, pixels in track(pool.map(of_part, parts, range(len(parts))), "parts", len(parts)):
            array[place : place + len(pixels)] = pixels
            tables.append(table)
            checksums.append(row_checksums(pixels))
            place += len(pixels)
    write_table(options.out, joined(tables, checksums), {}, bands=[PICTURE_BAND], reference_band=PICTURE_BAND)
    print(f"{options.out}: {total} rows, {people.num_rows} of them of real galaxies")


if __name__ == "__main__":
    main()

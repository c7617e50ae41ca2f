"""Stamps a second on one core: ours, ESA's Cutana, astropy's Cutout2D, and a floor that only reads and copies.

    python benchmarks/cutouts.py [--quick]

All cut the same sources from the same tile, which lies in uncompressed FITS files in the cache of the disk, and take
turns; the shortest time of each counts, in seconds of one core, so that other work on the machine does not. First the
flux alone, then everything that our stamps carry: flux, inverse variance and a table with noise, completeness and
signal of each, for which the peers get a few lines of NumPy; the floor has no table.

Cutana runs as one of its workers does, in this process, so that the start of its processes does not count: once with
raw cutouts, which it has as FITS files alone, and once with its zarr store, without stretching or resizing. Cutout2D,
the floor and ours write into the same kind of .npy file.

Then ours cuts ten times as many sources, each time in a process of its own: time and peak memory.
"""

import argparse
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _cutouts import SIZE, WIDTH, Task, cutana, cutana_zarr, cutout2d, floor, make_task, make_tile, ours


@dataclass(frozen=True)
class Program:
    """A program of the comparison, and how many of the sources it gets, because some are slow."""

    cut: Callable[[Task, Path], None]
    label: str
    share: float = 1.0


PROGRAMS = [
    Program(floor, "floor: read and copy"),
    Program(ours, "ours"),
    Program(cutout2d, "astropy Cutout2D", 0.25),
    Program(cutana, "Cutana, raw cutouts (FITS)", 0.05),
    Program(cutana_zarr, "Cutana, zarr", 0.25),
]


def rate(program: Program, task: Task, folder: Path) -> float:
    """Return the stamps that a program cuts in a second of one core, into a new folder."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        quiet = io.StringIO()
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            begin = time.process_time()
            program.cut(task, Path(output))
            spent = time.process_time() - begin
    return len(task.ra) / spent


def measure(files: tuple[Path, ...], count: int, repeats: int, folder: Path) -> dict[str, float]:
    """Print a table and return the stamps a second of each program, by the name of its function."""
    tasks = [make_task(files, int(count * program.share)) for program in PROGRAMS]
    rates = {program.cut.__name__: 0.0 for program in PROGRAMS}
    for _ in range(repeats):
        for program, task in zip(PROGRAMS, tasks, strict=True):
            name = program.cut.__name__
            rates[name] = max(rates[name], rate(program, task, folder))
    print("| program | stamps | stamps/s | speed of ours over it |\n| --- | --- | --- | --- |")
    for program, task in zip(PROGRAMS, tasks, strict=True):
        spent = rates[program.cut.__name__]
        print(f"| {program.label} | {len(task.ra):,} | {spent:,.0f} | {rates['ours'] / spent:.2f} |")
    print()
    return rates


def same_pixels(files: tuple[Path, ...], count: int, folder: Path) -> bool:
    """Return whether our stamps and the floor's are the same, pixel by pixel."""
    task = make_task(files, count)
    for cut in (ours, floor):
        cut(task, folder)
    return np.array_equal(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("ours", "floor")))


def ratios(rates: dict[str, float], suffix: str) -> dict[str, float]:
    """Return the figures of a comparison."""
    return {
        f"stamps_per_second{suffix}": round(rates["ours"]),
        f"ratio_to_cutana{suffix}": round(rates["ours"] / rates["cutana"], 2),
        f"ratio_to_cutana_zarr{suffix}": round(rates["ours"] / rates["cutana_zarr"], 2),
        f"ratio_to_cutout2d{suffix}": round(rates["ours"] / rates["cutout2d"], 2),
        f"ratio_to_floor{suffix}": round(rates["floor"] / rates["ours"], 3),
    }


def alone(files: tuple[Path, ...], count: int, size: int, folder: Path) -> dict[str, float]:
    """Cut in this process and return the time (s of one core) and the peak memory (MB) of the whole process."""
    begin = time.process_time()
    ours(make_task(files, count, size), folder)
    spent = time.process_time() - begin
    # Not ru_maxrss, which a process inherits from the one that started it.
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return {"s": spent, "MB": int(peak[1]) / 1024 if peak else float("nan")}


def growth(files: tuple[Path, ...], count: int, size: int, folder: Path) -> dict[str, float]:
    """Print time and memory of `count` and ten times as many sources and return their ratios."""
    found = []
    print(f"| sources ({size} x {size} pixels) | seconds | peak memory (MB) |\n| --- | --- | --- |")
    for number in (count, 10 * count):
        with tempfile.TemporaryDirectory(dir=folder) as output:
            command = [sys.executable, __file__, "--alone", str(number), str(size), output, *map(str, files)]
            found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(f"| {number:,} | {found[-1]['s']:.2f} | {found[-1]['MB']:.0f} |")
    print()
    return {
        "time_for_ten_times_the_sources": round(found[1]["s"] / found[0]["s"], 2),
        "memory_MB": round(found[0]["MB"]),
        "memory_for_ten_times_the_sources_MB": round(found[1]["MB"]),
    }


def main() -> None:
    """Measure and print tables, and the figures as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer stamps, within a minute")
    parser.add_argument("--alone", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.alone:
        count, size, output, *tile = options.alone
        print(json.dumps(alone(tuple(map(Path, tile)), int(count), int(size), Path(output))))
        return
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    count, repeats = (5000, 2) if options.quick else (8000, 5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = make_tile(folder)
        print(f"Flux alone, {SIZE} x {SIZE} pixels, one tile of {WIDTH} x {WIDTH}\n")
        figures = ratios(measure(files[:1], count, repeats, folder), "")
        print("Everything that our stamps carry\n")
        figures |= ratios(measure(files, count, repeats, folder), "_full")
        figures |= growth(files, 1000 if options.quick else 10_000, 64, folder)
        figures["same_pixels"] = same_pixels(files, 1000, folder)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

"""How well galaxies are measured that another generator has drawn, on which no network was trained.

The scenes of `benchmarks/second_generator` are drawn as pictures and given to `tuningfork measure-folder` (--pictures, the
default), or as FITS images with a table and a configuration for the survey `folder` (--fits); --run runs the workflow on
them, and --catalogue scores a catalogue that it has made. docs/development/second-generator.md describes the scenes.

    python benchmarks/strangers.py [--quick] [--scenes 500] [--seed N] [--out DIR]
    python benchmarks/strangers.py --fits --out DIR [--run | --catalogue results/catalogue.parquet]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from _strangers_scores import angles, classes, coverage, detection, in_bins, lengths, resolved
from _strangers_tables import ESTIMATORS, RECOMMENDED, of_catalogue, of_pictures
from second_generator.files import CONFIGURATION, TRUTH, draw_scenes, write_images, write_pictures
from second_generator.scenes import ARTEFACTS

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).resolve().parent / "second_generator" / "fits.yaml"
SEED = 4142
"""No network has been trained with it, and nothing was chosen on its scenes."""
QUICK = 40
"""Scenes with --quick."""
PROGRAM = [sys.executable, "-m", "tuningfork.cli"]


def pictures(scenes: int, seed: int, folder: Path, further: Sequence[str] = ()) -> pd.DataFrame:
    """Draw pictures, measure them, and return truths and measurements.

    Parameters
    ----------
    scenes, seed : int
    folder : Path
    further : sequence of str
        Further options of measure-folder.

    Returns
    -------
    pandas.DataFrame
    """
    truth = write_pictures(draw_scenes(seed, scenes), seed, folder)
    output = folder / "measured.parquet"
    command = [*PROGRAM, "measure-folder", str(folder / "pictures"), "--out", str(output), *further]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return of_pictures(truth, pd.read_parquet(output))


def images(scenes: int, seed: int, folder: Path, catalogue: Path | None, run: bool, cores: str) -> pd.DataFrame | None:
    """Draw FITS images unless they are there, run the workflow if asked to, and return truths and measurements.

    Parameters
    ----------
    scenes, seed : int
    folder : Path
    catalogue : Path or None
    run : bool
    cores : str

    Returns
    -------
    pandas.DataFrame or None
        None if there is no catalogue yet.
    """
    if not (folder / TRUTH).exists():
        write_images(draw_scenes(seed, scenes), seed, folder, TEMPLATE)
    if run:
        command = [*PROGRAM, "run", str((folder / CONFIGURATION).resolve()), "--cores", cores]
        subprocess.run(command, check=True, cwd=folder, stdout=sys.stderr)
        catalogue = folder / "results" / "catalogue.parquet"
    if catalogue is None:
        print(f"tuningfork run {folder / CONFIGURATION} makes the catalogue; then give it with --catalogue")
        return None
    return of_catalogue(pd.read_csv(folder / TRUTH), pd.read_parquet(catalogue))


def report(table: pd.DataFrame) -> None:
    """Print the tables, and as the last line the figures.

    Parameters
    ----------
    table : pandas.DataFrame
        Truths and measurements.
    """
    bars = resolved(table)
    published = bars[bars["published"]]
    figures: dict[str, object] = {"scenes": len(table), "bars": len(bars), "published": len(published)}
    print(f"{len(table)} scenes, {int(table['barred'].sum())} barred, {len(bars)} of them longer than 2 PSF FWHM\n")
    for name, (value, error) in detection(table).items():
        print(f"{name:22s} {_shown(value, error)}")
        figures |= {name: value, f"{name}_error": error}
    for title, rows in (("published", published), ("all", bars)):
        figures |= _print_lengths(title, rows)
    _print_bins(bars)
    for name in (RECOMMENDED, *ESTIMATORS):
        for title, rows in (("published", published), ("all", bars)):
            shares = coverage(rows, name)
            if shares:
                shown = ", ".join(f"{sigma} sigma {_shown(*share)}" for sigma, share in shares.items())
                print(f"coverage, {name}, {title}: {shown}")
                figures |= {f"coverage_{name}_{title}_{sigma}": share[0] for sigma, share in shares.items()}
    angle = angles(published)
    print(f"median angle error, published: {_shown(*angle, 1)} deg\n")
    figures["angle_median"] = angle[0]
    figures |= _print_classes(table)
    print(json.dumps({name: _number(value) for name, value in figures.items()}))


def _print_lengths(title: str, rows: pd.DataFrame) -> dict[str, object]:
    print(f"\n{title}: {len(rows)} bars")
    print(
        f"{'estimator':18s} {'n':>4s} {'r':>13s} {'partial r':>13s} {'bias (ln)':>15s} {'scatter (ln)':>15s} {'half level':>15s}"
    )
    figures: dict[str, object] = {}
    for name, values in lengths(rows).items():
        cells = [
            _shown(*values[key], places) for key, places in (("r", 2), ("partial_r", 2), ("bias", 3), ("scatter", 3))
        ]
        cells.append(_shown(*values["bias_of_half"], 3))
        print(
            f"{name:18s} {values['n']:4d} {cells[0]:>13s} {cells[1]:>13s} "
            + " ".join(f"{cell:>15s}" for cell in cells[2:])
        )
        key = name.split()[0]
        figures |= {f"{figure}_{key}_{title}": values[figure][0] for figure in ("r", "bias", "scatter")}
        figures |= {f"{figure}_{key}_{title}_error": values[figure][1] for figure in ("r", "bias", "scatter")}
    return figures


def _print_bins(bars: pd.DataFrame) -> None:
    print(
        "\nin bins of length / PSF FWHM; bias of ln(length), recommended (published, all) and single estimators (all)"
    )
    head = ("completeness", "published", "scatter", "all", *ESTIMATORS)
    print(f"{'bin':10s} {'n':>4s} " + " ".join(f"{name:>14s}" for name in head))
    for row in in_bins(bars):
        keys = (
            "completeness",
            "bias_published",
            "scatter_published",
            "bias_all",
            *(f"bias_{name}" for name in ESTIMATORS),
        )
        cells = " ".join(f"{_shown(*row[key]):>14s}" for key in keys)
        print(f"{row['low']:g}-{row['high']:<8g} {row['n']:4d} {cells}")
    print()


def _print_classes(table: pd.DataFrame) -> dict[str, object]:
    confusion, balanced, right = classes(table)
    print(confusion.to_string())
    print("right: " + ", ".join(f"{kind} {_shown(*share)}" for kind, share in right.items()))
    print(f"balanced accuracy {_shown(*balanced)}")
    artefacts = table[table["kind"].isin(ARTEFACTS)]
    barred = int(artefacts["published"].sum())
    print(
        f"{len(artefacts)} artefacts: {barred} published as barred, {int((artefacts['morphology'] == 'artifact').sum())} artifact"
    )
    return {"balanced_accuracy": balanced[0], "balanced_accuracy_error": balanced[1], "artefacts_barred": barred}


def _shown(value: float | None, error: float | None, places: int = 2) -> str:
    if value is None or error is None or not np.isfinite(value):
        return "-"
    return f"{value:.{places}f} +- {error:.{places}f}"


def _number(value: object) -> object:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _further(options: argparse.Namespace) -> list[str]:
    models = ["--models", *options.models] if options.models else []
    return models + (["--calibration", options.calibration] if options.calibration else [])


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} scenes; within a minute")
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, help="folder for the scenes; without it they are not kept")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--pictures", action="store_true", help="as pictures, through measure-folder (the default)")
    form.add_argument("--fits", action="store_true", help="as FITS images, for the survey folder")
    parser.add_argument("--catalogue", type=Path, help="catalogue that the workflow has made of the FITS images")
    parser.add_argument("--run", action="store_true", help="run the workflow on the FITS images: an hour or more")
    parser.add_argument("--cores", default="all", help="for the workflow")
    parser.add_argument("--models", nargs="+", default=[], metavar="CARD", help="for measure-folder")
    parser.add_argument("--calibration", metavar="FILE", help="for measure-folder")
    options = parser.parse_args()
    scenes = QUICK if options.quick else options.scenes
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.out or Path(temporary)) / ("fits" if options.fits else "")
        table = (
            images(scenes, options.seed, folder, options.catalogue, options.run, options.cores)
            if options.fits
            else pictures(scenes, options.seed, folder, _further(options))
        )
        if table is not None:
            report(table)


if __name__ == "__main__":
    main()

"""The subcommands that work on pictures. Like all of them they import what they need themselves, to start quickly."""

import argparse
from pathlib import Path

from tuningfork.core.errors import ConfigurationError

SURVEYS = Path(__file__).resolve().parents[3] / "config" / "surveys"
"""Folder with the descriptions of the surveys."""


def measure_folder_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `measure-folder`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("images", type=Path, metavar="IMAGES", help="folder of JPEG and PNG pictures, one galaxy each")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the table, .parquet or .csv")
    parser.add_argument(
        "--gallery", type=Path, metavar="FILE", help="pictures with their bars, .html, .png, .pdf or .svg"
    )
    parser.add_argument(
        "--stretch", type=float, metavar="Q", help="Q of the pictures' arcsinh stretch if you know it; 0: linear"
    )
    parser.add_argument(
        "--psf-fwhm", type=float, metavar="PX", help="width of the PSF; without it that of the stars on each picture"
    )
    parser.add_argument(
        "--models", type=Path, nargs="+", default=[], metavar="CARD", help="morphology networks that read one band"
    )
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="their calibration, from calibrate-pictures")
    parser.add_argument(
        "--saliency-samples", type=int, default=32, metavar="N", help="noisy copies behind each map (32)"
    )


def measure_folder(options: argparse.Namespace) -> None:
    """Measure bars on a folder of pictures.

    Parameters
    ----------
    options : argparse.Namespace
    """
    from tuningfork.core.files import require_writable
    from tuningfork.pictures.gallery import check_gallery, draw_gallery
    from tuningfork.pictures.measure import PictureSettings, measure_files, summary
    from tuningfork.pictures.read import files_of
    from tuningfork.pictures.table import check_name

    settings = PictureSettings(
        psf_fwhm=options.psf_fwhm,
        models=tuple(options.models),
        calibration=options.calibration,
        saliency_samples=options.saliency_samples,
        stretch=options.stretch,
    )
    check_name(options.out)
    for path in (options.out, options.gallery):
        if path:
            require_writable(path)
    if options.gallery:
        check_gallery(options.gallery)
    files = files_of(options.images, tuple(path for path in (options.out, options.gallery) if path))
    table = measure_files(files, options.out, settings)
    print(f"{options.out}: {summary(table)}")
    if options.gallery:
        number = draw_gallery(files, table, options.gallery)
        # A gallery of an earlier run would be taken for that of this table.
        old = "; the file of this name is of an earlier run" if options.gallery.exists() else ""
        print(f"{options.gallery}: {number} pictures" if number else f"{options.gallery}: no picture to show{old}")


def picture_votes_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `picture-votes`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument(
        "images", type=Path, metavar="FOLDER", help="JPEG and PNG pictures with one galaxy in the middle"
    )
    parser.add_argument(
        "--votes", type=Path, required=True, metavar="TABLE", help="table (.csv): column file, and votes per answer"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="TABLE", help="table to write, .parquet")
    parser.add_argument("--stretch", type=float, metavar="Q", help="Q of the pictures' arcsinh stretch if you know it")
    parser.add_argument(
        "--bars",
        type=int,
        default=0,
        metavar="N",
        help="copies with a simulated bar of each galaxy that most people call smooth (0); these galaxies then count "
        "as unbarred",
    )


def picture_votes(options: argparse.Namespace) -> None:
    """Prepare pictures with the votes of people for the training.

    Parameters
    ----------
    options : argparse.Namespace
    """
    from tuningfork.pictures.added_bars import MOST_COPIES
    from tuningfork.pictures.measure import PictureSettings
    from tuningfork.pictures.votes import write_picture_votes

    if options.out.suffix != ".parquet":
        raise ConfigurationError(f"--out {options.out}: expected a name that ends in .parquet")
    stretch = PictureSettings(stretch=options.stretch).stretch
    if not 0 <= options.bars <= MOST_COPIES:
        raise ConfigurationError(f"--bars {options.bars}: expected a number from 0 to {MOST_COPIES}")
    used, given, copies = write_picture_votes(options.images, options.votes, options.out, stretch, options.bars)
    added = f" and {copies} copies with bars" if copies else ""
    print(f"{options.out}: {used} of {given} pictures{added}; name it in train.morphology.picture_votes")


def calibrate_pictures_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `calibrate-pictures`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument(
        "--models", type=Path, nargs="+", default=[], metavar="CARD", help="networks that read one band"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the calibration, .json")
    parser.add_argument(
        "--galaxies", type=int, default=400, metavar="N", help="to learn from, and as many to test on (400)"
    )
    parser.add_argument(
        "--people",
        type=Path,
        metavar="TABLE",
        help="table from picture-votes, towards whose votes answers are corrected",
    )


def calibrate_pictures_command(options: argparse.Namespace) -> None:
    """Calibrate networks for `measure-folder`.

    Parameters
    ----------
    options : argparse.Namespace
    """
    from tuningfork.core.files import require_writable
    from tuningfork.pictures.calibrate import calibrate_networks, figure_lines

    require_writable(options.out)

    figures = calibrate_networks(options.models, options.galaxies, SURVEYS, options.out, options.people)
    print(f"{figure_lines(figures)}\n{options.out}: learned from {options.galaxies} galaxies, tested on as many")

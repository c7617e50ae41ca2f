"""The command `tuningfork`: small tools around the workflow."""

import argparse
import difflib
import sys
from pathlib import Path

from tuningfork.core.errors import TuningforkError
from tuningfork.core.files import write_text
from tuningfork.core.stage import paths

ROOT = Path(__file__).resolve().parents[2]
"""Root of the clone, whose config/ has the descriptions of the surveys."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a foreseeable fault ends with its message and status 1."""
    options = _parser().parse_args(arguments)
    try:
        options.function(options)
    except TuningforkError as error:
        sys.exit(f"tuningfork: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tuningfork", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    config = commands.add_parser("config", help="print the default configuration, or write it and its schema")
    config.add_argument("--write", type=Path, metavar="ROOT", help="root of a clone, whose config/ is written")
    config.set_defaults(function=_config)

    check = commands.add_parser("check", help="check a configuration file and show how it differs from the default")
    check.add_argument("file", type=Path)
    check.set_defaults(function=_check)

    plan = commands.add_parser("plan", help="say what a run will take, before anything is fetched")
    plan.add_argument("--configfile", type=Path, metavar="FILE", help="the configuration; without it, the default")
    plan.add_argument(
        "--bandwidth", type=float, default=20.0, metavar="MB/S", help="what comes from the service, in all (20 MB/s)"
    )
    plan.add_argument("--cores", type=int, metavar="N", help="cores that compute at a time (this machine's)")
    plan.set_defaults(function=_plan)

    columns = commands.add_parser("columns", help="print the page that explains the columns, or write it")
    columns.add_argument("--write", type=Path, metavar="ROOT", help="root of a clone, whose docs/columns.md is written")
    columns.set_defaults(function=_columns)

    flags = commands.add_parser("flags", help="say what a value of the column flags means")
    flags.add_argument("value", type=int)
    flags.set_defaults(function=_flags)

    missing = commands.add_parser("missing", help="list the tiles that could not be had, and ask for them again")
    missing.add_argument("--results", type=Path, default=Path(paths.RESULTS))
    missing.add_argument("--again", action="store_true", help="let the next run ask for them again")
    missing.set_defaults(function=_missing)

    _measure_folder_options(commands.add_parser("measure-folder", help="measure bars on a folder of pictures"))

    label = commands.add_parser("label", help="open the page on which galaxies are labelled")
    label.add_argument("--results", type=Path, default=Path(paths.RESULTS))
    label.add_argument("--labels", type=Path, default=Path(paths.LABELS))
    label.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; any but this machine's asks for a token"
    )
    label.add_argument("--port", type=int, default=8765)
    label.add_argument("--token", help="what the page asks for on another address; made up and printed without it")
    label.set_defaults(function=_label)
    return parser


def _measure_folder_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", type=Path, metavar="IMAGES", help="folder of JPEG and PNG pictures, one galaxy each")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the table, .parquet or .csv")
    parser.add_argument("--gallery", type=Path, metavar="FILE", help="pictures with their bars, .png, .pdf or .svg")
    parser.add_argument(
        "--stretch", type=float, metavar="Q", help="Q of the pictures' arcsinh stretch if you know it; 0: linear"
    )
    parser.add_argument(
        "--psf-fwhm", type=float, metavar="PX", help="width of the PSF; without it that of the stars on each picture"
    )
    parser.add_argument(
        "--models", type=Path, nargs="+", default=[], metavar="CARD", help="morphology networks that read one band"
    )
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="calibration of the lengths of these networks")
    parser.add_argument("--saliency-samples", type=int, default=32, metavar="N", help="copies behind each map (32)")
    parser.set_defaults(function=_measure_folder)


def _config(options: argparse.Namespace) -> None:
    from tuningfork.core.config.document import default_yaml, json_schema

    if options.write:
        write_text(options.write / "config" / "config.yaml", default_yaml())
        write_text(options.write / "config" / "schema.json", json_schema())
    else:
        print(default_yaml(), end="")


def _check(options: argparse.Namespace) -> None:
    from tuningfork.core.config import Configuration, load

    default = _flat(Configuration().model_dump())
    chosen = _flat(load(options.file).model_dump())
    difference = [line for line in difflib.ndiff(default, chosen) if line[0] in "+-"]
    print(f"{options.file} is valid" + (":" if difference else " and equals the default"))
    print("\n".join(difference), end="\n" if difference else "")


def _plan(options: argparse.Namespace) -> None:
    from tuningfork.survey_plan.page import survey_plan

    print(survey_plan(options.configfile, ROOT, options.bandwidth, options.cores), end="")


def _flat(values: dict, above: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in values.items():
        path = f"{above}{key}"
        lines += _flat(value, f"{path}.") if isinstance(value, dict) else [f"{path}: {value}"]
    return lines


def _columns(options: argparse.Namespace) -> None:
    from tuningfork.catalogue.page import columns_page

    if options.write:
        write_text(options.write / "docs" / "columns.md", columns_page())
    else:
        print(columns_page(), end="")


def _flags(options: argparse.Namespace) -> None:
    from tuningfork.core.flags import MEANINGS, Flag, decode

    if options.value < 0:
        raise TuningforkError(f"flags {options.value}: expected a value of the column flags, zero or above")
    for name in decode(options.value) or ["no flag is set"]:
        print(f"{name}: {MEANINGS[Flag[name]]}" if name in Flag.__members__ else name)


def _missing(options: argparse.Namespace) -> None:
    from tuningfork.surveys.missing import ask_again, describe, find_missing

    manifests = options.results / Path(paths.TILES).relative_to(paths.RESULTS).parent
    if not manifests.is_dir():
        raise TuningforkError(f"{manifests}: no such folder; give the results of a run with --results")
    missing = find_missing(manifests)
    print(describe(missing))
    if options.again and missing:
        print(f"The next run asks again for the tiles of {ask_again(missing)} shards.")


def _measure_folder(options: argparse.Namespace) -> None:
    from tuningfork.pictures.gallery import check_gallery, draw_gallery
    from tuningfork.pictures.measure import How, measure_files, summary
    from tuningfork.pictures.read import files_of
    from tuningfork.pictures.table import check_name

    stretch = {} if options.stretch is None else {"stretch": options.stretch}
    how = How(
        psf_fwhm=options.psf_fwhm,
        models=tuple(options.models),
        calibration=options.calibration,
        saliency_samples=options.saliency_samples,
        **stretch,
    )
    check_name(options.out)
    if options.gallery:
        check_gallery(options.gallery)
    files = files_of(options.images, tuple(path for path in (options.out, options.gallery) if path))
    table = measure_files(files, options.out, how)
    print(f"{options.out}: {summary(table)}")
    if options.gallery:
        number = draw_gallery(files, table, options.gallery)
        print(f"{options.gallery}: {number} pictures" if number else f"{options.gallery}: no picture to show")


def _label(options: argparse.Namespace) -> None:
    from tuningfork.label.server import serve

    serve(options.results, options.labels, options.host, options.port, options.token)

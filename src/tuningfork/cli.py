"""The command `tuningfork`: runs the workflow, and small tools around it."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tuningfork.core.errors import ConfigurationError, TuningforkError
from tuningfork.core.files import write_text
from tuningfork.core.stage import paths
from tuningfork.pictures import command as on_pictures

ROOT = Path(__file__).resolve().parents[2]
"""Root of the clone, whose config/ has the descriptions of the surveys."""


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes
    ----------
    name, help : str
    function : callable
        Does the work; it imports what it needs itself, so that the other commands start quickly.
    add_options : callable
        Adds the options to the subcommand's parser.
    """

    name: str
    help: str
    function: Callable[[argparse.Namespace], None]
    add_options: Callable[[argparse.ArgumentParser], None]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; an expected fault ends with its message and status 1."""
    parser = argparse.ArgumentParser(prog="tuningfork", description=__doc__, allow_abbrev=False)
    subparsers = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.help, description=command.help, allow_abbrev=False)
        subparser.set_defaults(function=command.function)
        command.add_options(subparser)
    options, rest = parser.parse_known_args(arguments)
    if options.function is _run:
        options.rest = rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        options.function(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output wants no more of it. What is left must not be written when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except (TuningforkError, OSError) as error:
        from tuningfork.core.stage.program import cause_of_failure

        # A wrong configuration has one line for each of its errors.
        text = str(error) if isinstance(error, ConfigurationError) else cause_of_failure(error)
        sys.exit(f"tuningfork: {text}")


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.usage = "tuningfork run [CONFIG] [--cores N] [--profile P] [--verbose] [options and targets of snakemake]"
    parser.add_argument("-c", "--cores", default="all", metavar="N", help="cores of this machine to use (all)")
    parser.add_argument("--profile", metavar="P", help="profile of Snakemake, for example slurm")
    parser.add_argument("--verbose", action="store_true", help="show Snakemake's own output")


def _run(options: argparse.Namespace) -> None:
    from tuningfork.run.command import read_options
    from tuningfork.run.configuration import describe_configuration
    from tuningfork.run.process import run_snakemake

    chosen = read_options(options.cores, options.profile, options.verbose, options.rest)
    # Before Snakemake reads the file, whose reader waits for ever at a pipe and never ends at a device.
    for file in chosen.configurations:
        description = describe_configuration(file)
        if chosen.configuration:
            print(description, flush=True)
    sys.exit(run_snakemake(chosen, ROOT))


def _config_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--write", type=Path, metavar="ROOT", help="root of a clone, whose config/ is written")


def _config(options: argparse.Namespace) -> None:
    from tuningfork.core.config.document import default_yaml, json_schema

    if options.write:
        write_text(options.write / "config" / "config.yaml", default_yaml())
        write_text(options.write / "config" / "schema.json", json_schema())
    else:
        print(default_yaml(), end="")


def _check_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path)


def _check(options: argparse.Namespace) -> None:
    from tuningfork.run.configuration import check_configuration

    print(check_configuration(options.file, ROOT))


def _init_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("survey", nargs="?", metavar="SURVEY", help="the survey; without it, all are listed")
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the new file (SURVEY.yaml)")


def _init(options: argparse.Namespace) -> None:
    from tuningfork.run.configuration import list_surveys, start_configuration

    if options.survey is None:
        print(list_surveys(ROOT))
    else:
        print(start_configuration(options.survey, options.file or Path(f"{options.survey}.yaml"), ROOT))


def _plan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--configfile", type=Path, metavar="FILE", help="the configuration; without it, the default")
    parser.add_argument("--bandwidth", type=float, default=20.0, metavar="MB/S", help="total download rate (20 MB/s)")
    parser.add_argument("--cores", type=int, metavar="N", help="cores to compute on (those of this machine)")


def _plan(options: argparse.Namespace) -> None:
    from tuningfork.survey_plan.page import survey_plan

    print(survey_plan(options.configfile, ROOT, options.bandwidth, options.cores), end="")


def _columns_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--write", type=Path, metavar="ROOT", help="root of a clone, whose docs/columns.md is written")


def _columns(options: argparse.Namespace) -> None:
    from tuningfork.catalogue.page import columns_page

    if options.write:
        write_text(options.write / "docs" / "columns.md", columns_page())
    else:
        print(columns_page(), end="")


def _flags_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("value", type=int)


def _flags(options: argparse.Namespace) -> None:
    from tuningfork.core.flags import MEANINGS, Flag, decode

    if options.value < 0:
        raise TuningforkError(f"flags {options.value}: expected a value of the column flags, zero or above")
    unknown = options.value & ~sum(Flag)
    if unknown:
        print(f"unknown bits: {unknown}; this version has no flag for them")
    for name in decode(options.value) or ([] if unknown else ["no flag is set"]):
        print(f"{name}: {MEANINGS[Flag[name]]}" if name in Flag.__members__ else name)


def _missing_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=Path(paths.RESULTS))
    parser.add_argument("--again", action="store_true", help="let the next run fetch them again")


def _missing(options: argparse.Namespace) -> None:
    from tuningfork.surveys.missing import ask_again, describe, find_missing

    manifests = options.results / Path(paths.TILES).relative_to(paths.RESULTS).parent
    if not manifests.is_dir():
        raise TuningforkError(f"{manifests}: no such folder; give the results of a run with --results")
    missing = find_missing(manifests)
    print(describe(missing))
    if options.again and missing:
        print(f"The next run asks again for the tiles of {ask_again(missing)} shards.")


def _accept_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stages", nargs="+", metavar="STAGE", help="as in results/params/<stage>.json")
    parser.add_argument("--configfile", type=Path, metavar="FILE", help="the configuration; without it, the default")


def _accept(options: argparse.Namespace) -> None:
    from tuningfork.core.stage.accept import accept_results
    from tuningfork.plan import plan_files

    tokens = plan_files([options.configfile] if options.configfile else [], (), ROOT).tokens
    for stage, changed in accept_results(options.stages, tokens).items():
        print(f"{stage}: {'its results are kept' if changed else 'its code has not changed'}")


def _label_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=Path(paths.RESULTS))
    parser.add_argument("--labels", type=Path, default=Path(paths.LABELS))
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (127.0.0.1); other addresses than this machine's require a token",
    )
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument(
        "--token",
        help="password of the page; where --host is not this machine, it is generated and printed if not given",
    )


def _label(options: argparse.Namespace) -> None:
    from tuningfork.label.server import serve

    serve(options.results, options.labels, options.host, options.port, options.token)


def _rules_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--write",
        type=Path,
        metavar="ROOT",
        help="root of a clone, whose docs/development/rules.md and README.md are written",
    )


def _rules(options: argparse.Namespace) -> None:
    from tuningfork.run.rules_page import rules_page, write_pages

    if options.write:
        write_pages(options.write)
    else:
        print(rules_page(ROOT), end="")


COMMANDS = (
    Command("run", "run the workflow, with one line per job and a summary", _run, _run_options),
    Command("config", "print the default configuration, or write it and its schema", _config, _config_options),
    Command("init", "write a short configuration of a survey to begin with, or list the surveys", _init, _init_options),
    Command("check", "check a configuration file and show how it differs from the default", _check, _check_options),
    Command("plan", "say what a run will take, before anything is fetched", _plan, _plan_options),
    Command("columns", "print the page that explains the columns, or write it", _columns, _columns_options),
    Command("rules", "print the page that lists the rules of the workflow, or write it", _rules, _rules_options),
    Command("flags", "say what a value of the column flags means", _flags, _flags_options),
    Command("missing", "list the tiles that could not be fetched, and fetch them again", _missing, _missing_options),
    Command("accept", "keep the results of stages after an upgrade of their code", _accept, _accept_options),
    Command(
        "measure-folder",
        "measure bars on a folder of pictures",
        on_pictures.measure_folder,
        on_pictures.measure_folder_options,
    ),
    Command(
        "picture-votes",
        "prepare pictures with the votes of people for the training",
        on_pictures.picture_votes,
        on_pictures.picture_votes_options,
    ),
    Command(
        "calibrate-pictures",
        "calibrate networks for measure-folder, on simulated pictures",
        on_pictures.calibrate_pictures_command,
        on_pictures.calibrate_pictures_options,
    ),
    Command("label", "open the page on which galaxies are labelled", _label, _label_options),
)
"""A new subcommand is a line here, and its two functions above."""


if __name__ == "__main__":
    main()

"""From the options of `tuningfork run` to the command that starts Snakemake."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuningfork.core.errors import InputError

CONFIGURATION_SUFFIXES = {".yaml", ".yml"}
CONFIGURATION_OPTIONS = {"--configfile", "--configfiles"}
FILE_OPTIONS = {
    "-s", "--snakefile", "-d", "--directory", "--workflow-profile", "--report-stylesheet", "--jobscript", "--wait-for-files-file",
    "--jobname", "--conda-prefix", "--report", "--archive", "--log-handler-script",
}  # fmt: skip
"""Options of Snakemake's whose value is a file that is no configuration."""
LOCAL_DEFAULTS = {
    # Frozen stage parameters replace Snakemake's own guesses about what has changed (docs/run.md).
    "--rerun-triggers": ["mtime", "params", "input"],
    "--rerun-incomplete": [],
    "--notemp": [],
    "--keep-going": [],
}
"""Options of Snakemake for a run on this machine; a profile brings its own."""
ANSWERS_ONLY = {
    "-n", "--dry-run", "--dryrun", "-l", "--list", "--list-rules", "--list-target-rules", "--lint", "--dag", "--rulegraph",
    "--filegraph", "-S", "--summary", "-D", "--detailed-summary", "--unlock", "--report", "--touch", "-t", "--version", "-v",
    "--archive", "--delete-all-output", "--delete-temp-output", "--list-changes", "--list-input-changes",
    "--list-params-changes", "--cleanup-metadata", "--conda-create-envs-only", "--containerize",
}  # fmt: skip
"""Options with which Snakemake answers a question and runs no job: its own output is the answer."""
SWITCHES = frozenset("DFSafhklnptv")
"""Short options of Snakemake's without a value, which may stand together, as in `-np`."""


@dataclass(frozen=True)
class RunOptions:
    """What the user asks of `tuningfork run`.

    Attributes
    ----------
    configuration : Path, optional
        The configuration file; without it, the default of the clone.
    cores : str
        A number of cores, or "all".
    profile : str, optional
        A profile of Snakemake, such as `slurm`.
    verbose : bool
        Show Snakemake's own output.
    rest : tuple of str
        Options and targets that are handed to Snakemake.
    """

    configuration: Path | None
    cores: str
    profile: str | None
    verbose: bool
    rest: tuple[str, ...]

    @property
    def shows_snakemake(self) -> bool:
        """Whether Snakemake's own output is wanted."""
        return self.verbose or any(_answers_only(option) for option in self.rest)

    @property
    def configurations(self) -> list[Path]:
        """The configuration file, given on its own or as the value of `--configfile`."""
        return [self.configuration] if self.configuration else [Path(name) for name in _files_in(self.rest)[1]]

    @property
    def folder(self) -> Path:
        """The working directory of the run, which `--directory` may name."""
        for place, option in enumerate(self.rest):
            name, equals, value = option.partition("=")
            if name in ("-d", "--directory"):
                return Path(value if equals else "".join(self.rest[place + 1 : place + 2]))
            if option.startswith("-d") and not option.startswith("--"):
                return Path(option[2:])
        return Path()


def _answers_only(option: str) -> bool:
    """Return whether an option, or one of the short ones that stand together, is among `ANSWERS_ONLY`."""
    if option.startswith("--") or not option.startswith("-"):
        return option.split("=")[0] in ANSWERS_ONLY
    for letter in option[1:]:
        if f"-{letter}" in ANSWERS_ONLY:
            return True
        if letter not in SWITCHES:
            return False
    return False


def read_options(cores: str, profile: str | None, verbose: bool, rest: Sequence[str]) -> RunOptions:
    """Tell the configuration file apart from what is Snakemake's.

    Parameters
    ----------
    cores : str
    profile : str, optional
    verbose : bool
    rest : sequence of str
        All other arguments in order. One that names a YAML file is the configuration wherever it stands, unless it is
        the value of an option that takes files; a first one may be a JSON file as well.

    Returns
    -------
    RunOptions

    Raises
    ------
    InputError
        The configuration file does not exist, or there is more than one.
    """
    places, given = _files_in(rest)
    if len(places) + len(given) > 1:
        names = ", ".join([*(rest[place] for place in places), *given])
        raise InputError(f"{names}: more than one configuration file; give one")
    if not places:
        return RunOptions(None, cores, profile, verbose, tuple(rest))
    place = places[0]
    file = Path(rest[place])
    if not _exists(file):
        raise InputError(f"{file}: no such configuration file")
    return RunOptions(file, cores, profile, verbose, (*rest[:place], *rest[place + 1 :]))


def _files_in(rest: Sequence[str]) -> tuple[list[int], list[str]]:
    """Return the places of the arguments that name a configuration, and the values of `--configfile`."""
    places, given, option = [], [], ""
    for place, argument in enumerate(rest):
        if argument.startswith("-"):
            option, equals, value = argument.partition("=")
            given += [value] if equals and option in CONFIGURATION_OPTIONS else []
        elif option in CONFIGURATION_OPTIONS:
            given.append(argument)
        elif _names_configuration(argument, place == 0) and not (option in FILE_OPTIONS and rest[place - 1] == option):
            places.append(place)
    return places, given


def _names_configuration(argument: str, first: bool) -> bool:
    suffix = Path(argument).suffix.lower()
    if "=" in argument and not _exists(Path(argument)):
        return False
    return suffix in CONFIGURATION_SUFFIXES or (first and suffix == ".json")


def _exists(path: Path) -> bool:
    """Return whether there is a file of that name; no name is too long to ask."""
    try:
        return path.exists()
    except OSError:
        return False


def snakemake_command(options: RunOptions, root: Path, events: Path | None = None) -> list[str]:
    """Return the command that runs Snakemake.

    Parameters
    ----------
    options : RunOptions
    root : Path
        Root of the clone, used where the working directory has no Snakefile or profile of its own.
    events : Path, optional
        File to which Snakemake's events are written.

    Returns
    -------
    list of str
    """
    # What the user gives comes first, since targets must stand before options that take several values.
    command = [sys.executable, "-m", "snakemake", *options.rest]
    if not Path("Snakefile").is_file() and not _given(options.rest, ("-s", "--snakefile")):
        command += ["--snakefile", str(root / "Snakefile")]
    if options.profile is None:
        command += ["--cores", options.cores]
        for option, values in LOCAL_DEFAULTS.items():
            command += [] if _given(options.rest, (option,)) else [option, *values]
    else:
        shipped = root / options.profile
        here = Path(options.profile).exists() or not shipped.exists()
        command += ["--profile", options.profile if here else str(shipped)]
    if events:
        command += ["--logger", "tuningfork", "--logger-tuningfork-events", str(events)]
    if options.configuration:
        command += ["--configfile", str(options.configuration)]
    return command


def _given(arguments: Iterable[str], names: Sequence[str]) -> bool:
    return any(argument.split("=")[0] in names for argument in arguments)

"""From the options of `tuningfork run` to the command that starts Snakemake."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuningfork.core.errors import InputError

CONFIGURATION_SUFFIXES = {".yaml", ".yml", ".json"}
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
        return self.verbose or bool({option.split("=")[0] for option in self.rest} & ANSWERS_ONLY)


def read_options(cores: str, profile: str | None, verbose: bool, rest: Sequence[str]) -> RunOptions:
    """Tell the configuration file apart from what is Snakemake's.

    Parameters
    ----------
    cores : str
    profile : str, optional
    verbose : bool
    rest : sequence of str
        All other arguments in order. A first one that names a YAML or JSON file is the configuration.

    Returns
    -------
    RunOptions

    Raises
    ------
    InputError
        The configuration file does not exist.
    """
    first = Path(rest[0]) if rest else None
    if first is None or first.suffix not in CONFIGURATION_SUFFIXES or str(first).startswith("-"):
        return RunOptions(None, cores, profile, verbose, tuple(rest))
    if not first.is_file():
        raise InputError(f"{first}: no such configuration file")
    return RunOptions(first, cores, profile, verbose, tuple(rest[1:]))


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

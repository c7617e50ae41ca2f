"""Start Snakemake, print a line per job while it runs, and pass signals on to it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Any

from tuningfork.core.files import require_writable
from tuningfork.core.stage import paths
from tuningfork.run.command import RunOptions, snakemake_command
from tuningfork.run.display import Display, clock
from tuningfork.run.summary import summary

ENDING_PATIENCE = 30.0
"""Seconds that Snakemake has to stop its jobs and to remove its lock."""
PAUSE = 0.2
"""Seconds between two looks at the events."""
SHOWN_LINES = 20
"""Lines of Snakemake's output that are shown if it fails without a failed job."""
OWN_MESSAGE = "tuningfork: "
"""How a message of the Snakefile about a wrong configuration begins."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FORWARDED = (*ENDING, signal.SIGTSTP, signal.SIGCONT)


class EventFile:
    """The growing file of events.

    Parameters
    ----------
    path : Path
        It need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def new(self) -> list[dict[str, Any]]:
        """Return the events since the last call; a line that is not whole yet comes with the next call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._position)
            whole = file.read().rpartition(b"\n")[0]
        if not whole:
            return []
        self._position += len(whole) + 1
        return [json.loads(line) for line in whole.splitlines()]


def run_snakemake(options: RunOptions, root: Path) -> int:
    """Run the workflow in the working directory.

    Parameters
    ----------
    options : RunOptions
    root : Path
        Root of the clone.

    Returns
    -------
    int
        Snakemake's exit status. With Snakemake's own output, the function does not return.
    """
    if options.shows_snakemake:
        # This process becomes Snakemake, so that its output, its status and all signals are its own.
        command = snakemake_command(options, root)
        os.execv(command[0], command)
    with tempfile.TemporaryDirectory(prefix="tuningfork-run-") as folder:
        return _run_quietly(options, root, Path(folder))


def _run_quietly(options: RunOptions, root: Path, folder: Path) -> int:
    require_writable(options.folder / paths.PLAN)
    events, output = folder / "events.jsonl", folder / "output"
    display = Display(_print, time.time(), folder=options.folder)
    began = time.monotonic()
    # The plugin must be importable however the package is installed.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [_source(), os.environ.get("PYTHONPATH")]))}
    file = EventFile(events)
    with output.open("wb") as stream:
        command = snakemake_command(options, root, events)
        with _Signals(display) as signals:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, process_group=0
            )
            try:
                signals.pass_to(process)
                _follow(process, file, display)
            finally:
                _stop(process)
    status = _status(process.returncode)
    said = output.read_text(encoding="utf-8", errors="replace")
    _print_end(display, status, said, clock(time.monotonic() - began), options.folder)
    return status


def _follow(process: subprocess.Popen[bytes], file: EventFile, display: Display) -> None:
    """Print what Snakemake does until it ends."""
    ended = False
    while not ended:
        # The end is looked at first, so that the last events are read after it.
        ended = process.poll() is not None
        for event in file.new():
            display.take(event)
        display.tick(time.time())
        if not ended:
            time.sleep(PAUSE)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End Snakemake and its jobs if they still run, since nobody would follow them or could stop them."""
    for number, patience in ((signal.SIGTERM, ENDING_PATIENCE), (signal.SIGKILL, None)):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


def _print_end(display: Display, status: int, output: str, duration: str, folder: Path) -> None:
    if status == 0:
        _print("nothing to be done: all results are up to date" if display.up_to_date else f"done in {duration}")
        if display.up_to_date or "all" in display.rules:
            _print(summary(folder))
        return
    if display.interrupted:
        _print(f"stopped after {duration}: {display.jobs_done} of {display.jobs_in_all} jobs are done")
        _print("Finished jobs are kept: start the run again to go on.")
        return
    if not display.failed:
        lines = [line for line in output.splitlines() if line.strip()]
        own = [line for line in lines if line.startswith(OWN_MESSAGE)]
        _print("\n".join(own or lines[-SHOWN_LINES:]))
        return
    _print(f"stopped after {duration}: {display.jobs_done} of {display.jobs_in_all} jobs are done, these failed:")
    for name, log in display.failed.items():
        _print(f"  {name}: {log}" if log else f"  {name}")
    _print("Finished jobs are kept: remove the cause and start the run again.")
    if display.snakemake_log:
        _print(f"Snakemake's own log: {display.snakemake_log}")


class _Signals:
    """Passes signals on to Snakemake and its jobs, which form a process group of their own, while the block runs.

    A terminal sends Ctrl-C and Ctrl-Z to this process alone, so every process gets each signal once, wherever it
    comes from. What is ignored here, as in a command that `nohup` starts, stays ignored.

    Parameters
    ----------
    display : Display
        It is told that the run was interrupted.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "_Signals":
        heard = [number for number in FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._forward) for number in heard}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def pass_to(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on to this process, also what came before it was there."""
        self._process = process
        for number in self._early:
            os.killpg(process.pid, number)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if self._process is None:
            self._early.append(number)
        elif self._process.poll() is None:
            os.killpg(self._process.pid, number)
        if number in ENDING and not self._display.interrupted:
            self._display.interrupted = True
            _print("interrupted: the running jobs are stopped")
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)


def _status(returncode: int) -> int:
    """Return an exit status as shells give it: 128 and the number of the signal where one ended the process."""
    return returncode if returncode >= 0 else 128 - returncode


def _source() -> str:
    """Return the folder in which the package and the plugin lie."""
    return str(Path(__file__).resolve().parents[2])


def _print(text: str) -> None:
    print(text, file=sys.stdout, flush=True)

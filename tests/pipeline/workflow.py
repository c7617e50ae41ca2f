"""Run the real workflow as a user does, and watch its memory."""

import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

NETWORKS = tuple(
    f"results/{name}" for name in ("training", "models", "held_out", "calibration", "evaluation", "params")
)
"""Folders of a run with its networks and all that was learned about them without the survey's sky."""


@dataclass(frozen=True)
class Run:
    """A finished run of the workflow.

    Attributes
    ----------
    directory : Path
        Working directory, which holds results/.
    status : int
    output : str
        What Snakemake printed.
    seconds : float
        Wall time.
    peak_memory : int
        Largest sum of the proportional memory of all processes (bytes), sampled twice a second.
    """

    directory: Path
    status: int
    output: str
    seconds: float
    peak_memory: int

    @property
    def results(self) -> Path:
        return self.directory / "results"


def run_workflow(root: Path, directory: Path, *options: str) -> Run:
    """Run the workflow of the repository `root` in `directory` on two cores."""
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile"), "--directory", str(directory),
        "--cores", "2", "--notemp", "--keep-going", "--rerun-triggers", "mtime", "params", "input", *options,
    ]  # fmt: skip
    begin = time.monotonic()
    with (directory / "snakemake.log").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        peak = [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
        watcher.start()
        status = process.wait()
        log.seek(0)
        return Run(directory, status, log.read(), time.monotonic() - begin, peak[0])


def go_on_from(finished: Run, directory: Path, *folders: str) -> None:
    """Put folders of a finished run, without its logs and benchmarks, into a directory where another run goes on from them.

    Files are links, since jobs replace files and never change them; Snakemake changes its records, which are copied.
    """
    for name in folders:
        shutil.copytree(
            finished.directory / name,
            directory / name,
            copy_function=os.link,
            ignore=shutil.ignore_patterns("logs", "benchmarks"),
        )
    shutil.copytree(finished.directory / ".snakemake" / "metadata", directory / ".snakemake" / "metadata")


def _watch(pid: int, peak: list[int]) -> None:
    try:
        process = psutil.Process(pid)
        while process.is_running():
            peak[0] = max(peak[0], sum(map(_memory, [process, *process.children(recursive=True)])))
            time.sleep(0.5)
    except psutil.NoSuchProcess:
        return


def _memory(process: psutil.Process) -> int:
    """Return the proportional share of a process, so that shared libraries are counted once."""
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0

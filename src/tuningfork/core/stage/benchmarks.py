"""Snakemake's benchmark files: how long the jobs of each stage ran, and how much memory they took.

Snakemake writes one table per job, `<folder>/<stage>/<item>.tsv`, with one row per repetition and the columns `s`
(wall time), `max_rss` (largest resident memory, MB), `cpu_time` (s) and others. A job that ends within a fraction of a
second has `NA` or `-` where Snakemake measured nothing.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean


@dataclass(frozen=True)
class StageCost:
    """Time and memory of the jobs of one stage.

    Attributes
    ----------
    stage : str
    jobs : int
        Number of jobs.
    seconds, longest : float
        Wall time (s) of all jobs together, and of the longest one.
    cpu_seconds : float or None
        Processor time (s) of all jobs together; None if no job was long enough to be measured.
    memory : float or None
        Largest resident memory of a job (MB), likewise.
    """

    stage: str
    jobs: int
    seconds: float
    longest: float
    cpu_seconds: float | None
    memory: float | None


def read_benchmarks(folder: Path) -> list[StageCost]:
    """Return the cost of each stage, the most expensive one first.

    A file that is no benchmark table is skipped: nothing but a summary for people depends on it.

    Parameters
    ----------
    folder : Path
        Folder with one folder per stage; it need not exist.
    """
    costs = []
    for stage in sorted(path for path in folder.glob("*") if path.is_dir()):
        jobs = [job for path in sorted(stage.glob("*.tsv")) if (job := _read_job(path)) is not None]
        if jobs:
            costs.append(_stage_cost(stage.name, jobs))
    return sorted(costs, key=lambda cost: (-cost.seconds, cost.stage))


def _read_job(path: Path) -> Mapping[str, float] | None:
    """Return the mean over the repetitions of each measured quantity of a job; None if it has no wall time."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError):
        return None
    job = {}
    for name in ("s", "max_rss", "cpu_time"):
        values = [value for row in rows if (value := _number(row.get(name))) is not None]
        if values:
            job[name] = fmean(values)
    return job if "s" in job else None


def _stage_cost(stage: str, jobs: list[Mapping[str, float]]) -> StageCost:
    seconds = [job["s"] for job in jobs]
    processor = [job["cpu_time"] for job in jobs if "cpu_time" in job]
    memory = [job["max_rss"] for job in jobs if "max_rss" in job]
    return StageCost(
        stage=stage,
        jobs=len(jobs),
        seconds=sum(seconds),
        longest=max(seconds),
        cpu_seconds=sum(processor) if processor else None,
        memory=max(memory) if memory else None,
    )


def _number(text: str | None) -> float | None:
    """Return a non-negative number, or None for `NA`, `-` and the like."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None

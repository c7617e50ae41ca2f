"""The lines that a run prints: one per job, with the share of the expected time that has passed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuningfork.core.stage import paths
from tuningfork.run.expected import expected_seconds, seconds_of
from tuningfork.run.joblog import cause_of, last_line

HIDDEN = {"parameters", "publish", "all"}
"""Rules without work of their own."""
FOLLOWED = {"train", "pretrain"}
"""Rules whose log is worth following while they run."""
LONG_JOB = 60.0
"""Expected seconds from which the beginning of a job is announced as well as its end."""
SILENCE = 60.0
"""Seconds without a line after which the running jobs are named."""
SURE_SHARE = 0.1
"""Share of the work from which the remaining time is estimated."""
NEARLY_DONE = 0.95
"""Largest share of a running job that counts as done."""
NOTHING_TO_DO = "Nothing to be done"
COMPLETE_LOG = "Complete log(s): "


@dataclass
class Job:
    """A job that Snakemake has announced.

    Attributes
    ----------
    rule, item : str
        The rule, and what the job is about: a shard, a part, a member.
    log : Path, optional
    began : float
        Time at which it began (seconds since 1970).
    """

    rule: str
    item: str
    log: Path | None
    began: float

    @property
    def name(self) -> str:
        """Rule and item as one name."""
        return f"{self.rule} {self.item}".strip()


class Display:
    """Turns the events of Snakemake into lines.

    Parameters
    ----------
    write : callable
        Prints one line.
    began : float
        When the run began (seconds since 1970).
    expected : mapping, optional
        Rule -> expected seconds per job; without it, those of an earlier run or the built-in ones.
    folder : Path
        The working directory of the run, in which its logs lie.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        began: float,
        expected: Mapping[str, float] | None = None,
        folder: Path = Path(),
    ) -> None:
        self._write = write
        self._began = began
        self._folder = folder
        self._expected = expected_seconds(folder / paths.BENCHMARKS) if expected is None else expected
        self._jobs: dict[int, Job] = {}
        self._running: set[int] = set()
        self._last_line = began
        self._work_done = 0.0
        self._work = 0.0
        self.jobs_done = 0
        self.jobs_in_all = 0
        self.rules: set[str] = set()
        self.failed: dict[str, Path | None] = {}
        self.up_to_date = False
        self.interrupted = False
        self.snakemake_log: str | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Take one event of the logger plugin, and print what it brings."""
        name, time = event["event"], event["time"]
        if name == "run_info":
            self._plan(event["stats"] or {})
        elif name == "job_info":
            item = " ".join(str(value) for value in (event["wildcards"] or {}).values())
            log = self._folder / event["log"][0] if event["log"] else None
            self._jobs[event["jobid"]] = Job(event["rule_name"], item, log, time)
        elif name == "job_started":
            for number in event["jobs"]:
                self._start(number, time)
        elif name == "job_finished":
            self._finish(event["job_id"], time)
        elif name == "job_error":
            self._fail(event, time)
        elif name == "message":
            self._read_message(str(event["msg"] or ""))

    def tick(self, time: float) -> None:
        """Name the running jobs if nothing was printed for a while."""
        if time - self._last_line < SILENCE or not self._running:
            return
        names = [self._state(self._jobs[number]) for number in sorted(self._running)]
        left = self._time_left(time)
        self._print(time, "running: " + "; ".join(names) + (f"; about {left} left" if left else ""))

    def share(self, time: float) -> float:
        """Return the share of the expected work that is done (0 to 1), running jobs included."""
        running = 0.0
        for job in (self._jobs[number] for number in self._running):
            seconds = seconds_of(job.rule, self._expected)
            running += min(time - job.began, NEARLY_DONE * seconds)
        return min((self._work_done + running) / self._work, 1.0) if self._work else 0.0

    def _plan(self, stats: Mapping[str, int]) -> None:
        counts = {rule: number for rule, number in stats.items() if rule != "total"}
        self.rules = set(counts)
        self._work = sum(seconds_of(rule, self._expected) * number for rule, number in counts.items())
        self.jobs_in_all = sum(number for rule, number in counts.items() if rule not in HIDDEN)
        self._write(f"{self.jobs_in_all} jobs to run")

    def _start(self, number: int, time: float) -> None:
        job = self._jobs.get(number)
        if job is None:
            return
        job.began = time
        self._running.add(number)
        if job.rule in HIDDEN or seconds_of(job.rule, self._expected) < LONG_JOB:
            return
        follow = f"; follow it with: tail -f {job.log}" if job.rule in FOLLOWED and job.log else ""
        self._print(time, f"{_label(job)} started{follow}")

    def _finish(self, number: int, time: float) -> None:
        job = self._jobs.get(number)
        self._running.discard(number)
        if job is None:
            return
        self._work_done += seconds_of(job.rule, self._expected)
        # A job that failed and was tried again with success has not failed.
        self.failed.pop(job.name, None)
        if job.rule not in HIDDEN:
            self.jobs_done += 1
            self._print(time, f"{_label(job)} {_duration(time - job.began)}")

    def _fail(self, event: Mapping[str, Any], time: float) -> None:
        number = event["jobid"]
        self._running.discard(number)
        if self.interrupted:
            return
        log = self._folder / event["log"][0] if event["log"] else None
        job = self._jobs.get(number) or Job(event["rule_name"], "", log, time)
        self.failed[job.name] = log
        cause, repeat = cause_of(log) if log else ("the rule has no log", None)
        self._print(time, f"{_label(job)} FAILED: {cause}")
        if repeat:
            self._write(f"{'':16}repeat with: {repeat}")
        if log:
            self._write(f"{'':16}log: {log}")

    def _read_message(self, text: str) -> None:
        if NOTHING_TO_DO in text:
            self.up_to_date = True
        elif text.startswith(COMPLETE_LOG):
            self.snakemake_log = text.removeprefix(COMPLETE_LOG)

    def _state(self, job: Job) -> str:
        said = last_line(job.log) if job.rule in FOLLOWED and job.log else None
        return f"{job.name} ({said})" if said and not said.startswith("command: ") else job.name

    def _time_left(self, time: float) -> str | None:
        share = self.share(time)
        return _duration((time - self._began) * (1 - share) / share) if share > SURE_SHARE else None

    def _print(self, time: float, text: str) -> None:
        self._write(f"{clock(time - self._began):>8}  {100 * self.share(time):3.0f}%  {text}")
        self._last_line = time


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _label(job: Job) -> str:
    return f"{job.rule:<20}{job.item:<14}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"

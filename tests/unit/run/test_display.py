"""The lines that a run prints, event by event."""

import re
from pathlib import Path
from typing import Any

import pytest

from tuningfork.run.display import Display, clock
from tuningfork.run.expected import SECONDS, expected_seconds, seconds_of

EXPECTED = {"parameters": 0.0, "all": 0.0, "bars": 10.0, "train": 90.0}


def started(number: int, rule: str, time: float, log: Path | None = None, **wildcards: str) -> list[dict[str, Any]]:
    return [
        {
            "event": "job_info",
            "time": time,
            "jobid": number,
            "rule_name": rule,
            "wildcards": wildcards,
            "log": [str(log)] if log else [],
        },
        {"event": "job_started", "time": time, "jobs": [number]},
    ]


def finished(number: int, time: float) -> dict[str, Any]:
    return {"event": "job_finished", "time": time, "job_id": number}


def plan(**stats: int) -> dict[str, Any]:
    return {"event": "run_info", "time": 0.0, "stats": stats | {"total": sum(stats.values())}}


class Screen:
    """A display whose lines are kept."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.display = Display(self.lines.append, began=0.0, expected=EXPECTED)

    def take(self, *events: dict[str, Any]) -> list[str]:
        """Return the lines that the events bring."""
        before = len(self.lines)
        for event in events:
            self.display.take(event)
        return self.lines[before:]


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_a_short_job_has_one_line_with_its_stage_shard_and_time(screen: Screen) -> None:
    screen.take(plan(bars=2, all=1))
    lines = screen.take(*started(1, "bars", 1.0, shard="8-1"), finished(1, 6.0))
    assert [line.split() for line in lines] == [["0:06", "50%", "bars", "8-1", "5", "s"]]


def test_a_training_is_announced_with_the_log_to_follow(screen: Screen) -> None:
    screen.take(plan(train=1))
    log = Path("results/logs/train/morphology-0.log")
    (line,) = screen.take(*started(1, "train", 1.0, log, task="morphology", member="0"))
    assert "train               morphology 0" in line
    assert line.endswith(f"started; follow it with: tail -f {log}")


def test_progress_is_weighted_by_expected_time(screen: Screen) -> None:
    screen.take(plan(bars=1, train=1))
    screen.take(*started(1, "bars", 0.0), finished(1, 10.0))
    assert screen.display.share(10.0) == pytest.approx(0.1)
    screen.take(*started(2, "train", 10.0))
    assert screen.display.share(55.0) == pytest.approx(0.55)
    assert screen.display.share(1000.0) < 1, "a job that takes longer than expected is not done"
    screen.take(finished(2, 1100.0))
    assert screen.display.share(1100.0) == 1


def test_rules_without_work_of_their_own_are_hidden(screen: Screen) -> None:
    assert screen.take(plan(parameters=5, bars=1, all=1)) == ["1 jobs to run"]
    assert screen.take(*started(1, "parameters", 1.0, stage="bars"), finished(1, 2.0)) == []


def test_a_failure_names_its_cause_its_log_and_the_command_that_repeats_it(screen: Screen, tmp_path: Path) -> None:
    log = tmp_path / "bars.log"
    log.write_text("2026-11-29 08:45:08,294 ERROR failed: no disk space left | repeat with: python bars.py --log x\n")
    screen.take(plan(bars=1), *started(1, "bars", 1.0, log, shard="8-1"))
    lines = screen.take({"event": "job_error", "time": 3.0, "jobid": 1, "rule_name": "bars", "log": [str(log)]})
    assert lines[0].endswith("FAILED: no disk space left")
    assert [line.strip() for line in lines[1:]] == ["repeat with: python bars.py --log x", f"log: {log}"]
    assert screen.display.failed == {"bars 8-1": log}


def test_a_job_that_succeeds_when_tried_again_has_not_failed(screen: Screen) -> None:
    screen.take(plan(bars=1), *started(1, "bars", 1.0, shard="8-1"))
    screen.take({"event": "job_error", "time": 3.0, "jobid": 1, "rule_name": "bars", "log": []})
    screen.take(*started(1, "bars", 4.0, shard="8-1"), finished(1, 9.0))
    assert screen.display.failed == {}
    assert screen.display.jobs_done == 1


def test_a_minute_of_silence_is_broken_by_what_the_running_jobs_say(screen: Screen, tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("2026-11-29 08:46:16,009 INFO batches of epoch 1: 71 of 200, 1.2/s\n")
    screen.take(plan(train=1), *started(1, "train", 0.0, log, task="morphology", member="0"))
    screen.display.tick(59.0)
    assert len(screen.lines) == 2
    screen.display.tick(61.0)
    assert "running: train morphology 0 (batches of epoch 1: 71 of 200, 1.2/s)" in screen.lines[-1]
    assert screen.lines[-1].endswith("; about 29 s left")
    screen.display.tick(62.0)
    assert len(screen.lines) == 3, "the line itself breaks the silence"


def test_expected_times_come_from_an_earlier_run(tmp_path: Path) -> None:
    (tmp_path / "bars").mkdir()
    for shard, seconds in {"8-1": "4.0", "8-2": "8.0"}.items():
        (tmp_path / "bars" / f"{shard}.tsv").write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:04\t100\n")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "broken.tsv").write_text("s\th:m:s\n")
    expected = expected_seconds(tmp_path)
    assert seconds_of("bars", expected) == pytest.approx(6.0)
    assert expected["train"] == expected_seconds(tmp_path / "nowhere")["train"]


def test_the_built_in_times_are_those_of_the_rules(root: Path) -> None:
    text = "".join(path.read_text() for path in (root / "workflow" / "rules").glob("*.smk"))
    assert set(SECONDS) == set(re.findall(r"^rule (\w+):", text, re.MULTILINE)) | {"all"}


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (75.9, "1:15"), (3725, "1:02:05")])
def test_times_are_written_as_on_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text

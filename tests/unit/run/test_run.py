"""`tuningfork run` on a small workflow of its own, with the real Snakemake."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

WORKFLOW = """
rule all:
    input: "results/catalogue.parquet"

rule bars:
    output: "results/bars/{shard}.txt"
    log: "results/logs/bars/{shard}.log"
    shell: "BARS"

rule catalogue:
    input: expand("results/bars/{shard}.txt", shard=["8-1", "8-2"])
    output: "results/catalogue.parquet"
    log: "results/logs/catalogue.log"
    shell: "cp ready.parquet {output}"
"""
WORKS = "echo noise on the terminal >&2; touch {output}; echo done > {log}"
FAILS = (
    "if [ {wildcards.shard} = 8-2 ]; then"
    " echo '2026-11-29 08:45:08,294 ERROR failed: the disk is full | repeat with: python bars.py' > {log}; exit 1;"
    " else touch {output}; fi"
)
WAITS = "echo $$ > pid-{wildcards.shard}; exec sleep 300"
ACCOUNT = {
    "total": {
        "sources_in": 3,
        "rows_out": 3,
        "measured": {},
        "classes": {"spiral": 2, "smooth": 1},
        "flags": {"PADDED": 1, "MASKED": 0},
        "tiles": {"ok": 3, "missing": 0, "reasons": {}},
    }
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with a workflow, and with what its catalogue will hold."""
    pq.write_table(pa.table({"flags": [0, 4, 0]}), tmp_path / "ready.parquet")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "accounting.json").write_text(json.dumps(ACCOUNT))
    return tmp_path


def command(folder: Path, bars: str, *options: str) -> list[str]:
    (folder / "Snakefile").write_text(WORKFLOW.replace("BARS", bars))
    return [sys.executable, "-m", "tuningfork.cli", "run", *options, "--cores", "2"]


def run(folder: Path, bars: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, bars, *options),
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_run_prints_a_line_per_job_and_what_was_made(folder: Path) -> None:
    done = run(folder, WORKS, PATH="/usr/bin:/bin")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "3 jobs to run"
    assert sorted(" ".join(line.split()[2:-2]) for line in lines[1:4]) == ["bars 8-1", "bars 8-2", "catalogue"]
    assert lines[3].split()[1] == "100%"
    assert re.fullmatch(r"done in \d+:\d\d", lines[4])
    assert "3 sources in, 3 rows in the catalogue" in lines
    assert "1 of them are flagged (most often: PADDED 1)" in lines
    assert "classes: 2 spiral, 1 smooth" in lines
    assert "results/catalogue.parquet" in done.stdout
    assert f"  source {Path(sys.prefix) / 'bin' / 'activate'}" in lines
    assert "noise" not in done.stdout


def test_a_second_run_says_that_nothing_is_to_be_done(folder: Path) -> None:
    assert run(folder, WORKS).returncode == 0
    again = run(folder, WORKS)
    assert again.returncode == 0
    assert again.stdout.startswith("nothing to be done: all results are up to date\n")
    assert "3 sources in" in again.stdout


def test_a_failing_job_is_named_with_its_cause_and_the_others_go_on(folder: Path) -> None:
    done = run(folder, FAILS)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if "FAILED" in line]
    assert line.split()[2:4] == ["bars", "8-2"]
    assert line.endswith("FAILED: the disk is full")
    assert "repeat with: python bars.py" in done.stdout
    end = r"stopped after \d+:\d\d: 1 of 3 jobs are done, these failed:\n  bars 8-2: results/logs/bars/8-2\.log\n"
    assert re.search(end, done.stdout)
    assert "Snakemake's own log: " in done.stdout
    assert "sources in" not in done.stdout


def test_what_stops_snakemake_itself_is_shown(folder: Path) -> None:
    done = run(folder, WORKS, "--no-such-option")
    assert done.returncode == 2
    assert "unrecognized arguments: --no-such-option" in done.stdout


def test_a_wrong_configuration_is_explained_in_one_line(folder: Path) -> None:
    (folder / "mine.yaml").write_text("survey: {name: 2mass}\n")
    done = run(folder, WORKS, "mine.yaml")
    assert done.returncode == 1
    assert done.stderr.startswith("tuningfork: mine.yaml, line 1: survey.name: '2mass' is not allowed")
    assert len(done.stderr.splitlines()) == 1


def test_options_and_targets_of_snakemake_are_handed_on(folder: Path) -> None:
    done = run(folder, WORKS, "results/bars/8-1.txt", "--forcerun", "bars")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "1 jobs to run"
    assert "sources in" not in done.stdout, "nothing is said about a catalogue that was not asked for"
    assert not (folder / "results" / "catalogue.parquet").exists()


@pytest.mark.parametrize("option", ["--verbose", "--dry-run"])
def test_snakemakes_own_output_is_one_option_away(folder: Path, option: str) -> None:
    done = run(folder, WORKS, option)
    assert done.returncode == 0
    assert "Building DAG of jobs..." in done.stdout + done.stderr
    assert "Job stats:" in done.stdout + done.stderr
    assert (folder / "results" / "catalogue.parquet").exists() == (option == "--verbose")


def started_jobs(folder: Path) -> list[int]:
    """Return the numbers of the processes of the jobs, once both have begun."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        numbers = [path.read_text() for path in folder.glob("pid-*")]
        if len(numbers) == 2 and all(numbers):
            return [int(number) for number in numbers]
        time.sleep(0.1)
    raise AssertionError("the jobs did not begin")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_jobs_and_leaves_no_lock(folder: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        command(folder, WAITS),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # As on a terminal: where the tests run in the background, interrupts are ignored.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    jobs = started_jobs(folder)
    process.send_signal(number)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 1, output
    assert "0 of 3 jobs are done" in output
    assert "FAILED" not in output
    assert "Traceback" not in output
    assert not list((folder / ".snakemake" / "locks").glob("*"))
    for job in jobs:
        with pytest.raises(ProcessLookupError):
            os.kill(job, 0)


@pytest.mark.parametrize("option", ["-np", "-nq"])
def test_a_dry_run_makes_nothing_and_says_nothing_was_made(folder: Path, option: str) -> None:
    done = run(folder, WORKS, option)
    assert done.returncode == 0
    assert "made:" not in done.stdout
    assert "sources in" not in done.stdout
    assert not (folder / "results" / "catalogue.parquet").exists()


def test_a_run_in_another_directory_reports_about_that_one(folder: Path) -> None:
    other = folder / "other"
    (other / "results").mkdir(parents=True)
    (folder / "ready.parquet").rename(other / "ready.parquet")
    account = {"total": ACCOUNT["total"] | {"sources_in": 77}}
    (other / "results" / "accounting.json").write_text(json.dumps(account))
    done = run(folder, WORKS, "--directory", "other")
    assert done.returncode == 0, done.stdout
    assert "77 sources in" in done.stdout
    assert "other/results/catalogue.parquet" in done.stdout
    assert "  cd other\n" in done.stdout
    (other / "results" / "catalogue.parquet").unlink()
    (other / "results" / "bars" / "8-2.txt").unlink()
    failed = run(folder, FAILS, "--directory", "other")
    assert "bars 8-2: other/results/logs/bars/8-2.log" in failed.stdout
    assert "FAILED: the disk is full" in failed.stdout


def test_a_reader_that_goes_away_ends_the_run_and_its_jobs(folder: Path) -> None:
    process = subprocess.Popen(
        command(folder, "echo $$ > pid-{wildcards.shard}; if [ {wildcards.shard} = 8-2 ]; then while [ ! -e go ];"
                        " do sleep 0.1; done; touch {output}; else exec sleep 300; fi"),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "3 jobs to run\n"
    jobs = started_jobs(folder)
    process.stdout.close()
    (folder / "go").touch()
    errors = process.stderr.read()
    assert process.wait(timeout=100) == 128 + signal.SIGPIPE
    assert errors == ""
    assert not list((folder / ".snakemake" / "locks").glob("*"))
    for job in jobs:
        with pytest.raises(ProcessLookupError):
            os.kill(job, 0)


def test_a_damaged_catalogue_does_not_end_the_summary_with_a_traceback(folder: Path) -> None:
    (folder / "ready.parquet").write_bytes(b"")
    done = run(folder, WORKS)
    assert (done.returncode, done.stderr) == (0, "")
    assert "results/catalogue.parquet: not a readable catalogue (" in done.stdout

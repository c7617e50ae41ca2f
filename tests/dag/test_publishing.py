"""A job that fails leaves the published catalogue alone, and the next run makes up for it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dag.stub_workflow import StubWorkflow

PUBLISHED = ("results/catalogue/partition.parquet", "results/catalogue.parquet", "results/accounting.json")


def mark_as_old(workflow: StubWorkflow) -> None:
    """Write a text into the published files, without a new time."""
    for name in PUBLISHED:
        path = workflow.directory / name
        time = path.parent.stat().st_mtime_ns
        path.write_text("old")
        os.utime(path, ns=(time, time))


def are_old(workflow: StubWorkflow) -> list[bool]:
    paths = [workflow.directory / name for name in PUBLISHED]
    return [path.is_file() and path.read_text() == "old" for path in paths]


@contextmanager
def failing(workflow: StubWorkflow, program: str) -> Iterator[None]:
    """Let a program fail."""
    mark = workflow.directory / f"fail-{program}"
    mark.touch()
    yield
    mark.unlink()


@pytest.mark.parametrize(("program", "change"), [("catalogue", "catalogue.name"), ("structure", "structure.sky_sigma")])
def test_a_failed_job_leaves_the_old_catalogue_and_is_not_forgotten(
    own: StubWorkflow, program: str, change: str
) -> None:
    mark_as_old(own)
    own.configure({change: "another" if change.endswith("name") else 0.3})
    with failing(own, program):
        assert own.snakemake().returncode == 1
    assert are_old(own) == [True] * 3
    assert {program, "catalogue", "report"} <= set(own.jobs_to_run())

    own.run()
    assert are_old(own) == [False] * 3
    assert all((own.directory / name).exists() for name in PUBLISHED[1:])
    assert not (own.directory / "results" / "building").exists()
    assert own.jobs_to_run() == {}


@pytest.mark.parametrize("name", ["catalogue.parquet", "accounting.json"])
def test_a_lost_catalogue_is_made_again(own: StubWorkflow, name: str) -> None:
    (own.directory / "results" / name).unlink()
    assert set(own.jobs_to_run()) == {"catalogue", "queue_labels", "report"}


def test_a_plan_that_cannot_be_written_ends_the_run_in_one_line(own: StubWorkflow) -> None:
    plan = own.directory / "results" / "plan.json"
    plan.unlink()
    plan.mkdir()
    own.configure({"catalogue.name": "another"})
    done = own.snakemake()
    text = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in text
    assert [line for line in text.splitlines() if line.startswith("tuningfork: results/plan.json: cannot be written (")]
    assert not list((own.directory / ".snakemake" / "locks").glob("*"))

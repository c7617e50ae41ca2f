"""The published catalogue outlives a job that fails to make a new one."""

import os

from dag.stub_workflow import StubWorkflow

PUBLISHED = ("results/catalogue/partition.parquet", "results/catalogue.parquet", "results/accounting.json")


def mark_as_old(workflow: StubWorkflow) -> None:
    """Write a text into the published files, without a new time."""
    for name in PUBLISHED:
        path = workflow.directory / name
        time = path.parent.stat().st_mtime_ns
        path.write_text("old")
        os.utime(path, ns=(time, time))


def is_old(workflow: StubWorkflow) -> list[bool]:
    paths = [workflow.directory / name for name in PUBLISHED]
    return [path.is_file() and path.read_text() == "old" for path in paths]


def test_a_failing_job_leaves_the_old_catalogue_and_a_good_one_replaces_it(own: StubWorkflow) -> None:
    mark_as_old(own)
    program = own.root / "scripts" / "catalogue.py"
    working = program.read_text()
    program.write_text(working.replace("import _stub", "raise SystemExit(1)"))
    own.configure({"catalogue.name": "another"})
    assert own.snakemake().returncode == 1
    assert is_old(own) == [True] * 3

    program.write_text(working)
    # The failure is not forgotten: the old catalogue is not taken for the new one.
    assert own.jobs_to_run()["catalogue"] == 1
    own.run()
    assert is_old(own) == [False] * 3
    assert all((own.directory / name).exists() for name in PUBLISHED[1:])
    assert not (own.directory / "results" / "building").exists()
    assert own.jobs_to_run() == {}


def test_a_lost_catalogue_is_made_again(own: StubWorkflow) -> None:
    (own.directory / "results" / "catalogue.parquet").unlink()
    assert set(own.jobs_to_run()) == {"catalogue", "queue_labels", "report"}

"""`tuningfork plan` counts the jobs that Snakemake will have."""

from pathlib import Path

import pytest
import yaml

from dag.stub_workflow import StubWorkflow
from tuningfork.core.config import validate
from tuningfork.survey_plan.costs import jobs_of_stages


@pytest.fixture(scope="module")
def fresh(root: Path, tmp_path_factory: pytest.TempPathFactory) -> StubWorkflow:
    """A workflow that has not run."""
    return StubWorkflow.make(root, tmp_path_factory.mktemp("fresh"))


@pytest.mark.parametrize("changes", [{}, {"selection.galaxies": 0, "train.morphology.start": "random"}])
def test_the_plan_counts_the_jobs_of_a_dry_run(fresh: StubWorkflow, changes: dict) -> None:
    fresh.configure(changes)
    configuration = validate(yaml.safe_load((fresh.directory / "config.yaml").read_text()))
    jobs = fresh.jobs_to_run()
    shards = jobs["stamps"]
    expected = jobs_of_stages(configuration, shards)
    assert jobs | {"publish": 1, "all": 1} == expected

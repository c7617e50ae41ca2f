"""One finished stub run, shared by the tests that only ask what would be rerun."""

import shutil
from pathlib import Path

import pytest

from dag.stub_workflow import StubWorkflow


@pytest.fixture(scope="session")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> StubWorkflow:
    """A finished run; tests must leave it as it is."""
    workflow = StubWorkflow.make(root, tmp_path_factory.mktemp("stub"))
    workflow.run()
    return workflow


@pytest.fixture
def own(finished: StubWorkflow, tmp_path: Path) -> StubWorkflow:
    """A copy of the finished run that a test may change."""
    shutil.copytree(finished.root, tmp_path / "clone")
    shutil.copytree(finished.directory, tmp_path / "run", copy_function=shutil.copy2)
    return StubWorkflow(tmp_path / "clone", tmp_path / "run")

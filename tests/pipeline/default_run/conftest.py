"""The default run, made once and shared by the tests of this folder."""

import os
from pathlib import Path

import pytest

from pipeline.workflow import Run, run_workflow


@pytest.fixture(scope="session")
def default_run(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The workflow with the embedded default configuration, as `make run` starts it.

    TUNINGFORK_DEFAULT_RUN names the working directory of a run to use instead, for the work on these tests.
    """
    given = os.environ.get("TUNINGFORK_DEFAULT_RUN")
    directory = Path(given) if given else tmp_path_factory.mktemp("default")
    run = run_workflow(root, directory)
    assert run.status == 0, run.output[-4000:]
    return run

"""What all tests share."""

import os
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parents[1]
SHARING = ("tests/pipeline/default_run", "tests/slurm")
"""Folders whose tests share a run of the workflow, or a Slurm."""


class FilesAndFolders(LoadFileScheduling):
    """Tests of a file run on one worker, and so do the tests of folders that share something costly."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((folder for folder in SHARING if file.startswith(f"{folder}/")), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesAndFolders | None:
    """Replace the scheduler of `--dist loadfile`."""
    return FilesAndFolders(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real observations; where it is absent the test is skipped, except in CI, where it must run."""
    folder = Path(os.environ.get("TUNINGFORK_REAL_DATA", ""))
    if os.environ.get("TUNINGFORK_REAL_DATA") and folder.is_dir():
        return folder.resolve()
    if os.environ.get("CI"):
        pytest.fail("CI must set TUNINGFORK_REAL_DATA to the folder with real observations")
    pytest.skip("TUNINGFORK_REAL_DATA does not name the folder with real observations")

"""What all tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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

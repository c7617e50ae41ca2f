"""A real browser."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.driver import Browser, browser

HERE = Path(__file__).parent
CANNOT = 77
"""Status of install.sh on a machine where it can not install."""


@pytest.fixture(scope="session")
def chromium() -> None:
    """Chromium and its WebDriver are installed; where they cannot be, the test is skipped, except in CI."""
    done = subprocess.run([HERE / "install.sh"], capture_output=True, text=True, timeout=600)
    if done.returncode == CANNOT and not os.environ.get("CI"):
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.fixture
def window(chromium: None) -> Iterator[Browser]:
    """A fresh browser window."""
    with browser() as opened:
        yield opened

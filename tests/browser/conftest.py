"""A real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.installing import require_installed

from browser.driver import Browser, browser


@pytest.fixture(scope="session")
def chromium() -> None:
    """Chromium and its WebDriver are installed; where they are not, the test is skipped, except in CI."""
    ready = bool(shutil.which("chromium") and shutil.which("chromedriver"))
    require_installed("chromium and chromedriver", Path(__file__).with_name("install.sh"), ready)


@pytest.fixture
def window(chromium: None) -> Iterator[Browser]:
    """A fresh browser window."""
    with browser() as opened:
        yield opened

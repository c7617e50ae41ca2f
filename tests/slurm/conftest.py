"""A real Slurm with two nodes on this machine."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CANNOT = 77
"""Status of install.sh on a machine that it must or can not set up."""


def _up() -> bool:
    try:
        return "is UP" in subprocess.run(["scontrol", "ping"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return False


@pytest.fixture(scope="session")
def slurm() -> Iterator[None]:
    """Slurm runs during the session; where it cannot, the test is skipped, except in CI."""
    was_up = _up()
    done = subprocess.run([HERE / "install.sh"], capture_output=True, text=True, timeout=600)
    if done.returncode == CANNOT and not os.environ.get("CI"):
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr + done.stdout
    yield
    if not was_up:
        subprocess.run([HERE / "stop.sh"], check=True, timeout=60)

"""A real Slurm with two nodes on this machine."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.installing import require_installed

HERE = Path(__file__).parent
SLURM_CONF = Path("/etc/slurm/slurm.conf")
OURS = "# Written by tuningfork's tests/slurm/install.sh"


def _is_up() -> bool:
    """Return whether the Slurm of install.sh runs; the user's own cluster is never used."""
    if not SLURM_CONF.is_file() or OURS not in SLURM_CONF.read_text():
        return False
    return "is UP" in subprocess.run(["scontrol", "ping"], capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def slurm() -> Iterator[None]:
    """Slurm runs during the session; where it does not, the test is skipped, except in CI, which starts it."""
    was_up = _is_up()
    require_installed("a Slurm on this machine", HERE / "install.sh", was_up)
    yield
    if os.environ.get("CI") and not was_up:
        subprocess.run([HERE / "stop.sh"], check=True, timeout=60)

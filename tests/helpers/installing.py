"""Programs that some tests need and that only an administrator can install."""

import os
import subprocess
from pathlib import Path

import pytest


def require_installed(name: str, install: Path, ready: bool) -> None:
    """Let a test go on if it has what it needs: CI installs it, everybody else decides on that.

    Parameters
    ----------
    name : str
        What is needed, as the reader of a skipped test knows it.
    install : Path
        Program that installs it; it does nothing where all is there.
    ready : bool
        Whether it is there already.
    """
    if os.environ.get("CI"):
        done = subprocess.run([install], capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr + done.stdout
    elif not ready:
        shown = "/".join(install.parts[-3:])
        pytest.skip(f"needs {name}: `sudo {shown}` installs it on Debian and Ubuntu; `make test` then runs this test")

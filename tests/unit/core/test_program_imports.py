"""Programs that run no network start without torch, which takes seconds and hundreds of megabytes."""

import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT_TORCH = (
    "audit_votes", "calibrate_votes", "catalogue", "classify", "queue_labels", "selection_function", "simulate",
    "sources", "stamps", "tiles",
)  # fmt: skip
LOADED = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='loaded'); print('torch' in sys.modules)"


@pytest.mark.parametrize("program", WITHOUT_TORCH)
def test_the_program_does_not_load_torch(root: Path, program: str) -> None:
    path = root / "scripts" / f"{program}.py"
    found = subprocess.run([sys.executable, "-c", LOADED, path], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "False"


def test_the_check_would_see_torch(root: Path) -> None:
    path = root / "scripts" / "infer_morphology.py"
    found = subprocess.run([sys.executable, "-c", LOADED, path], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "True"

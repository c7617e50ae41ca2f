"""The checks of `make lint` that are the project's own find what they should find."""

import subprocess
import sys
from pathlib import Path

import pytest

TAKES_MANY = '''
def area(a: int, b: int, c: int) -> int:
    """Return the area."""
    return a * b * c
'''
TAKES_MANY_AND_SAYS_SO = '''
def area(a: int, b: int, c: int) -> int:
    """Return the area.

    Parameters
    ----------
    a, b, c : int

    Returns
    -------
    int
    """
    return a * b * c
'''
GIVES_AN_ARRAY = '''
class Maker:
    def make(self) -> "np.ndarray":
        """Make it."""
'''
NEEDS_NOTHING = '''
def name(a: int, b: int) -> str:
    """Return the name."""

def _private(a: int, b: int, c: int) -> int:
    return a

class Maker:
    @property
    def values(self) -> "np.ndarray":
        """The values."""
'''


def check(root: Path, program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "tests" / "lint" / f"{program}.py", folder]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("code", "faults"),
    [
        (TAKES_MANY, ["area: no Parameters section", "area: no Returns section"]),
        (TAKES_MANY_AND_SAYS_SO, []),
        (GIVES_AN_ARRAY, ["Maker.make: no Returns section"]),
        (NEEDS_NOTHING, []),
    ],
)
def test_missing_sections_of_docstrings_are_found(root: Path, tmp_path: Path, code: str, faults: list[str]) -> None:
    (tmp_path / "module.py").write_text(code)
    done = check(root, "docstrings", tmp_path)
    assert [line.split(" ", 1)[1] for line in done.stdout.splitlines()] == faults
    assert done.returncode == bool(faults)


@pytest.mark.parametrize(("lines", "fails"), [(350, False), (351, True)])
def test_long_modules_are_found(root: Path, tmp_path: Path, lines: int, fails: bool) -> None:
    (tmp_path / "module.py").write_text("pass\n" * lines)
    done = check(root, "sizes", tmp_path)
    assert (f"{lines} lines, above 350" in done.stdout) == fails
    assert done.returncode == fails


@pytest.mark.parametrize(("lines", "fails"), [(60, False), (61, True)])
def test_long_functions_are_found(root: Path, tmp_path: Path, lines: int, fails: bool) -> None:
    (tmp_path / "module.py").write_text("def long():\n" + "    pass\n" * (lines - 1))
    done = check(root, "sizes", tmp_path)
    assert (f"long: {lines} lines, above 60" in done.stdout) == fails
    assert done.returncode == fails


@pytest.mark.parametrize(("modules", "fails"), [(14, False), (15, True)])
def test_crowded_folders_are_found(root: Path, tmp_path: Path, modules: int, fails: bool) -> None:
    (tmp_path / "__init__.py").touch()
    for number in range(modules):
        (tmp_path / f"module_{number}.py").touch()
    done = check(root, "sizes", tmp_path)
    assert (f"{modules} modules, above 14" in done.stdout) == fails
    assert done.returncode == fails

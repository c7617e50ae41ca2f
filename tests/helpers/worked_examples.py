"""The worked examples of the documentation: their blocks of code, and their diffs applied to a copy of the repository."""

import re
import shutil
from pathlib import Path

COPIED = ("src", "config", "scripts", "workflow", "profiles", "envs", "tests", "docs", "slurm")


def copy_repository(root: Path, clone: Path) -> Path:
    """Copy what the programs, the workflow and the tests need."""
    for name in COPIED:
        shutil.copytree(root / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", ".snakemake"))
    for name in ("Snakefile", "Makefile", "pyproject.toml", "README.md", "CONTRIBUTING.md"):
        shutil.copy(root / name, clone)
    return clone


def section(page: Path, heading: str) -> str:
    """Return the text under a heading of the second level."""
    text = page.read_text(encoding="utf-8")
    begin = text.index(f"## {heading}\n")
    end = text.find("\n## ", begin)
    return text[begin:] if end < 0 else text[begin:end]


def blocks(text: str, kind: str) -> list[str]:
    """Return the blocks of code of a kind."""
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


def write_files(text: str, root: Path) -> list[Path]:
    """Write each block of code whose file is named in the sentence before it, and return the files."""
    files = []
    for name, code in re.findall(r"`([\w/]+\.(?:py|smk|yaml))`[^`]*?:[^`]*\n\n```\w+\n(.*?)```", text, re.DOTALL):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
        files.append(path)
    return files


def apply_diff(diff: str, root: Path) -> None:
    """Apply a diff without line numbers: what a hunk keeps or removes must stand in the file exactly once.

    Parameters
    ----------
    diff : str
    root : Path
    """
    for part in re.split(r"^--- a/", diff, flags=re.MULTILINE)[1:]:
        name, _, *hunks = part.split("\n", 2)
        path = root / name
        text = path.read_text(encoding="utf-8")
        for hunk in re.split(r"^@@\n", hunks[0], flags=re.MULTILINE)[1:]:
            lines = hunk.rstrip("\n").split("\n")
            before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
            after = "\n".join(line[1:] for line in lines if not line.startswith("-"))
            assert text.count(before) == 1, f"{name}: {before!r} stands there {text.count(before)} times"
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")

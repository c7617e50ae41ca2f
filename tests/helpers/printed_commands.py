"""The commands that the documentation prints."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

PROGRAMS = (
    "cd", "conda", "echo", "git", "make", "pip", "pytest", "python", "python3", "rsync", "snakemake", "source", "ssh", "sudo",
    "tuningfork",
)  # fmt: skip
"""Words with which a command begins."""


def pages(root: Path) -> list[Path]:
    """Return the pages for people, without notes on what was tried."""
    notes = (root / "docs").rglob("*-notes.md")
    return sorted({root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").rglob("*.md")} - set(notes))


def printed_commands(page: Path) -> list[str]:
    """Return the commands in the blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    blocks = []
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if kind in {"", "bash", "sh", "console"}:
            blocks.append(block)
    indented = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    blocks += [
        re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in re.findall(r"(?:^    .*\n)+", indented, re.M)
    ]
    return [command for block in blocks for command in _commands(block.splitlines()) if _is_command(command)]


def _commands(lines: Iterable[str]) -> list[str]:
    """Join lines that belong to one command: an open quotation or a backslash goes on."""
    commands, pending = [], ""
    for line in lines:
        pending = f"{pending}\n{line}" if pending else line
        if not line.endswith("\\") and _is_whole(pending):
            commands.append(pending)
            pending = ""
    return commands


def _is_whole(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True


def _is_command(text: str) -> bool:
    words = re.sub(r"^(\w+=\S+ )+", "", text).split()
    return bool(words) and words[0].removeprefix(".venv/bin/") in PROGRAMS

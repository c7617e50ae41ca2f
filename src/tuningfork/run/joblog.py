"""What the log of a job says last."""

import re
from pathlib import Path

STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ [A-Z]+ ")
"""Time and level, with which the stages' programs begin a line."""
LAST_BYTES = 16384
REPEAT = " | repeat with: "
"""What parts the cause of a failure from the command that repeats the job (core/stage/program.py)."""


def last_line(log: Path) -> str | None:
    """Return the last line of a log that is not empty, without its time and level; None if there is no such line."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LAST_BYTES))
            lines = [line.strip() for line in file.read().decode("utf-8", errors="replace").splitlines()]
    except OSError:
        return None
    lines = [line for line in lines if line]
    return STAMP.sub("", lines[-1]) if lines else None


def cause_of(log: Path) -> tuple[str, str | None]:
    """Return why a job failed and, where its log says so, the command that repeats it."""
    line = last_line(log)
    if line is None:
        return "the job left no log", None
    cause, _, repeat = line.removeprefix("failed: ").partition(REPEAT)
    return cause, repeat or None

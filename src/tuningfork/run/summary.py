"""What a run has made, and what to do with it."""

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from tuningfork.core.flags import Flag
from tuningfork.core.stage import paths

SHOWN_FLAGS = 5
"""The most frequent flags are listed."""
READ = "python -c \"from astropy.table import Table; print(Table.read('{path}'))\""


def summary(folder: Path = Path()) -> str:
    """Return what the run in a working directory has made, or nothing if it has made no catalogue.

    Parameters
    ----------
    folder : Path
        The working directory, which holds results/.

    Returns
    -------
    str
        Lines about sources, flags, classes, files and the next commands. A damaged file is named in one line.
    """
    accounting, catalogue = folder / paths.ACCOUNTING, folder / paths.CATALOGUE_FILE
    if not accounting.is_file():
        return ""
    try:
        account = json.loads(accounting.read_text(encoding="utf-8"))
        contents = _contents(account.get("total", account), None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{accounting}: no account of a catalogue ({_one_line(error)}); delete it and run again"
    try:
        contents = _contents(account.get("total", account), _flagged(catalogue))
    # PyArrow's faults are OSError, ValueError and KeyError as well.
    except (OSError, ValueError, KeyError, TypeError) as error:
        contents.append(f"{catalogue}: not a readable catalogue ({_one_line(error)}); delete it and run again")
    return "\n".join([*contents, *_files(folder), *_next_commands(folder)])


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _contents(account: dict[str, Any], flagged: int | None) -> list[str]:
    lines = ["", f"{account['sources_in']} sources in, {account['rows_out']} rows in the catalogue"]
    if flagged is not None:
        doubts = [item for item in account["flags"].items() if item[0] != Flag.NOT_BARRED.name]
        frequent = sorted(doubts, key=lambda item: -item[1])[:SHOWN_FLAGS]
        names = ", ".join(f"{name} {number}" for name, number in frequent if number)
        lines.append(f"{flagged} of them are flagged" + (f" (most often: {names})" if names else ""))
    classes = sorted(account["classes"].items(), key=lambda item: -item[1])
    lines.append("classes: " + ", ".join(f"{number} {name}" for name, number in classes))
    if account["tiles"]["missing"]:
        lines.append(f"{account['tiles']['missing']} images are missing: tuningfork missing")
    return lines


def _flagged(catalogue: Path) -> int | None:
    """Return how many rows have a flag; NOT_BARRED describes a galaxy and casts no doubt on its row."""
    if not catalogue.is_file():
        return None
    # Imported here, since the command starts faster without it.
    import pyarrow.parquet as pq

    flags = pq.read_table(catalogue, columns=["flags"])["flags"].to_pylist()
    return sum(value & ~Flag.NOT_BARRED != 0 for value in flags)


def _files(folder: Path) -> list[str]:
    meanings = {
        paths.CATALOGUE_FILE: "the catalogue in one file",
        paths.CATALOGUE: "the same as a HATS catalogue",
        paths.REPORT: "the report: open it in a browser",
    }
    rows = [f"  {folder / path!s:<28}{meaning}" for path, meaning in meanings.items() if (folder / path).exists()]
    return ["", "made:", *rows]


def _next_commands(folder: Path) -> list[str]:
    commands = [f"cd {shlex.quote(str(folder))}"] if folder != Path() else []
    commands += [READ.format(path=paths.CATALOGUE_FILE), "tuningfork label"]
    if shutil.which("tuningfork") is None and (activate := Path(sys.prefix) / "bin" / "activate").is_file():
        commands.insert(0, f"source {_short(activate)}")
    return ["", "next:", *(f"  {command}" for command in commands)]


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)

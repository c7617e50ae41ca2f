"""What every stage's program does around its one function: options, log, one line about a failure."""

import argparse
import errno
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from tuningfork.core.errors import TuningforkError

logger = logging.getLogger(__name__)


def run(parser: argparse.ArgumentParser, function: Callable[[argparse.Namespace], None]) -> None:
    """Parse the options, call `function` with them, and end with a clear message whatever happens.

    The log goes to the file named by `--log` and to standard error. The last line of a failed job's log is
    its cause and the command that repeats it; a traceback is written, to the log alone, only for a fault
    that was not foreseen. Ends the process with status 1 on failure.
    """
    parser.add_argument("--log", type=Path, help="file for the log")
    arguments = parser.parse_args()
    _start_log(arguments.log)
    repeat = shlex.join([sys.executable, *sys.argv])
    logger.info("command: %s", repeat)
    try:
        function(arguments)
    except Exception as error:
        if not _foreseen(error) and arguments.log:
            with arguments.log.open("a", encoding="utf-8") as log:
                traceback.print_exc(file=log)
        logger.error("failed: %s | repeat with: %s", cause_of_failure(error), repeat)
        sys.exit(1)
    logger.info("done")


def _start_log(path: Path | None) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        handlers.append(logging.FileHandler(path, encoding="utf-8"))
    level = os.environ.get("TUNINGFORK_LOG_LEVEL", "INFO")
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s", handlers=handlers, force=True)
    logging.captureWarnings(True)


def _foreseen(error: Exception) -> bool:
    return isinstance(error, TuningforkError | MemoryError) or (
        isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}
    )


def cause_of_failure(error: Exception) -> str:
    """Return in one line what went wrong and, where it is known, what to do."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        where = f" for {error.filename}" if error.filename else f" in {Path.cwd()}"
        return f"no disk space left{where}; free some and run again: nothing unfinished was kept"
    if isinstance(error, OSError) and error.errno in {errno.EACCES, errno.EROFS}:
        return f"{error.filename} cannot be written ({error.strerror}); change its permissions"
    if isinstance(error, MemoryError):
        return "out of memory; give the rule more mem_mb in the profile"
    text = " ".join(str(error).split())
    return text if isinstance(error, TuningforkError) else f"{type(error).__name__}: {text}"

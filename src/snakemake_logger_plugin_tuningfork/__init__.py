"""A logger of Snakemake that writes what happens to jobs, one JSON object per line, for `tuningfork run` to read.

Snakemake finds it by the name of this package. It is idle unless `--logger tuningfork` asks for it.
"""

import json
from dataclasses import dataclass, field
from logging import LogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

FIELDS = {
    "run_info": ("stats",),
    "job_info": ("jobid", "rule_name", "wildcards", "input", "output", "log"),
    "job_started": ("jobs",),
    "job_finished": ("job_id",),
    "job_error": ("jobid", "rule_name", "log"),
    "message": ("msg",),
}
"""Event -> the attributes of Snakemake's record that are written."""


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Settings, which Snakemake offers as `--logger-tuningfork-events`."""

    events: str = field(
        default="", metadata={"help": "file to which the events are appended, one JSON object per line"}
    )


class LogHandler(LogHandlerBase):
    """Append the events to the file that the settings name."""

    def __post_init__(self) -> None:
        """Check that the file is named."""
        self._events = self.settings.events if isinstance(self.settings, LogHandlerSettings) else ""
        if not self._events:
            raise WorkflowError(
                "--logger tuningfork needs --logger-tuningfork-events FILE; `tuningfork run` gives both"
            )

    def emit(self, record: LogRecord) -> None:
        """Write one record; records that nobody asks for are left out."""
        event = str(getattr(record, "event", None) or "message")
        if event not in FIELDS:
            return
        values: dict[str, Any] = {"event": event, "time": record.created}
        values |= {name: getattr(record, name, None) for name in FIELDS[event]}
        with Path(self._events).open("a", encoding="utf-8") as file:
            file.write(json.dumps(values, default=str) + "\n")

    @property
    def writes_to_stream(self) -> bool:
        """Snakemake keeps its own output beside this logger."""
        return False

    @property
    def writes_to_file(self) -> bool:
        """The file is not a log for people, so Snakemake need not name it."""
        return False

    @property
    def has_filter(self) -> bool:
        """Records are chosen in `emit`, whatever `--quiet` says."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Records are written as JSON."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """The graph is not read."""
        return False

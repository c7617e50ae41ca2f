"""Part of a file, with a note of where it came from, so that another attempt, job or run can go on."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tuningfork.core.files import write_text


@dataclass(frozen=True)
class Origin:
    """What a service has said about the file whose part has come.

    Attributes
    ----------
    url : str
    validator : str or None
        Strong entity tag or date of the last change, by which the service knows whether its file is still the same.
    length : int or None
        Bytes of the whole file.
    """

    url: str
    validator: str | None
    length: int | None


class Partial:
    """A file that is not whole yet, in a hidden folder.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = path.with_name(f"{path.name}.origin.json")

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def origin(self, url: str) -> Origin | None:
        """Return what is known of the part that has come; None if it cannot be used for `url`."""
        try:
            origin = Origin(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        usable = origin.url == url and origin.validator and self.size and self.size <= (origin.length or self.size)
        return origin if usable else None

    def begin(self, origin: Origin) -> None:
        """Start from nothing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # In this order, a kill at any point leaves no part with another part's note.
        self.path.unlink(missing_ok=True)
        write_text(self._note, json.dumps(asdict(origin)))
        self.path.touch()

    def discard(self) -> None:
        """Forget what has come."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

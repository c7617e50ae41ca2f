"""Partial files, with a note of their origin, so that another attempt, job or run can continue them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tuningfork.core.files import write_text


@dataclass(frozen=True)
class Origin:
    """What a service said about a file of which a part has been received.

    Attributes
    ----------
    url : str
    validator : str or None
        Strong entity tag or date of the last change, by which the service recognises whether its file is unchanged.
    length : int or None
        Size of the whole file (bytes).
    """

    url: str
    validator: str | None
    length: int | None


class Partial:
    """A file that is not complete yet, in a hidden folder.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = path.with_name(f"{path.name}.origin.json")

    @property
    def size(self) -> int:
        """Number of bytes received."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def origin(self, url: str) -> Origin | None:
        """Return the origin of the part that has been received, or None if the part cannot be used for `url`."""
        try:
            origin = Origin(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        usable = origin.url == url and origin.validator and self.size and self.size <= (origin.length or self.size)
        return origin if usable else None

    def begin(self, origin: Origin) -> None:
        """Start with an empty file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # In this order, a process killed at any point leaves no part with the note of another part.
        self.path.unlink(missing_ok=True)
        write_text(self._note, json.dumps(asdict(origin)))
        self.path.touch()

    def discard(self) -> None:
        """Delete what has been received."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

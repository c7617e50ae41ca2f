"""Whether a run works in this folder."""

from pathlib import Path

LOCKS = Path(".snakemake/locks")
"""Where Snakemake notes which files a run reads and writes, as long as it works."""


def is_locked() -> bool:
    """Return whether a run has locked the folder, or was killed before it could unlock it."""
    return LOCKS.is_dir() and any(LOCKS.iterdir())

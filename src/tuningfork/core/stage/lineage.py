"""Lineages: stage -> hash of the frozen parameters by which something was made."""

from collections.abc import Mapping
from pathlib import Path


class Lineage(dict[str, str]):
    """A lineage that also knows from which file it has the hash of each stage.

    Attributes
    ----------
    files : dict
        Stage -> path.
    """

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, str | Path] = {}

    def disagreement(self, lineage: Mapping[str, str]) -> str | None:
        """Return the first stage of which another lineage has results that are not interchangeable with these."""
        return next(
            (stage for stage, digest in lineage.items() if not same_digest(self.get(stage, digest), digest)), None
        )

    def add(self, path: str | Path, lineage: Mapping[str, str]) -> None:
        """Add the lineage of the file `path`.

        Where a hash `<earlier>+<present>` meets the plain `<earlier>`, the former is kept: it says that the results were
        accepted after an upgrade.
        """
        for stage, digest in lineage.items():
            if len(digest) > len(self.get(stage, "")):
                self[stage] = digest
                self.files[stage] = path


def base_digest(digest: str) -> str:
    """Return the hash of the parameters by which results were made, without those that accepted them later."""
    return digest.partition("+")[0]


def same_digest(one: str, other: str) -> bool:
    """Return whether two hashes stand for interchangeable results."""
    return base_digest(one) == base_digest(other)

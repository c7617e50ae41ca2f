"""The tiles that a run could not fetch, and how to have them fetched again."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from tuningfork.core.errors import InputError


@dataclass(frozen=True)
class MissingImage:
    """One band of a tile that could not be fetched.

    Attributes
    ----------
    manifest : Path
        Manifest of the shard that says so.
    tile, band, reason : str
    """

    manifest: Path
    tile: str
    band: str
    reason: str

    @property
    def shard(self) -> str:
        """Name of the shard."""
        return self.manifest.stem


def find_missing(manifests: Path) -> list[MissingImage]:
    """Return the images that are missing according to the manifests in a folder, in order of shard, tile and band.

    Raises
    ------
    InputError
        If a manifest cannot be read.
    """
    missing = []
    for path in sorted(manifests.glob("*.parquet")):
        try:
            table = pq.read_table(
                path, columns=["tile", "band", "status", "reason"], filters=[("status", "!=", "ok")], partitioning=None
            )
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: not a manifest of tiles ({error}); delete it and run again") from None
        missing += [MissingImage(path, row["tile"], row["band"], row["reason"]) for row in table.to_pylist()]
    return missing


def ask_again(missing: list[MissingImage]) -> int:
    """Delete the manifests that name missing tiles, so that the next run fetches these tiles, and return their number.

    Files that are already in the cache are not transferred again.
    """
    manifests = {item.manifest for item in missing}
    for path in manifests:
        path.unlink(missing_ok=True)
    return len(manifests)


def describe(missing: list[MissingImage]) -> str:
    """Return a text with one line for each missing image, and the total."""
    if not missing:
        return "No tile is missing."
    lines = [f"{item.shard}  {item.tile}  {item.band}  {item.reason}" for item in missing]
    tiles, shards = len({item.tile for item in missing}), len({item.shard for item in missing})
    return "\n".join([*lines, "", f"{len(missing)} images of {tiles} tiles are missing in {shards} shards."])

"""The layout of HATS catalogues (IVOA note 1.0): Parquet files by HEALPix pixel, and a file of properties."""

import re
from collections.abc import Sequence
from pathlib import Path

from tuningfork.sky.shards import Shard

PIXELS_PER_FOLDER = 10_000
PROPERTY_FILES = ("hats.properties", "properties")
"""Names of the file of properties, the current one first."""


def partition_path(shard: Shard, ending: str = ".parquet") -> Path:
    """Return the path of a shard's file relative to the folder `dataset`."""
    folder = shard.pixel // PIXELS_PER_FOLDER * PIXELS_PER_FOLDER
    return Path(f"Norder={shard.order}", f"Dir={folder}", f"Npix={shard.pixel}{ending}")


def read_properties(folder: Path, names: Sequence[str] = PROPERTY_FILES) -> dict[str, str] | None:
    """Return the properties of a catalogue or collection, or None if the folder has no file of properties."""
    for name in names:
        path = folder / name
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            pairs = [line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#")]
            return {key.strip(): re.sub(r"\\(.)", r"\1", value.strip()) for key, _, value in pairs}
    return None

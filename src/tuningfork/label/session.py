"""What the labelling page shows and records: the queue, the stamps of the run, and the votes."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from tuningfork.core.decision_tree import questions
from tuningfork.core.errors import InputError
from tuningfork.core.stage import paths
from tuningfork.core.tables import lineage_of, read_table
from tuningfork.label.store import LabelledStamp, VoteStore
from tuningfork.report.images import colour
from tuningfork.stamps.store import StampFiles, open_store, survey_of

MAX_NAME_LENGTH = 64
"""Characters in the name of a labeller."""


@dataclass(frozen=True)
class ShardStamps:
    """The stamps of one shard."""

    table: pa.Table
    pixels: np.ndarray
    bands: list[str]
    reference_band: str
    lineage: Mapping[str, str]


class LabelSession:
    """Galaxies are named by their place in the queue: a source_id has more digits than JavaScript's numbers.

    Parameters
    ----------
    results : Path
        Folder of a run.
    labels : Path
        Folder of the votes.

    Raises
    ------
    InputError
        There is no queue, its stamps were removed, or it is older than its stamps.
    """

    def __init__(self, results: Path, labels: Path) -> None:
        path = results / Path(paths.QUEUE).relative_to(paths.RESULTS)
        self._queue = read_table(path).to_pylist()
        if not self._queue:
            raise InputError(f"{path}: no source to label; raise label.queue or process more of the sky")
        self._shards = {name: _open(results, name) for name in sorted({row["shard"] for row in self._queue})}
        for row in self._queue:
            table = self._shards[row["shard"]].table
            if row["row"] >= table.num_rows or table["source_id"][row["row"]].as_py() != row["source_id"]:
                raise InputError(f"{path}: does not fit the stamps of shard {row['shard']}; run the workflow again")
        self._store = VoteStore(labels)

    def __len__(self) -> int:
        return len(self._queue)

    def overview(self, labeller: str) -> dict[str, Any]:
        """Return the questions, and the galaxies with whether this labeller has labelled them."""
        done = self._store.labelled(_name(labeller))
        galaxies = [
            {"source_id": str(row["source_id"]), "ra": row["ra"], "dec": row["dec"], "reason": row["reason"],
             "width": self._width(row), "labelled": row["source_id"] in done}
            for row in self._queue
        ]  # fmt: skip
        tree = [
            {"name": entry.name, "text": entry.text, "answers": list(entry.answers), "after": entry.after}
            for entry in questions()
        ]
        return {"questions": tree, "galaxies": galaxies}

    def picture(self, place: int) -> bytes:
        """Return a PNG in colour, north as the stamp has it."""
        seen = self._seen(place)
        noise = np.array([seen.columns[f"sky_noise_{band}"] or np.nan for band in seen.bands], dtype=float)
        image = np.where(seen.stamp[1] > 0, seen.stamp[0], 0)
        file = io.BytesIO()
        Image.fromarray(colour(image, noise)).save(file, "PNG")
        return file.getvalue()

    def vote(self, place: int, labeller: str, answers: Mapping[str, Any]) -> None:
        """Record the answers about a galaxy.

        Parameters
        ----------
        place : int
            Place of the galaxy in the queue.
        labeller : str
        answers : mapping
            Question -> answer.

        Raises
        ------
        InputError
            See :meth:`tuningfork.label.store.VoteStore.record`.
        """
        self._store.record(self._seen(place), _name(labeller), answers)

    def withdraw(self, place: int, labeller: str) -> None:
        """Take back the answers about a galaxy."""
        self._store.withdraw(self._row(place)["source_id"], _name(labeller))

    def _row(self, place: int) -> dict[str, Any]:
        if not 0 <= place < len(self._queue):
            raise InputError(f"galaxy {place}: the queue has the places 0 to {len(self._queue) - 1}")
        return self._queue[place]

    def _width(self, row: Mapping[str, Any]) -> float | None:
        """Return the width of the stamp on the sky (arcsec)."""
        shard = self._shards[row["shard"]]
        scale = shard.table["pixel_scale"][row["row"]].as_py()
        return None if scale is None else round(scale * shard.pixels.shape[-1], 1)

    def _seen(self, place: int) -> LabelledStamp:
        row = self._row(place)
        shard = self._shards[row["shard"]]
        columns = shard.table.slice(row["row"], 1).to_pylist()[0]
        stamp = np.array(shard.pixels[row["row"]], dtype=np.float32)
        return LabelledStamp(
            row["source_id"], row["shard"], row["ra"], row["dec"], stamp, columns, shard.bands, shard.reference_band,
            shard.lineage,
        )  # fmt: skip


def _open(results: Path, name: str) -> ShardStamps:
    path, pixels_path = (
        results / Path(form.format(shard=name)).relative_to(paths.RESULTS)
        for form in (paths.STAMPS_TABLE, paths.STAMPS)
    )
    if not path.is_file() or not pixels_path.is_file():
        raise InputError(
            f"{path}: the stamps of the queue were removed; run the workflow with --notemp, which keeps them"
        )
    bands, reference_band = survey_of(path)
    table, pixels = open_store(StampFiles(path, pixels_path), bands, reference_band)
    return ShardStamps(table, pixels, bands, reference_band, lineage_of(path))


def _name(labeller: Any) -> str:
    """Check the name of a labeller."""
    name = labeller.strip() if isinstance(labeller, str) else ""
    if not (0 < len(name) <= MAX_NAME_LENGTH and name.isprintable()):
        raise InputError(f"name of the labeller {labeller!r}: expected 1 to {MAX_NAME_LENGTH} printable characters")
    return name

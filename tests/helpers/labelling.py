"""A small run with a queue, and a server on it, for the tests of labelling."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.synthetic_results import parameters, results
from tuningfork.catalogue.merge import build_catalogue
from tuningfork.label.queue import build_queue
from tuningfork.label.server import LabelServer
from tuningfork.label.session import LabelSession

SMOOTH = {"smooth_or_featured": "smooth", "merging": "none"}
BARRED = {
    "smooth_or_featured": "featured", "edge_on": "no", "bar": "yes", "spiral_arms": "yes", "bulge_size": "small",
    "merging": "none",
}  # fmt: skip


def labelled_run(folder: Path, queue: int = 6, rare_fraction: float = 0.25) -> Path:
    """Write a run with a catalogue and a queue into `folder`, and return it."""
    run = results(folder)
    files = run.catalogue_files()
    build_catalogue(parameters("catalogue"), files)
    build_queue(
        parameters("queue_labels", label={"queue": queue, "rare_fraction": rare_fraction}),
        morphology=run.paths("morphology"),
        stamps=run.paths("stamps"),
        catalogue=files.table,
        output=folder / "labels" / "queue.parquet",
    )
    return folder


@contextmanager
def serving(run: Path, labels: Path, host: str = "127.0.0.1", token: str | None = None) -> Iterator[LabelServer]:
    """Serve the labelling page of a run on a free port."""
    with LabelServer(LabelSession(run, labels), host, 0, token) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

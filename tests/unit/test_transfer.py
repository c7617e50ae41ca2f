"""Transfers: retries, limits, verification, and files that appear whole or not at all."""

import bz2
import gzip
import io
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from tuningfork.core.config.stages import Tiles
from tuningfork.core.errors import TransferError
from tuningfork.core.files import replacing
from tuningfork.surveys import transfer
from tuningfork.surveys.base import FetchedTile, Tile
from tuningfork.surveys.manifest import fetch_all, read_tiles
from tuningfork.surveys.transfer import AttemptError, attempt, download, verify_fits

QUICK = Tiles(timeout=2.0, retries=3, backoff=0.001)
Answer = tuple[int, dict[str, str], bytes]


def fits_bytes(size: int = 50) -> bytes:
    buffer = io.BytesIO()
    fits.PrimaryHDU(np.arange(size * size, dtype=np.float32).reshape(size, size)).writeto(buffer)
    return buffer.getvalue()


@pytest.fixture
def server() -> Iterator[tuple[str, list[Answer | bytes], list[str]]]:
    """A server that gives the listed answers one after the other, the last one for ever; bytes are a cut connection."""
    answers: list[Answer | bytes] = []
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            status, headers, body = (200, {}, answer) if isinstance(answer, bytes) else answer
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body) * (2 if isinstance(answer, bytes) else 1)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_address[1]}/frame.fits.bz2", answers, seen
    http.shutdown()
    http.server_close()


def test_passing_faults_are_retried(server: Any, tmp_path: Path) -> None:
    url, answers, seen = server
    whole = bz2.compress(fits_bytes())
    answers += [(503, {"Retry-After": "0"}, b""), (429, {}, b""), whole[:100], (200, {}, whole)]
    download(url, tmp_path / "f.fits.bz2", QUICK, verify_fits)
    assert len(seen) == 4
    assert (tmp_path / "f.fits.bz2").read_bytes() == whole


def test_a_missing_file_is_not_asked_for_again(server: Any, tmp_path: Path) -> None:
    url, answers, seen = server
    answers.append((404, {}, b"nothing"))
    with pytest.raises(TransferError, match=r"frame\.fits\.bz2: HTTP 404$"):
        download(url, tmp_path / "f", QUICK, verify_fits)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((503, {}, b""), "HTTP 503"),
        ((200, {}, b"<!DOCTYPE html><html>Down</html>"), "got an HTML page"),
        ((200, {}, b""), "got nothing"),
        ((200, {}, b"not FITS at all"), "got something else"),
        ((200, {}, bz2.compress(fits_bytes())[:-40]), "cut short"),
        ((200, {}, gzip.compress(fits_bytes())[:-40]), "cut short"),
        ((200, {}, fits_bytes()[:-100]), "cut short"),
        (fits_bytes(), "before the whole answer had come"),
    ],
)
def test_an_answer_that_stays_bad_leaves_a_reason_and_no_file(
    server: Any, tmp_path: Path, answer: Answer | bytes, reason: str
) -> None:
    url, answers, seen = server
    answers.append(answer)
    with pytest.raises(TransferError, match=rf"{reason}.* \(gave up after 4 attempts\)"):
        download(url, tmp_path / "f", QUICK, verify_fits)
    assert len(seen) == 4
    assert list(tmp_path.iterdir()) == []


def test_no_network_names_the_address(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match=r"http://127\.0\.0\.1:9/x: no connection .*gave up after 4 attempts"):
        download("http://127.0.0.1:9/x", tmp_path / "f", QUICK, verify_fits)


def test_a_file_that_is_too_large_is_refused_at_once(server: Any, tmp_path: Path, monkeypatch: Any) -> None:
    url, answers, seen = server
    monkeypatch.setattr(transfer, "MAX_BYTES", 1000)
    answers.append((200, {}, fits_bytes()))
    with pytest.raises(TransferError, match="more than the limit"):
        download(url, tmp_path / "f", QUICK, verify_fits)
    assert len(seen) == 1


def test_a_full_disk_is_no_fault_of_the_service(server: Any, tmp_path: Path, monkeypatch: Any) -> None:
    url, answers, _ = server
    answers.append((200, {}, fits_bytes()))

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    with pytest.raises(OSError, match="No space left"):
        download(url, tmp_path / "f", QUICK, full)


def test_pauses_double_and_jitter(monkeypatch: Any) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(transfer.time, "sleep", pauses.append)

    def never() -> None:
        raise AttemptError("no")

    with pytest.raises(TransferError):
        attempt(never, "thing", Tiles(retries=4, backoff=1.0))
    assert len(pauses) == 4
    assert all(0.5 * 2**k <= pause <= 1.5 * 2**k for k, pause in enumerate(pauses))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_whole_files_pass(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "f"
    path.write_bytes(pack(fits_bytes()))
    verify_fits(path)


def test_the_manifest_has_a_row_for_every_tile_and_band(tmp_path: Path) -> None:
    class OneFile:
        def fetch(self, tile: Tile, cache: Path, _: Tiles) -> FetchedTile:
            if tile.name == "bad":
                return FetchedTile("bad", {}, dict.fromkeys("gr", "HTTP 404"))
            with replacing(cache / "one.fits") as path:
                path.write_bytes(b"x")
            return FetchedTile(tile.name, {"r": "one.fits"}, {"g": "HTTP 503"})

    tiles = [Tile("bad", np.nan, np.nan), Tile("good", 1.0, 2.0)]
    manifest = fetch_all(OneFile(), tiles, ["g", "r"], tmp_path, QUICK)  # type: ignore[arg-type]
    assert manifest["tile"].to_pylist() == ["bad", "bad", "good", "good"]
    assert manifest["status"].to_pylist() == ["missing", "missing", "missing", "ok"]
    assert manifest["reason"].to_pylist() == ["HTTP 404", "HTTP 404", "HTTP 503", None]
    assert manifest["bytes"].to_pylist() == [None, None, None, 1]
    assert read_tiles(manifest)["good"] == (tiles[1], FetchedTile("good", {"r": "one.fits"}, {"g": "HTTP 503"}))

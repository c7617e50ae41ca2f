"""Transfers of single files over a real connection: faults, continuation, verification, and what is said of them."""

import errno
import hashlib
import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from helpers.servers.base import Answer, Service
from helpers.servers.faults import HEALING, Fault, Faults
from helpers.transfers import settings, small_disk

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import InputError, TransferError
from tuningfork.surveys.transfer import attempts, download
from tuningfork.surveys.transfer.attempts import AttemptError, attempt, retry_after
from tuningfork.surveys.transfer.network import Network

TESTS = Path(__file__).resolve().parents[3]


def fits_bytes(size: int = 300, seed: int = 1) -> bytes:
    """Return an image with checksums after an empty primary HDU."""
    pixels = np.random.default_rng(seed).normal(size=(size, size)).astype(np.float32)
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels)]).writeto(buffer, checksum=True)
    return buffer.getvalue()


WHOLE = fits_bytes()
SILENT = {Fault.HANG, Fault.STALL, Fault.DRIP}


def visible(folder: Path) -> list[str]:
    """Return the files of the cache that have their final names."""
    cache = folder / "cache"
    return sorted(
        str(path.relative_to(cache))
        for path in cache.rglob("*")
        if path.is_file() and not path.relative_to(cache).parts[0].startswith(".")
    )


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.glob("cache/.transfer/parts/*") if path.is_file()]


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(lambda request: Answer(WHOLE)) as service:
        yield service


@pytest.mark.parametrize("fault", HEALING)
def test_a_fault_that_passes_leaves_the_whole_file(service: Service, tmp_path: Path, fault: Fault) -> None:
    service.faults = Faults(kinds=[fault], least=2, most=2)
    network = Network(settings(tmp_path, timeout=0.4 if fault in SILENT else 5.0))
    assert network.file(f"{service.url}/x.fits", "a/x.fits") == "a/x.fits"
    assert service.faults.injected == {fault: 2}
    assert len(service.requests) == 3
    assert (tmp_path / "cache/a/x.fits").read_bytes() == WHOLE
    assert parts(tmp_path) == []


@pytest.mark.parametrize("seed", range(25))
def test_any_sequence_of_faults_leaves_the_whole_file(service: Service, tmp_path: Path, seed: int) -> None:
    kinds = [fault for fault in HEALING if fault not in SILENT]
    service.faults = Faults(seed, kinds, least=4, most=8)
    service.ranges = seed % 5 > 0
    Network(settings(tmp_path, retries=8)).file(f"{service.url}/x.fits", "x.fits")
    assert (tmp_path / "cache/x.fits").read_bytes() == WHOLE
    assert len(service.sent) == 1


REASONS = {
    Fault.UNAVAILABLE: "HTTP 503",
    Fault.TOO_MANY: "HTTP 429",
    Fault.RESET: "the connection broke",
    Fault.HANG: "no answer in time",
    Fault.STALL: "no answer in time",
    Fault.DRIP: "too slowly",
    Fault.CUT: "the connection broke",
    Fault.TRUNCATED: "truncated",
    Fault.LONG: "too long",
    Fault.FLIPPED: "damaged",
    Fault.HTML: r"expected a FITS file, got an HTML page",
}


@pytest.mark.parametrize(("fault", "reason"), REASONS.items())
def test_a_fault_that_stays_is_named_and_leaves_no_file(
    service: Service, tmp_path: Path, fault: Fault, reason: str
) -> None:
    service.ranges = False
    service.faults = Faults(permanent={"/x.fits": fault})
    with pytest.raises(TransferError, match=rf"/x\.fits: .*{reason}.*gave up after 3 attempts\); check the network"):
        Network(settings(tmp_path, retries=2, timeout=0.2 if fault in SILENT else 5.0)).file(
            f"{service.url}/x.fits", "x.fits"
        )
    assert len(service.requests) == 3
    assert visible(tmp_path) == []


def test_a_missing_file_is_not_asked_for_again(service: Service, tmp_path: Path) -> None:
    service.faults = Faults(permanent={"/x.fits": Fault.GONE})
    with pytest.raises(TransferError, match=r"/x\.fits: HTTP 404 \(1 attempt\); the service does not have this file"):
        Network(settings(tmp_path)).file(f"{service.url}/x.fits", "x.fits")
    assert len(service.requests) == 1


def test_no_network_names_the_address(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match=r"http://127\.0\.0\.1:9/x: no connection .*gave up after 4 attempts"):
        Network(settings(tmp_path)).file("http://127.0.0.1:9/x", "x")


def test_a_broken_transfer_goes_on_where_it_stopped(service: Service, tmp_path: Path) -> None:
    service.faults = Faults(kinds=[Fault.CUT], least=1, most=1)
    Network(settings(tmp_path)).file(f"{service.url}/x.fits", "x.fits")
    assert [request.headers.get("Range") for request in service.requests] == [None, f"bytes={len(WHOLE) // 2}-"]
    assert service.sent == [("/x.fits", 206, len(WHOLE) - len(WHOLE) // 2)]


def test_a_file_that_changed_meanwhile_is_fetched_anew(tmp_path: Path) -> None:
    newer = fits_bytes(seed=2)
    bodies = iter([WHOLE, newer])
    with Service(lambda request: Answer(next(bodies)), Faults(kinds=[Fault.CUT], least=1, most=1)) as service:
        Network(settings(tmp_path)).file(f"{service.url}/x.fits", "x.fits")
    assert [status for _, status, _ in service.sent] == [200]
    assert (tmp_path / "cache/x.fits").read_bytes() == newer


def test_a_part_longer_than_the_file_is_thrown_away(service: Service, tmp_path: Path) -> None:
    """The service has a shorter file now and sends no entity tag that would tell so."""
    short = fits_bytes(50)
    bodies = iter([WHOLE, short, short])
    fixed = {"ETag": '"same"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    with Service(lambda r: Answer(next(bodies), headers=fixed), Faults(kinds=[Fault.CUT], least=1, most=1)) as service:
        Network(settings(tmp_path)).file(f"{service.url}/x.fits", "x.fits")
    assert (tmp_path / "cache/x.fits").read_bytes() == short


KILLED = """
import sys
from pathlib import Path
from tuningfork.core.config.transfer import Transfer
from tuningfork.surveys.transfer.network import Network
Network(Transfer(cache=sys.argv[2], timeout=30.0)).file(sys.argv[1], "x.fits")
"""


def test_a_killed_process_leaves_its_part_to_the_next(service: Service, tmp_path: Path) -> None:
    service.faults = Faults(kinds=[Fault.STALL], least=1, most=1)
    url = f"{service.url}/x.fits"
    process = subprocess.Popen([sys.executable, "-c", KILLED, url, str(tmp_path / "cache")])
    limit = time.monotonic() + 20
    while sum(path.stat().st_size for path in parts(tmp_path)) < len(WHOLE) // 2 and time.monotonic() < limit:
        time.sleep(0.01)
    assert visible(tmp_path) == []
    process.send_signal(signal.SIGKILL)
    process.wait()
    began = time.monotonic()
    Network(settings(tmp_path)).file(url, "x.fits")
    assert time.monotonic() - began < 5
    assert service.sent == [("/x.fits", 206, len(WHOLE) - len(WHOLE) // 2)]
    assert (tmp_path / "cache/x.fits").read_bytes() == WHOLE


def test_progress_counts_as_success_in_part(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that breaks now and then brings a large file in the end, with hardly any retries."""
    monkeypatch.setattr(download, "PROGRESS_BYTES", 1000)
    service.faults = Faults(kinds=[Fault.CUT], least=6, most=6)
    Network(settings(tmp_path, retries=1)).file(f"{service.url}/x.fits", "x.fits")
    assert (tmp_path / "cache/x.fits").read_bytes() == WHOLE


def test_a_file_that_is_too_large_is_refused_at_once(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_FILE_BYTES", 1000)
    with pytest.raises(TransferError, match="the limit is"):
        Network(settings(tmp_path)).file(f"{service.url}/x.fits", "x.fits")
    assert len(service.requests) == 1


def test_a_published_checksum_must_be_right(service: Service, tmp_path: Path) -> None:
    network = Network(settings(tmp_path))
    service.faults = Faults(kinds=[Fault.FLIPPED], least=2, most=2)
    right = hashlib.sha256(WHOLE).hexdigest()
    network.file(f"{service.url}/x", "good", verify=lambda path: None, sha256=right.upper())
    assert (tmp_path / "cache/good").read_bytes() == WHOLE
    service.faults = None
    with pytest.raises(TransferError, match=r"SHA-256 .* is published, twice .*2 attempts\); .*delete the list"):
        network.file(f"{service.url}/x", "bad", sha256="0" * 64)
    assert visible(tmp_path) == ["good"]


def test_a_full_disk_is_a_fault_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "cache", "300k") as disk, Service(lambda request: Answer(WHOLE)) as service:
        network = Network(settings(tmp_path))

        def attempts() -> Iterator[Callable[[], str]]:
            yield lambda: network.file(f"{service.url}/x.fits", "x.fits")
            monkeypatch.setattr(download, "_check_room", lambda *_: None)
            yield lambda: network.file(f"{service.url}/x.fits", "x.fits")
            yield lambda: network.make("x.npy", lambda path: np.save(path, np.zeros(100_000)))
            image = fits.PrimaryHDU(np.zeros((400, 400)))
            yield lambda: network.make("x.fits", image.writeto)

        for attempt in attempts():
            with pytest.raises(OSError, match="No space left") as caught:
                attempt()
            assert caught.value.errno == errno.ENOSPC
            assert str(disk) in str(caught.value.filename)
            assert parts(tmp_path) == []
            assert visible(tmp_path) == []
        assert len(service.requests) == 2


def test_offline_says_what_is_missing(service: Service, tmp_path: Path) -> None:
    Network(settings(tmp_path)).file(f"{service.url}/x.fits", "x.fits")
    offline = Network(settings(tmp_path, offline=True))
    assert offline.file(f"{service.url}/x.fits", "x.fits") == "x.fits"
    with pytest.raises(TransferError, match=r"offline: .*/y\.fits is not in the cache .*; set transfer\.offline"):
        offline.file(f"{service.url}/y.fits", "y.fits")
    with pytest.raises(TransferError, match="offline"):
        offline.session()
    assert len(service.requests) == 1


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ".transfer/size.json", "a//b", "", "a\nb", "x" * 300])
def test_names_cannot_leave_the_cache(tmp_path: Path, name: str) -> None:
    network = Network(settings(tmp_path))
    with pytest.raises(InputError, match="not the name of a file in the cache"):
        network.make(name, lambda path: path.touch())
    with pytest.raises(InputError, match="not the name of a file in the cache"):
        network.file("http://127.0.0.1:9/x", name)


def test_pauses_double_and_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(attempts.time, "sleep", pauses.append)

    def never() -> None:
        raise AttemptError("no")

    with pytest.raises(TransferError):
        attempt(never, "thing", Transfer(retries=12, backoff=1.0))
    assert len(pauses) == 12
    assert all(0.5 <= pause / min(2**k, attempts.MAX_RETRY_PAUSE) <= 1.5 for k, pause in enumerate(pauses))
    assert len({pause / 2**k for k, pause in enumerate(pauses)}) == 12


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("Mon, 01 Jan 2024 00:00:30 GMT", 30.0),
        ("Sun, 31 Dec 2023 00:00:00 GMT", 0.0),
        ("100000", attempts.MAX_RETRY_AFTER),
        ("soon", 0.0),
        ("", 0.0),
        ("-5", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float) -> None:
    assert retry_after(text, "Mon, 01 Jan 2024 00:00:00 GMT") == seconds

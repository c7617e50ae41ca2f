"""The cache that jobs share: each file comes once, and they stay within bounds together."""

import errno
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.servers.base import Answer, Service
from helpers.servers.faults import Fault, Faults
from helpers.transfers import anything, in_processes, settings

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import ConfigurationError
from tuningfork.surveys.transfer import ledger
from tuningfork.surveys.transfer.network import Network


def fetch_one(values: Transfer, url: str) -> None:
    Network(values).file(url, "tile.fits", verify=anything)


def test_eight_jobs_that_want_the_same_file_transfer_it_once(tmp_path: Path) -> None:
    faults = Faults(kinds=[Fault.CUT], least=1, most=1)
    with Service(lambda request: Answer(bytes(200_000)), faults) as service:
        in_processes(fetch_one, *[(settings(tmp_path), f"{service.url}/tile")] * 8)
        network = Network(settings(tmp_path))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: network.file(f"{service.url}/t2", "t2", verify=anything), range(8)))
    assert [(path, status) for path, status, _ in service.sent] == [("/tile", 206), ("/t2", 206)]
    assert len(service.requests) == 4


def make_one(values: Transfer, log: Path) -> None:
    def write(path: Path) -> None:
        with log.open("a") as file:
            file.write("made\n")
        time.sleep(0.2)
        path.write_bytes(b"x" * 1000)

    network = Network(values)
    network.make("made/file.bin", write)
    assert network.path("made/file.bin").read_bytes() == b"x" * 1000


def test_eight_jobs_that_make_the_same_file_make_it_once(tmp_path: Path) -> None:
    in_processes(make_one, *[(settings(tmp_path), tmp_path / "log")] * 8)
    assert (tmp_path / "log").read_text() == "made\n"


def test_what_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    network = Network(settings(tmp_path))

    def write(path: Path) -> None:
        path.write_bytes(b"half")
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        network.make("a", write)
    assert not network.path("a").exists()
    assert list((tmp_path / "cache/.transfer/parts").iterdir()) == []
    network.make("a", lambda path: path.write_bytes(b"whole") and None)
    assert network.path("a").read_bytes() == b"whole"


def fill(network: Network, names: list[str], size: int = 1000) -> None:
    for name in names:
        network.make(name, lambda path: path.write_bytes(bytes(size)) and None)


def age(network: Network, name: str, hours: float) -> None:
    when = time.time() - 3600 * hours
    os.utime(network.folder / name, (when, when))


def test_the_files_used_longest_ago_leave_a_full_cache(tmp_path: Path) -> None:
    network = Network(settings(tmp_path, cache_size=10_500e-9))
    own = network.folder / "notes-of-the-user"
    own.mkdir(parents=True)
    (own / "thesis.tex").write_bytes(bytes(50_000))
    names = [f"survey/{number}" for number in range(10)]
    fill(network, names)
    for place, name in enumerate(names):
        age(network, name, 30 - place)
    assert network.file("https://survey.example/0", "survey/0") == "survey/0"
    network.path("survey/3")
    fill(network, ["survey/new"])
    left = {path.name for path in (network.folder / "survey").iterdir()}
    assert left == {"0", "3", "4", "5", "6", "7", "8", "9", "new"}
    assert (own / "thesis.tex").exists()


def fill_many(values: Transfer, job: int) -> None:
    network = Network(values)
    rng = np.random.default_rng(job)
    for number in rng.integers(0, 60, 40).tolist():
        network.make(f"survey/{number}", lambda path: path.write_bytes(bytes(1000)) and None)


def test_the_bound_holds_whatever_jobs_do_at_once(tmp_path: Path) -> None:
    values = settings(tmp_path, cache_size=20_000e-9)
    in_processes(fill_many, *[(values, job) for job in range(4)])
    files = list((tmp_path / "cache/survey").iterdir())
    assert sum(path.stat().st_size for path in files) <= 20_000
    assert json.loads((tmp_path / "cache/.transfer/size.json").read_text())["bytes"] == 1000 * len(files)
    listed = (tmp_path / "cache/.transfer/files.txt").read_text().split()
    assert {f"survey/{path.name}" for path in files} == set(listed)


def test_the_files_are_looked_at_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    look = ledger.Ledger._look
    monkeypatch.setattr(ledger.Ledger, "_look", lambda self, names: looks.append(len(names)) or look(self, names))
    fill(Network(settings(tmp_path, cache_size=100_000e-9)), [f"f{number}" for number in range(150)])
    assert len(looks) < 10


def test_old_parts_are_dropped(tmp_path: Path) -> None:
    network = Network(settings(tmp_path, cache_size=1000e-9))
    parts = network.folder / ".transfer" / "parts"
    parts.mkdir(parents=True)
    for name, hours in (("old", 8 * 24), ("new", 1)):
        (parts / name).touch()
        age(network, f".transfer/parts/{name}", hours)
    fill(network, ["a", "b"])
    assert [path.name for path in parts.iterdir()] == ["new"]


def test_a_shared_cache_that_is_read_only_can_be_read(tmp_path: Path) -> None:
    fill(Network(settings(tmp_path)), ["a"])
    before = sorted(tmp_path.rglob("*"))
    assert Network(settings(tmp_path, offline=True)).file("https://survey.example/a", "a") == "a"
    assert sorted(tmp_path.rglob("*")) == before


def test_the_users_own_files_are_left_alone(tmp_path: Path) -> None:
    own = tmp_path / "own.fits"
    own.touch()
    os.utime(own, (1e9, 1e9))
    assert Network(settings(tmp_path)).path(str(own)) == own
    assert own.stat().st_mtime == 1e9


def test_a_file_system_without_locks_is_no_missing_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(ConfigurationError, match=r"does not support locks .*set transfer\.cache to a folder elsewhere"):
        Network(settings(tmp_path)).file("https://survey.example/x", "x")

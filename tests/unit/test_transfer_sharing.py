"""What jobs share while they transfer: the limits of hosts, the cache, its size; and the libraries' sessions."""

import gzip
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import pyvo
import requests
from servers.base import Answer, Request, Service
from servers.faults import Fault, Faults

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import TransferError
from tuningfork.surveys.transfer import gate as gates
from tuningfork.surveys.transfer import ledger, session
from tuningfork.surveys.transfer.attempts import AttemptError
from tuningfork.surveys.transfer.gate import Gate, Limit, host_name
from tuningfork.surveys.transfer.locks import Lock
from tuningfork.surveys.transfer.network import Network

HOST = "https://survey.example/x"
SPAWN = multiprocessing.get_context("fork")


def anything(path: Path) -> None:
    """Accept any file."""


def settings(folder: Path, **values: object) -> Transfer:
    quick = {"timeout": 0.5, "retries": 3, "backoff": 0.001, "rate": 10_000.0}
    return Transfer(cache=str(folder / "cache"), **(quick | values))


def in_processes(target: Callable[..., None], *rows: tuple[object, ...]) -> None:
    """Call `target` with each row of arguments in a process of its own, all at once."""
    processes = [SPAWN.Process(target=target, args=row) for row in rows]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


def pass_gate(folder: Path, values: Transfer, limit: Limit, times: int, log: Path) -> None:
    """Pass the gate `times` times from two threads and log begin and end of each request."""
    gate = Gate(folder, values)

    def once(_: int) -> None:
        with gate.request(HOST, limit):
            began = time.time()
            time.sleep(0.01)
            line = f"{began} {time.time()}\n"
        with log.open("a") as file:
            file.write(line)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(once, range(times)))


@pytest.mark.parametrize(("ours", "theirs"), [((256, 40.0), (2, 1000.0)), ((2, 1000.0), (256, 40.0))])
def test_processes_and_threads_keep_the_limits_together(
    tmp_path: Path, ours: tuple[int, float], theirs: tuple[int, float]
) -> None:
    values = settings(tmp_path, connections=ours[0], rate=ours[1])
    limit = Limit(connections=theirs[0], rate=theirs[1])
    log = tmp_path / "log"
    in_processes(pass_gate, *[(tmp_path / "hosts", values, limit, 20, log)] * 3)
    begun, ended = np.sort(np.loadtxt(log), axis=0).T
    assert len(begun) == 60
    # The requests that are open when one begins: those begun until then less those ended before.
    assert (np.arange(1, 61) - np.searchsorted(ended, begun)).max() <= 2
    # 40 may begin at once, then as many each second; the clock is read a little after the gate lets through.
    assert begun[40] - begun[0] > 0.95
    assert begun[-1] - begun[0] < 4


def test_the_lower_rate_counts_over_its_own_window(tmp_path: Path) -> None:
    gate = Gate(tmp_path, settings(tmp_path, rate=1000.0))
    began = time.monotonic()
    for _ in range(7):
        with gate.request(HOST, Limit(rate=10.0, window=0.3)):
            pass
    assert 0.6 <= time.monotonic() - began < 1.5


def test_hosts_do_not_wait_for_each_other(tmp_path: Path) -> None:
    gate = Gate(tmp_path, settings(tmp_path, connections=1))
    with gate.request("https://a.example/x"), gate.request("https://b.example/x"):
        pass


def test_a_service_that_asks_to_wait_holds_back_all_jobs(tmp_path: Path) -> None:
    answers = iter([Answer(b"", 503, {"Retry-After": "1"})])
    arrivals: list[float] = []

    def answer(request: Request) -> Answer:
        arrivals.append(time.monotonic())
        return next(answers, Answer(b"x"))

    with Service(answer) as service:

        def job(name: str) -> None:
            Network(settings(tmp_path)).file(f"{service.url}/{name}", name, verify=anything)

        first = threading.Thread(target=job, args=("a",))
        first.start()
        while len(arrivals) < 1:
            time.sleep(0.005)
        time.sleep(0.1)
        job("b")
        first.join()
    assert len(arrivals) == 3
    assert min(arrivals[1:]) - arrivals[0] > 0.95


def test_a_killed_holder_gives_its_connection_back(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from tuningfork.core.config.transfer import Transfer
from tuningfork.surveys.transfer.gate import Gate
with Gate(Path(sys.argv[1]), Transfer(connections=1)).request("https://survey.example/x"):
    print("in", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    assert not Lock(tmp_path / "survey.example" / "connection-0.lock").take()
    process.kill()
    process.wait()
    with Gate(tmp_path, settings(tmp_path, connections=1)).request(HOST):
        pass


def test_torn_or_future_times_delay_nobody(tmp_path: Path) -> None:
    gate = Gate(tmp_path, settings(tmp_path, rate=5.0))
    times = tmp_path / "survey.example" / "times.json"
    for text in ['{"starts": [1', json.dumps({"starts": [time.time() + 9e5], "until": time.time() + 9e5}), "[]", ""]:
        times.parent.mkdir(exist_ok=True)
        times.write_text(text)
        began = time.monotonic()
        with gate.request(HOST):
            pass
        assert time.monotonic() - began < 0.5


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://data.sdss.org/sas/x", "data.sdss.org"),
        ("http://data.sdss.org:80/", "data.sdss.org"),
        ("http://DATA.sdss.org:8080/", "data.sdss.org%3A8080"),
        ("https://[::1]:9/x", "%3A%3A1%3A9"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
    ],
)
def test_hosts_become_file_names(url: str, name: str) -> None:
    assert host_name(url) == name


@pytest.mark.parametrize(
    "url", ["https://../x", "ftp://a/b", "/etc/passwd", "", "https://a..b/", "http://[x/", "https:///x"]
)
def test_no_host_is_no_file_name(url: str) -> None:
    with pytest.raises(TransferError, match="is no address of a service"):
        host_name(url)


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
    fill(Network(settings(tmp_path, cache_size=100_000e-9)), [f"f{number}" for number in range(200)])
    assert len(looks) < 15


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


def test_answers_through_the_session_are_in_time_in_bounds_and_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MAX_ANSWER", 50_000)
    monkeypatch.setattr(session, "THINKING", 1)
    answers = {
        "/good": Answer(b"x" * 50_000),
        "/large": Answer(b"x" * 50_001),
        "/bomb": Answer(gzip.compress(bytes(10_000_000)), headers={"Content-Encoding": "gzip"}),
        "/drip": Answer(b"x" * 1000),
        "/cut": Answer(b"x" * 1000),
        "/busy": Answer(b"", 429, {"Retry-After": "3"}),
    }
    faults = Faults(most=0, permanent={"/drip": Fault.DRIP, "/cut": Fault.CUT})
    network = Network(settings(tmp_path, timeout=0.3, retries=0))
    with Service(lambda request: answers[request.path], faults) as service:
        assert network.session().get(f"{service.url}/good").content == b"x" * 50_000
        reasons = {"large": "larger than", "bomb": "larger than", "drip": "too slowly", "cut": "broke", "busy": "429"}
        for path, reason in reasons.items():
            with pytest.raises(AttemptError, match=reason):
                network.session().get(f"{service.url}/{path}")
        with pytest.raises(TransferError, match=r"HTTP 429 \(1 attempt\)"):
            network.ask(lambda: network.session().get(f"{service.url}/busy"), service.url)


def test_the_libraries_write_nothing_into_the_home(tmp_path: Path) -> None:
    program = """
import sys
from astropy.utils.data import download_file
from astroquery.sdss import SDSS, conf
from tuningfork.core.config.transfer import Transfer
from tuningfork.surveys.transfer.network import Network
network = Network(Transfer(cache=sys.argv[2]))
def question():
    with conf.set_temp("skyserver_baseurl", sys.argv[1]):
        return SDSS.query_sql("SELECT ra FROM PhotoObj", data_release=17, cache=True)
for _ in range(2):
    assert network.ask(question, sys.argv[1])["ra"][0] == 1
network.ask(lambda: download_file(sys.argv[1] + "/file", cache=True), sys.argv[1])
"""
    home = tmp_path / "home"
    home.mkdir()
    with Service(lambda request: Answer(b"#Table1\nra\n1\n", headers={"Content-Type": "text/plain"})) as service:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("XDG", "ASTROPY"))}
        command = [sys.executable, "-c", program, service.url, str(tmp_path / "cache")]
        subprocess.run(command, env=environment | {"HOME": str(home)}, check=True)
    assert list(home.rglob("*")) == []
    # An answer that astroquery has pickled is not given again.
    assert [request.path for request in service.requests].count("/file") == 1
    assert len(service.requests) == 3


def test_pyvo_reads_answers_and_errors_through_the_session(tmp_path: Path) -> None:
    wrong = (
        b'<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE '
        b'type="results"><INFO name="QUERY_STATUS" value="ERROR">no column colour</INFO></RESOURCE></VOTABLE>'
    )
    with Service(lambda request: Answer(wrong, 400, {"Content-Type": "application/x-votable+xml"})) as service:
        network = Network(settings(tmp_path))
        tap = pyvo.dal.TAPService(service.url, session=network.session())
        with pytest.raises(pyvo.dal.DALQueryError, match="no column colour"):
            tap.run_sync("SELECT colour FROM t")


def test_errors_of_requests_are_retried_by_their_status(tmp_path: Path) -> None:
    answers = iter([503, 503, 200])
    with Service(lambda request: Answer(b"", next(answers))) as service:

        def question() -> int:
            response = requests.get(service.url, timeout=1)
            response.raise_for_status()
            return response.status_code

        assert Network(settings(tmp_path)).ask(question, service.url) == 200


def test_loopback_has_no_public_limits() -> None:
    assert gates.is_loopback("http://127.0.0.1:80/x")
    assert gates.is_loopback("http://[::1]/x")
    assert gates.is_loopback("http://localhost/x")
    assert not gates.is_loopback("https://data.sdss.org/")

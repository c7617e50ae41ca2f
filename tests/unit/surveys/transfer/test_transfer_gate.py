"""The limits of hosts, kept by threads and processes together."""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.servers.base import Answer, Request, Service
from helpers.transfers import anything, in_processes, settings

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import TransferError
from tuningfork.surveys.transfer import gate as gates
from tuningfork.surveys.transfer.gate import Gate, Limit, host_name
from tuningfork.surveys.transfer.locks import Lock
from tuningfork.surveys.transfer.network import Network

HOST = "https://survey.example/x"


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


def test_a_request_within_a_request_needs_no_second_connection(tmp_path: Path) -> None:
    gate = Gate(tmp_path, settings(tmp_path, connections=1))
    with gate.request(HOST), gate.request(HOST):
        assert not Lock(tmp_path / "survey.example" / "connection-0.lock").take()
    assert Lock(tmp_path / "survey.example" / "connection-0.lock").take()


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
    with pytest.raises(TransferError, match="is not the address of a service"):
        host_name(url)


def test_loopback_has_no_public_limits() -> None:
    assert gates.is_loopback("http://127.0.0.1:80/x")
    assert gates.is_loopback("http://[::1]/x")
    assert gates.is_loopback("http://localhost/x")
    assert not gates.is_loopback("https://data.sdss.org/")

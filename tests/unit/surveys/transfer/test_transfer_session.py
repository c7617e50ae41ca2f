"""What libraries ask through the session: bounds, errors, and nothing in the user's home."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
import pyvo
import requests
from helpers.servers.base import Answer, Service
from helpers.servers.faults import Fault, Faults
from helpers.transfers import settings

from tuningfork.core.errors import TransferError
from tuningfork.surveys.transfer import session
from tuningfork.surveys.transfer.attempts import AttemptError
from tuningfork.surveys.transfer.network import Network


def test_answers_through_the_session_are_in_time_in_bounds_and_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MAX_ANSWER_BYTES", 50_000)
    monkeypatch.setattr(session, "CATALOGUE_PATIENCE", 1)
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

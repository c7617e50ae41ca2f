"""The labelling page's server: what it serves, and what it refuses."""

import http.client
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.labelling import BARRED, labelled_run, serving
from PIL import Image

from tuningfork.core.decision_tree import questions
from tuningfork.core.errors import InputError
from tuningfork.label.server import MAX_REQUEST_BYTES, LabelServer, serve
from tuningfork.label.session import LabelSession

TOKEN = "a-token-of-a-test"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled_run(tmp_path_factory.mktemp("run"))


def test_a_queue_whose_stamps_are_gone_says_what_to_do(tmp_path: Path) -> None:
    folder = labelled_run(tmp_path)
    for path in (folder / "stamps").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="--notemp"):
        LabelSession(folder, tmp_path / "votes")


def test_a_queue_that_is_older_than_the_stamps_is_refused(tmp_path: Path) -> None:
    folder = labelled_run(tmp_path)
    path = folder / "labels" / "queue.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(2, "row", pa.array([0] * table.num_rows)), path)
    with pytest.raises(InputError, match="does not fit"):
        LabelSession(folder, tmp_path / "votes")


def test_without_a_run_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        serve(tmp_path, tmp_path / "votes")


def request(
    server: LabelServer, method: str, path: str, body: bytes | str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {"Host": f"127.0.0.1:{server.server_port}"} | named)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, dict(response.getheaders()), content


def vote(server: LabelServer, place: int = 0, answers: dict = BARRED, **headers: str) -> int:
    body = json.dumps({"place": place, "labeller": "edwin", "answers": answers})
    return request(server, "POST", "/vote", body, **({"Content_Type": "application/json"} | headers))[0]


def test_the_page_pictures_and_votes_go_through_http(run: Path, tmp_path: Path) -> None:
    with serving(run, tmp_path) as server:
        for path in ("/", "/page.js", "/page.css"):
            status, headers, content = request(server, "GET", path)
            assert status == 200
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert b"http://" not in content.replace(b"http://www.w3.org", b"")
        status, headers, content = request(server, "GET", "/stamp/0.png")
        assert (status, headers["Content-Type"]) == (200, "image/png")
        (tmp_path / "stamp.png").write_bytes(content)
        assert Image.open(tmp_path / "stamp.png").size == (64, 64)
        assert vote(server) == 200
        overview = json.loads(request(server, "GET", "/overview?labeller=edwin")[2])
        assert [galaxy["labelled"] for galaxy in overview["galaxies"]] == [True] + [False] * 5
        assert [entry["name"] for entry in overview["questions"]] == [entry.name for entry in questions()]
        body = json.dumps({"place": 0, "labeller": "edwin"})
        assert request(server, "POST", "/withdraw", body, Content_Type="application/json")[0] == 200
        overview = json.loads(request(server, "GET", "/overview?labeller=edwin")[2])
        assert not overview["galaxies"][0]["labelled"]
    rows = pq.read_table(tmp_path / "votes.parquet").to_pylist()
    assert len(rows) == 1
    assert np.isfinite(np.load(tmp_path / "votes.npy")).all()


def test_the_server_refuses_what_another_site_can_send(run: Path, tmp_path: Path) -> None:
    with serving(run, tmp_path) as server:
        assert vote(server, Host="evil.example") == 403
        assert request(server, "GET", "/overview?labeller=x", Host="evil.example")[0] == 403
        assert vote(server, Origin="http://evil.example") == 403
        assert vote(server, Origin="null") == 403
        assert vote(server, Content_Type="text/plain") == 415
        assert vote(server, Content_Type="application/x-www-form-urlencoded") == 415
        assert vote(server, Origin=f"http://127.0.0.1:{server.server_port}") == 200
        assert vote(server, Host="localhost:9000", Origin="http://localhost:9000") == 200


@pytest.mark.parametrize(
    "path",
    ["/../server.py", "/stamp/../../etc/passwd", "/stamp/6.png", "/stamp/-1.png", "/stamp/999999999.png", "/server.py", "//etc/passwd",
     "/page.html", "/%2e%2e/server.py"],
)  # fmt: skip
def test_no_path_of_the_network_reaches_a_file(run: Path, tmp_path: Path, path: str) -> None:
    with serving(run, tmp_path) as server:
        assert request(server, "GET", path)[0] == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400), (b"[]", 400), (b"[" * 5000, 400), (b"\xff", 400), (b"{}", 400), (b"x" * (MAX_REQUEST_BYTES + 1), 413),
        (b'{"place": -1, "labeller": "e", "answers": {}}', 400), (b'{"place": 6, "labeller": "e", "answers": {}}', 400),
        (b'{"place": true, "labeller": "e", "answers": {}}', 400), (b'{"place": 0, "labeller": " ", "answers": {}}', 400),
        (b'{"place": 0, "labeller": "a\\u0000b", "answers": {}}', 400), (b'{"place": 0, "labeller": "e", "answers": 3}', 404),
        (b'{"place": 0, "labeller": "e", "answers": {"bar": {"a": 1}}}', 400),
    ],
)  # fmt: skip
def test_a_wrong_request_is_answered_and_changes_nothing(run: Path, tmp_path: Path, body: bytes, status: int) -> None:
    with serving(run, tmp_path) as server:
        answered, _, content = request(server, "POST", "/vote", body, Content_Type="application/json")
        assert answered == status
        assert b"Traceback" not in content
        assert json.loads(content)["error"]
    assert not (tmp_path / "votes.parquet").exists()


def test_another_address_demands_the_token(run: Path, tmp_path: Path) -> None:
    with serving(run, tmp_path, host="0.0.0.0") as server:
        token = server.token
        assert token
        assert len(token) >= 32
        assert token in server.url
        assert request(server, "GET", "/")[0] == 401
        assert request(server, "GET", "/stamp/0.png", Cookie="tuningfork_token=wrong")[0] == 401
        assert request(server, "GET", "/?token=wrong")[0] == 401
        assert vote(server) == 401
        assert vote(server, Authorization=f"Bearer {token}") == 200
        status, headers, _ = request(server, "GET", f"/?token={token}")
        assert (status, headers["Location"]) == (303, "/")
        assert "HttpOnly" in headers["Set-Cookie"]
        assert "SameSite=Strict" in headers["Set-Cookie"]
        cookie = headers["Set-Cookie"].split(";")[0]
        assert request(server, "GET", "/", Cookie=cookie)[0] == 200
        assert vote(server, Cookie=cookie, Origin="http://evil.example") == 403


def test_a_token_can_be_demanded_on_this_machine_too(run: Path, tmp_path: Path) -> None:
    with serving(run, tmp_path, token=TOKEN) as server:
        assert request(server, "GET", "/overview?labeller=x")[0] == 401
        assert request(server, "GET", "/overview?labeller=x", Authorization=f"Bearer {TOKEN}")[0] == 200


def test_a_taken_port_is_named(run: Path, tmp_path: Path) -> None:
    with serving(run, tmp_path) as server, pytest.raises(InputError, match="choose another --host or --port"):
        LabelServer(server.session, "127.0.0.1", server.server_port)

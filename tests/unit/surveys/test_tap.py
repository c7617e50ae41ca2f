"""Questions by TAP: real pyvo over real HTTP, answered by a service that obeys the query."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from helpers.servers.base import Answer, Request, Service
from helpers.servers.tap import VOTABLE, Tap
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import TransferError
from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.tap import TooManyRowsError, ask_around, ask_tap
from tuningfork.surveys.transfer.network import Network

COUNT = 400
FIRST = 9_007_199_254_740_993
"""The first whole number that a float64 does not hold."""
QUERY = "SELECT id AS number, ra, dec, mag, kind FROM survey.objects WHERE "


@dataclass
class Served:
    tap: Tap
    url: str
    network: Network
    answers: list[Answer]
    """Sent before anything else."""


@pytest.fixture(scope="module")
def sky() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    dec = rng.uniform(-0.5, 0.5, COUNT)
    dec[:3] = 0, 0.25, -0.5
    return {
        "id": FIRST + np.arange(COUNT),
        "ra": rng.uniform(-1, 1, COUNT) % 360,
        "dec": dec,
        "mag": np.where(np.arange(COUNT) % 7, rng.uniform(14, 20, COUNT), np.nan).astype(np.float32),
        "kind": np.where(np.arange(COUNT) % 3, "SER", "PSF"),
    }


@pytest.fixture
def served(sky: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    tap = Tap({"survey.objects": sky})
    first: list[Answer] = []

    def answer(request: Request) -> Answer:
        return first.pop(0) if first else tap.answer(request)

    settings = Transfer(retries=2, backoff=0.001, timeout=2, rate=5000, cache=str(tmp_path_factory.mktemp("cache")))
    with Service(answer) as service:
        yield Served(tap, f"{service.url}/tap", Network(settings), first)


def test_an_answer_has_exact_identifiers_nulls_and_text(served: Served, sky: dict[str, np.ndarray]) -> None:
    table = ask_tap(served.network, served.url, QUERY + "kind <> 'PSF' AND dec > 0 ORDER BY id")
    chosen = (sky["kind"] != "PSF") & (sky["dec"] > 0)
    assert np.array_equal(table["number"], sky["id"][chosen])
    assert table["number"].dtype == np.int64
    assert np.array_equal(np.ma.filled(table["mag"], np.nan), sky["mag"][chosen], equal_nan=True)
    assert set(table["kind"]) == {"SER"}


@pytest.mark.parametrize("says_overflow", [True, False])
@pytest.mark.parametrize(("ra", "half"), [(0.0, 0.7), (0.5, 0.3)])
def test_a_box_in_parts_gives_each_row_once(
    served: Served, sky: dict[str, np.ndarray], says_overflow: bool, ra: float, half: float
) -> None:
    served.tap.most, served.tap.says_overflow = 20, says_overflow
    box = Surroundings(ra, half, -0.5, 0.5)
    table = ask_around(served.network, served.url, lambda part: QUERY + part.condition(), box, rows=20)
    inside = np.abs((sky["ra"] - ra + 180) % 360 - 180) <= half
    assert sorted(table["number"].tolist()) == sky["id"][inside].tolist()
    assert table["number"].dtype == np.int64
    assert len(served.tap.queries) > 5


def test_what_stays_too_long_ends_with_a_reason(served: Served) -> None:
    served.tap.most = 5
    with pytest.raises(TooManyRowsError, match="truncated its answer at 5 rows"):
        ask_tap(served.network, served.url, QUERY + "1 = 1")
    with pytest.raises(TransferError, match=r"/tap: the service truncated its answer"):
        ask_around(served.network, served.url, lambda part: QUERY + "1 = 1", Surroundings(0, 1, 0, 4e-4), rows=5)


def test_a_query_that_takes_too_long_is_split(served: Served, sky: dict[str, np.ndarray]) -> None:
    message = b'<INFO name="QUERY_STATUS" value="ERROR">canceling statement due to statement timeout</INFO>'
    served.answers.append(Answer(b'<VOTABLE><RESOURCE type="results">' + message + b"</RESOURCE></VOTABLE>"))
    box = Surroundings(0, 2, -1, 1)
    table = ask_around(served.network, served.url, lambda part: QUERY + part.condition(), box)
    assert sorted(table["number"].tolist()) == sky["id"].tolist()


PASSING = [
    Answer(b"busy", 503, {"Retry-After": "0"}),
    Answer(b"slow down", 429, {"Retry-After": "0"}),
    Answer(b"<html>Down for maintenance</html>", 200, {"Content-Type": "text/html"}),
    Answer(b"", 200),
    Answer(b'<?xml version="1.0"?><VOTABLE version="1.4"><RESOURCE type="results"><TABLE><FIELD name="a"', 200),
    Answer(
        b'<VOTABLE><RESOURCE><INFO name="QUERY_STATUS" value="ERROR">busy</INFO></RESOURCE></VOTABLE>', 503, VOTABLE
    ),
]


@pytest.mark.parametrize("fault", PASSING, ids=["503", "429", "html", "nothing", "cut", "503 with VOTable"])
def test_passing_faults_are_tried_again(served: Served, fault: Answer) -> None:
    served.answers += [fault, fault]
    assert len(ask_tap(served.network, served.url, QUERY + "1 = 1")) == COUNT
    served.answers += [fault] * 3
    with pytest.raises(TransferError, match=r"/tap: .*gave up after 3 attempts"):
        ask_tap(served.network, served.url, QUERY + "1 = 1")
    assert len(served.tap.queries) == 1


def test_a_wrong_query_is_not_repeated(served: Served) -> None:
    with pytest.raises(TransferError, match="/tap: the query failed: no such column: colour") as caught:
        ask_tap(served.network, served.url, "SELECT colour FROM survey.objects")
    assert "gave up" not in str(caught.value)
    assert len(served.tap.queries) == 1


def test_no_service_and_offline(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"retries": 0, "timeout": 1, "cache": str(tmp_path_factory.mktemp("cache"))}
    with pytest.raises(TransferError, match="no connection"):
        ask_tap(Network(Transfer(**settings)), "http://127.0.0.1:9/tap", "SELECT 1")
    with pytest.raises(TransferError, match="offline"):
        ask_tap(Network(Transfer(offline=True, **settings)), "http://127.0.0.1:9/tap", "SELECT 1")


@given(st.floats(0, 360), st.floats(0.001, 179), st.floats(-89, 88), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_conditions_choose_what_lies_in_the_box(ra: float, half: float, dec: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ras = np.concatenate([rng.uniform(0, 360, 20), (ra + half * rng.uniform(-1.2, 1.2, 20)) % 360])
    decs = rng.uniform(dec - 0.5, dec + 1.5, 40)
    tap = Tap({"t": {"id": np.arange(40), "ra": ras, "dec": decs}})
    box = Surroundings(ra, half, dec, dec + 1)
    whole, *halves = (
        [row[0] for row in tap.rows(f"SELECT id FROM t WHERE {part.condition()}")] for part in (box, *box.halves())
    )
    apart = np.abs((ras - ra + 180) % 360 - 180)
    clear = np.minimum(np.abs(apart - half), np.minimum(np.abs(decs - dec), np.abs(decs - dec - 1))) > 1e-7
    inside = np.flatnonzero((apart <= half) & (decs >= dec) & (decs <= dec + 1) & clear)
    assert sorted(set(whole) & set(np.flatnonzero(clear))) == inside.tolist()
    assert sorted(halves[0] + halves[1]) == sorted(whole)

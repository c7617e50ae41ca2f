"""An astronomer labels galaxies in a real browser."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers.labelling import labelled_run, serving

from browser.driver import Browser, wait_until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled_run(tmp_path_factory.mktemp("run"), queue=4)


def sign(window: Browser, url: str) -> None:
    """Open the page and say who is labelling."""
    window.open(url)
    window.type("#labeller", "Edwin\ue007")
    wait_until(lambda: "of 4" in window.text("#count"), "the queue")


def labelled(window: Browser) -> int:
    return int(window.text("#count").split()[0])


def label(window: Browser, keys: str) -> None:
    """Press the keys that label one galaxy."""
    before = labelled(window)
    for key in keys:
        window.press(key)
    wait_until(lambda: labelled(window) == before + 1, f"label {before + 1}")


def picture(window: Browser) -> str:
    """Return the address of the picture, once it is shown."""
    shown = (
        "const image = document.getElementById('stamp'); return image.complete && image.naturalWidth ? image.src : ''"
    )
    return wait_until(lambda: window.run(shown), "the picture")


def test_three_galaxies_are_labelled_with_the_keyboard(window: Browser, run: Path, tmp_path: Path) -> None:
    queue = pq.read_table(run / "labels" / "queue.parquet").to_pylist()
    with serving(run, tmp_path) as server:
        sign(window, server.url)
        assert "smooth" in window.text("#question")
        first = picture(window)
        label(window, "11")  # smooth, not merging
        assert picture(window) != first
        label(window, "221121")  # featured, not edge-on, barred, with arms, small bulge, not merging
        label(window, "213")  # featured, edge-on, merger
        assert labelled(window) == 3
        assert window.log() == []
    votes = pq.read_table(tmp_path / "votes.parquet").to_pylist()
    assert [vote["source_id"] for vote in votes] == [entry["source_id"] for entry in queue[:3]]
    assert [vote["labeller"] for vote in votes] == ["Edwin"] * 3
    assert votes[0]["smooth_or_featured_smooth_votes"] == votes[0]["merging_none_votes"] == 1
    assert [vote["bar_yes_votes"] for vote in votes] == [0, 1, 0]
    assert [vote["edge_on_yes_votes"] for vote in votes] == [0, 0, 1]
    assert votes[1]["bulge_size_small_votes"] == votes[2]["merging_merger_votes"] == 1
    stamps = np.load(tmp_path / "votes.npy")
    for vote, stamp, entry in zip(votes, stamps, queue, strict=False):
        assert (stamp == np.load(run / "stamps" / f"{vote['shard']}.npy")[entry["row"]]).all()


def test_skip_undo_and_a_reload(window: Browser, run: Path, tmp_path: Path) -> None:
    with serving(run, tmp_path) as server:
        sign(window, server.url)
        first = picture(window)
        window.press("s")
        second = wait_until(lambda: picture(window) != first and picture(window), "the next galaxy")
        window.press("2")
        assert "edge-on" in window.text("#question")
        window.press("u")
        assert "smooth" in window.text("#question")
        label(window, "11")
        window.press("u")
        wait_until(lambda: labelled(window) == 0, "the label is taken back")
        assert picture(window) == second
        label(window, "31")
        window.open(server.url)
        wait_until(lambda: "1 of 4" in window.text("#count"), "the queue with one label")
    votes = pq.read_table(tmp_path / "votes.parquet").to_pylist()
    assert len(votes) == 1
    assert votes[0]["smooth_or_featured_artifact_votes"] == 1
    assert votes[0]["smooth_or_featured_smooth_votes"] == 0


def test_it_works_on_a_phone_with_a_token_and_says_when_nothing_was_saved(
    window: Browser, run: Path, tmp_path: Path
) -> None:
    window.resize(390, 780)
    with serving(run, tmp_path, token="for-the-phone") as server:
        sign(window, server.url)
        picture(window)
        assert "token" not in window.run("return location.href")
        width, inner = window.run("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width <= inner == 390
        for selector in ("#stamp", "#answers button:last-child"):
            window.run("window.scrollTo(0, 0)")
            box = window.run("return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", selector)
            assert box["left"] >= 0
            assert box["right"] <= 390
            assert box["bottom"] <= 780
        window.click("#answers button:nth-child(1)")
        window.click("#answers button:nth-child(1)")
        wait_until(lambda: labelled(window) == 1, "the label")
    window.press("1")
    window.press("1")
    wait_until(lambda: "Not saved" in window.text("#message"), "the message that the server is gone")
    assert labelled(window) == 1

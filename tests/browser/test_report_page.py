"""The report in a real browser."""

import os
from pathlib import Path

import pytest
from helpers.synthetic_evaluation import report_files
from helpers.synthetic_results import parameters, results

from browser.driver import Browser, wait_until
from tuningfork.report.page import build_report

pytestmark = pytest.mark.browser
BROKEN = "return [...document.images].filter(i => !i.complete || i.naturalWidth === 0).length"
OVERFLOW = "return document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
TOP = "return document.querySelector('#bars').getBoundingClientRect().top"
OFF_CENTRE = """return [...document.querySelectorAll('line.measured')].filter(line => {
    const l = line.getBoundingClientRect(), s = line.closest('.stamp').getBoundingClientRect();
    const x = (l.left + l.right) / 2 - s.left, y = (l.top + l.bottom) / 2 - s.top;
    return Math.abs(x / s.width - 0.5) > 0.03 || Math.abs(y / s.height - 0.5) > 0.03; }).length"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a report: of the file that TUNINGFORK_REPORT names, or of a synthetic run."""
    given = os.environ.get("TUNINGFORK_REPORT")
    if given:
        return Path(given).resolve().as_uri()
    run = results(tmp_path_factory.mktemp("run"), galaxies=40)
    output = run.folder / "report.html"
    build_report(parameters("report"), report_files(run), output)
    return output.as_uri()


@pytest.mark.parametrize("width", [1280, 390])
def test_all_pictures_show_and_nothing_is_asked_of_the_network(window: Browser, page: str, width: int) -> None:
    window.resize(width, 900)
    window.requests()
    window.open(page)
    assert window.run("return document.images.length") > 30
    assert window.run(BROKEN) == 0
    assert window.log() == []
    assert window.requests() == [page]
    picture = window.screenshot()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000


def test_it_fits_a_phone(window: Browser, page: str) -> None:
    window.resize(390, 800)
    window.open(page)
    assert window.run(OVERFLOW) <= 0
    assert window.run("return parseFloat(getComputedStyle(document.body).fontSize)") >= 16


def test_its_links_lead_to_its_sections(window: Browser, page: str) -> None:
    window.open(page)
    assert window.run("return [...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))")
    window.click("nav a[href='#bars']")
    wait_until(lambda: abs(window.run(TOP)) < 200, "the section about bars")


def test_the_bars_are_drawn_on_the_middle_of_the_pictures(window: Browser, page: str) -> None:
    window.open(page)
    assert window.run("return document.querySelectorAll('line.measured').length") > 0
    assert window.run(OFF_CENTRE) == 0


def test_it_prints(window: Browser, page: str) -> None:
    window.open(page)
    assert window.command("POST", "print").startswith("JVBERi")

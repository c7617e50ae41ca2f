"""The report: complete, self-contained, and whole whatever is missing."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.synthetic_evaluation import report_files
from helpers.synthetic_results import Results, parameters, results

from tuningfork.core.checksums import row_checksums
from tuningfork.core.errors import InputError
from tuningfork.core.flags import Flag
from tuningfork.core.tables import lineage_of, read_table, write_table
from tuningfork.report import page as report_page
from tuningfork.report.figures.survey import histograms
from tuningfork.report.gallery import bar_line, of_classes
from tuningfork.report.images import colour, heat
from tuningfork.report.inputs import ReportFiles, read_inputs
from tuningfork.report.page import build_report
from tuningfork.report.summary import of_run
from tuningfork.stamps.store import CHECKSUM_COLUMN


class Page(HTMLParser):
    """The elements of a page, its text, and whether its tags close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img", "br", "line", "path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def make(run: Results, gallery: int = 24, **options: Any) -> tuple[Page, str]:
    output = run.folder / "report.html"
    build_report(parameters("report", report={"gallery": gallery}), report_files(run, **options), output)
    text = output.read_text(encoding="utf-8")
    return Page(text), text


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, str, Results]:
    run = results(tmp_path_factory.mktemp("report"))
    return *make(run), run


def test_it_loads_nothing_and_runs_nothing(made: tuple[Page, str, Results]) -> None:
    page, text, _ = made
    addresses = [
        value for _, attributes in page.elements for name, value in attributes.items() if name in {"src", "href"}
    ]
    assert addresses
    assert all(address and address.startswith(("data:", "#")) for address in addresses)
    assert not page.all("script")
    assert not re.search(r"url\(|@import|https?://", text)
    assert len(text) < 8_000_000


def test_every_tag_closes_and_every_picture_is_described(made: tuple[Page, str, Results]) -> None:
    page, _, _ = made
    assert page.open == []
    pictures = page.all("img")
    assert len(pictures) > 30
    assert all(len(picture["alt"] or "") > 15 for picture in pictures)
    assert not any("nan" in (picture["alt"] or "").split() for picture in pictures)
    assert page.all("html")[0]["lang"] == "en"
    targets = {attributes.get("id") for _, attributes in page.elements}
    assert {link["href"][1:] for link in page.all("a") if link["href"]} <= targets


def test_it_shows_accounts_figures_of_merit_and_provenance(made: tuple[Page, str, Results]) -> None:
    page, _, run = made
    evaluation = json.loads((run.folder / "evaluation.json").read_text())
    assert "60 sources came in and 60 rows went out" in page.text
    assert "404 Not Found" in page.text
    assert f"{evaluation['bars']['direct']['r']:.2f} ±" in page.text
    assert f"{evaluation['structure']['mag']['r2']:.3f}" in page.text
    assert f"{evaluation['bar_auc']['all']['auc']:.3f} ±" in page.text
    assert "size alone: the null" in page.text
    assert f"{evaluation['features']['spiral_arm_fraction']['recommended']['r']:.2f} ±" in page.text
    assert "300 simulated barred galaxies were put into the survey's images" in page.text
    assert "catalogue-digest" in page.text
    assert Flag.BAD_TILE.name in page.text


def test_every_section_has_its_charts_and_galleries(made: tuple[Page, str, Results]) -> None:
    page, _, _ = made
    alts = " ".join(picture["alt"] or "" for picture in page.all("img"))
    for what in (
        "Loss of each",
        "Confusion",
        "Observed against",
        "Share of bars found",
        "held-out galaxies",
        "galaxies of the survey",
        "probability integral transform",
        "signal-to-noise ratio",
        "Map of the sources",
        "Histograms",
        "vote fraction without",
        "saliency map",
        "Grad-CAM",
        "image minus model over the noise",
        "Bar fraction of votes and model",
        "Completeness of bars",
        "mask of the spiral arms",
        "Fractions of bulge and spiral arms",
    ):
        assert what in alts, what
    kinds = [line["class"] for line in page.all("line")]
    assert kinds.count("measured") == kinds.count("truth") > 5


def test_a_survey_without_truth_and_an_evaluation_without_figures_are_shown(tmp_path: Path) -> None:
    page, _ = make(results(tmp_path, galaxies=8, truth=False), judged=False)
    assert "no known truth" in page.text
    assert "–" in page.text
    assert not {"None", "nan", "NaN"} & set(page.text.split())
    assert "truth" not in [line["class"] for line in page.all("line")]


@pytest.fixture
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the charts out, which take most of the time."""
    names = re.findall(r"charts\.(\w+)", files("tuningfork.report").joinpath("template.html").read_text())
    monkeypatch.setattr(report_page, "charts", lambda inputs: dict.fromkeys(names))


@pytest.mark.usefixtures("no_charts")
def test_without_a_barred_galaxy_it_says_so(tmp_path: Path) -> None:
    page, _ = make(results(tmp_path, galaxies=8, barred=False))
    assert "No barred galaxy was found" in page.text


def test_sources_that_were_not_measured_at_all_are_only_counted(tmp_path: Path) -> None:
    page, _ = make(results(tmp_path, galaxies=2))
    assert "No galaxy of the shown shards was classified" in page.text
    assert "No source was explained" in page.text


@pytest.mark.usefixtures("no_charts")
def test_the_gallery_has_the_configured_size(tmp_path: Path) -> None:
    page, _ = make(results(tmp_path, galaxies=30), gallery=3)
    assert sum((picture["alt"] or "").startswith("saliency map") for picture in page.all("img")) == 3


@pytest.mark.usefixtures("no_charts")
def test_names_cannot_inject_markup(tmp_path: Path) -> None:
    run = results(tmp_path, galaxies=8)
    for path in run.paths("sources"):
        table = read_table(path)
        place = table.column_names.index("name")
        names = pa.array(["<script>alert(1)</script>"] * table.num_rows, pa.string())
        write_table(path, table.set_column(place, table.schema.field("name"), names), lineage_of(path))
    page, text = make(run)
    assert "<script" not in text
    assert "alert(1)" in page.text


def test_the_same_inputs_give_the_same_page(made: tuple[Page, str, Results]) -> None:
    _, text, run = made
    assert make(run)[1] == text


def test_tables_of_different_shards_are_refused(tmp_path: Path) -> None:
    files = report_files(results(tmp_path, galaxies=4))
    for name in ("saliency", "saliency_maps", "arm_masks"):
        swapped = replace(files, **{name: getattr(files, name)[::-1]})
        with pytest.raises(InputError, match="same shards"):
            build_report(parameters("report"), swapped, tmp_path / "report.html")


@pytest.mark.parametrize(
    ("angle", "north", "east_is_left", "end"),
    [
        (0, 0, True, (32.5, 21.5)),  # north is up: upwards from the centre
        (90, 0, True, (22.5, 31.5)),  # east is left
        (90, 0, False, (42.5, 31.5)),  # east is right
        (0, 90, True, (22.5, 31.5)),  # north is left
        (45, 45, True, (22.5, 31.5)),
    ],
)
def test_a_bar_is_drawn_where_it_is_on_the_sky(angle: float, north: float, east_is_left: bool, end: tuple) -> None:
    galaxy = SimpleNamespace(pixel_scale=0.5, north_angle=north, east_is_left=east_is_left)
    line = bar_line(10.0, angle, galaxy, 64, "measured")
    assert line is not None
    ends = {(round(line.x1, 1), round(line.y1, 1)), (round(line.x2, 1), round(line.y2, 1))}
    assert end in ends
    assert np.hypot(line.x2 - line.x1, line.y2 - line.y1) == pytest.approx(20, abs=0.02)
    assert ((line.x1 + line.x2) / 2, (line.y1 + line.y2) / 2) == pytest.approx((32.5, 31.5), abs=0.02)


def test_a_bar_without_an_angle_is_not_drawn() -> None:
    galaxy = SimpleNamespace(pixel_scale=0.5, north_angle=0.0, east_is_left=True)
    assert bar_line(10.0, float("nan"), galaxy, 64, "measured") is None


@pytest.mark.parametrize("bands", [1, 2, 3, 5])
def test_any_number_of_bands_gives_a_colour_picture_with_up_upwards(bands: int) -> None:
    image = np.zeros((bands, 32, 32))
    image[:, 30, 16] = 50.0
    picture = colour(image, np.ones(bands))
    assert picture.shape == (32, 32, 3)
    assert picture[1, 16].max() > 200
    assert picture[30, 16].max() < 10


def test_redder_galaxies_are_redder_and_missing_bands_do_no_harm() -> None:
    image = np.zeros((3, 16, 16))
    image[:, 8, 8] = (10, 20, 40)
    red, _, blue = colour(image, np.ones(3))[7, 8]
    assert red > blue
    assert colour(image, np.array([np.nan, 1, 1])).max() > 0
    assert colour(np.full((3, 16, 16), np.nan), np.ones(3)).max() == 0


def test_a_map_is_drawn_with_up_upwards() -> None:
    values = np.zeros((16, 16))
    values[15, 0] = 1
    assert heat(values)[0, 0].astype(int).sum() > heat(values)[15, 0].astype(int).sum()


def damaged(path: Path, change: str) -> None:
    """Damage a file."""
    if change == "empty":
        path.write_bytes(b"")
    elif change == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif change == "no file":
        path.unlink()
    elif change == "{}":
        values = json.loads(path.read_text())
        path.write_text(json.dumps({"lineage": values["lineage"]}))
    elif change == "other lineage":
        write_table(path, read_table(path), {"stamps": "another"})
    elif path.suffix == ".npy":
        array = np.load(path)
        if change == "one value":
            array.reshape(len(array), -1)[0, 5] += 1
        np.save(path, array[::-1] if change == "reversed" else array[:-1] if change == "shorter" else array)
    else:
        table = read_table(path)
        rows = np.arange(table.num_rows)
        pq.write_table(table.take(rows[::-1] if change == "reversed" else rows[:-1]), path)


DAMAGE = {
    "stamps/{}.npy": ["empty", "half", "no file", "reversed", "shorter", "one value"],
    "stamps/{}.parquet": ["empty", "half", "no file", "reversed", "shorter", "other lineage"],
    "sources/{}.parquet": ["empty", "reversed", "shorter"],
    "saliency/{}.parquet": ["empty", "reversed", "shorter"],
    "saliency/{}.npy": ["empty", "half", "no file", "reversed", "shorter", "one value"],
    "features/{}.parquet": ["empty", "reversed", "shorter"],
    "features/{}.npy": ["empty", "half", "no file", "shorter"],
    "catalogue.parquet": ["empty", "half", "no file", "shorter"],
    "accounting.json": ["empty", "half", "no file", "{}"],
    "evaluation.json": ["empty", "half", "no file", "{}"],
    "explanations.parquet": ["empty", "reversed", "shorter"],
    "maps.npy": ["empty", "half", "no file", "reversed", "shorter", "one value"],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReportFiles]:
    """Return a folder of results, whose stamps and maps have checksums, and the files of its report."""
    folder = tmp_path_factory.mktemp("whole")
    run = results(folder, galaxies=6)
    files = report_files(run, judged=False)
    for path in (*run.paths("stamps"), *run.paths("saliency")):
        table = read_table(path)
        checksums = pa.array(row_checksums(np.load(path.with_suffix(".npy"))))
        others = table.select([name for name in table.column_names if name != CHECKSUM_COLUMN])
        pq.write_table(others.append_column(CHECKSUM_COLUMN, checksums), path)
    return folder, files


@pytest.mark.parametrize(("name", "change"), [(name, change) for name, kinds in DAMAGE.items() for change in kinds])
def test_a_damaged_or_foreign_file_is_named_in_one_line(
    whole: tuple[Path, ReportFiles], name: str, change: str
) -> None:
    folder, files = whole
    path = folder / name.format(files.sources[0].stem)
    content = path.read_bytes()
    try:
        damaged(path, change)
        with pytest.raises(InputError) as caught:
            build_report(parameters("report"), files, folder / "report.html")
    finally:
        path.write_bytes(content)
    message = str(caught.value)
    named = {path, path.with_suffix(".npy"), path.with_suffix(".parquet"), path.with_name("explanations.parquet")}
    same_shard = {str(folder / stage / path.name) for stage in ("sources", "stamps", "saliency", "features")}
    assert any(str(one) in message for one in named) or message.split(": ")[0] in same_shard
    assert "\n" not in message
    assert not (folder / "report.html").exists()


def test_the_undamaged_files_give_a_report(whole: tuple[Path, ReportFiles]) -> None:
    folder, files = whole
    build_report(parameters("report"), files, folder / "report.html")
    (folder / "report.html").unlink()


def test_stars_and_artifacts_are_counted_apart_from_the_galaxies(made: tuple[Page, str, Results]) -> None:
    inputs = read_inputs(report_files(made[2]))
    stars = replace(inputs, galaxies=inputs.galaxies.assign(morphology="artifact"))
    assert of_classes(inputs)
    assert of_classes(stars) == []
    assert histograms(inputs.overview.assign(morphology="artifact")) is None
    total = inputs.accounting["total"]
    measured = total["measured"] | {"classified": 40}
    counted = total | {"classes": {"spiral": 30, "smooth": 10, "artifact": 10}, "measured": measured}
    summary = of_run(replace(inputs, accounting=inputs.accounting | {"total": counted}))
    assert summary["classes"] == [("smooth", 10, "25.0 %"), ("spiral", 30, "75.0 %")]
    assert summary["artifacts"] == 10

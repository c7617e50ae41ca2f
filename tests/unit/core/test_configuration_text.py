"""What the text of a configuration means, and what is said where programs disagree about it or a value is wrong."""

import os
from pathlib import Path
from typing import Any

import astropy.units as u
import pytest
from astropy.coordinates import SkyCoord

from tuningfork.core.config import Configuration, load
from tuningfork.core.config.load import read_all, validate
from tuningfork.core.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]
CONE = "sky:\n  footprint:\n    kind: cone\n    ra: {ra}\n    dec: {dec}\n    radius: 0.1\n"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("mine.yaml")


def fault_of(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        ("'0h42m44.3s'", "'+41d16m09s'"),
        ("'00:42:44.3'", "'+41:16:09'"),
        ("0h42m44.3s", "41d16m09s"),
        ("'10d41m04.5s'", "'-00:00:30.5'"),
        ("23h59m", "-0d00m30s"),
        ("'1h'", "'-89d'"),
    ],
)
def test_sexagesimal_coordinates_are_those_of_astropy(mine: Path, ra: str, dec: str) -> None:
    mine.write_text(CONE.format(ra=ra, dec=dec))
    cone = load(mine).sky.footprint
    unit = u.deg if "d" in ra else u.hourangle
    expected = SkyCoord(ra.strip("'"), dec.strip("'"), unit=(unit, u.deg))
    assert (cone.ra, cone.dec) == pytest.approx((expected.ra.deg, expected.dec.deg), abs=1e-9)  # type: ignore[union-attr]


def test_corners_and_edges_may_be_sexagesimal(mine: Path) -> None:
    mine.write_text("sky: {footprint: {kind: polygon, vertices: [['1h', '-1d30m'], [16, 1], ['01:08:00', 2.5]]}}")
    assert load(mine).sky.footprint.vertices == [[15.0, -1.5], [16.0, 1.0], [17.0, 2.5]]  # type: ignore[union-attr]
    mine.write_text("sky: {footprint: {kind: box, ra_min: '23:56:00', ra_max: 0h4m, dec_min: -1, dec_max: '00:30:00'}}")
    box = load(mine).sky.footprint
    assert (box.ra_min, box.ra_max, box.dec_max) == (359.0, 1.0, 0.5)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("ra", "dec", "says"),
    [
        ("3:30", "0", "line 4: sky.footprint.ra: 3:30 .*base 60.*write 52.5 .*3.5"),
        ("0:42:44.3", "0", "line 4: sky.footprint.ra: .*10.684583"),
        ("1", "-0:00:30.5", "line 5: sky.footprint.dec: .*-0.00847222"),
        ("1", "'41:16'", "line 5: sky.footprint.dec: '41:16'.*write 41.266667"),
        ("'3:30'", "0", "line 4: sky.footprint.ra: '3:30'.*write 52.5"),
        ("1", "5h30m", "line 5: sky.footprint.dec: '5h30m'.*declination"),
        ("'0 42 44.3'", "0", "line 4: sky.footprint.ra: .*write 10.684583"),
        ("'12:60:00'", "0", "line 4: sky.footprint.ra: .*expected a right ascension"),
        ("'25h'", "0", "line 4: sky.footprint.ra: .*expected a number .*below 360 .deg"),
        ("010.5", "'abc'", "line 5: sky.footprint.dec: 'abc'"),
    ],
)
def test_an_ambiguous_coordinate_is_refused_with_the_probable_degrees(mine: Path, ra: str, dec: str, says: str) -> None:
    said = fault_of(mine, CONE.format(ra=ra, dec=dec))
    with pytest.raises(ConfigurationError, match=f"mine.yaml, {says}"):
        raise ConfigurationError(said)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e-3", 1e-3),
        ("1E-3", 1e-3),
        ("0.001", 1e-3),
        (".001", 1e-3),
        ("+1", 1.0),
        ("0", 0.0),
        ("'1e-3'", None),
        ("1_0", None),
    ],
)
def test_numbers_are_read_as_written_or_refused(mine: Path, word: str, value: float | None) -> None:
    content = f"bars:\n  min_probability: {word}\n"
    if value is None:
        assert "mine.yaml, line 2: bars.min_probability: " in fault_of(mine, content)
    else:
        mine.write_text(content)
        assert load(mine).bars.min_probability == value


@pytest.mark.parametrize("word", ["no", "Yes", "on", "OFF", "2026-01-01", "0x1F", "1_000", "12e", "=", "r'"])
def test_words_that_some_programs_take_for_truth_dates_or_numbers_are_text(mine: Path, word: str) -> None:
    mine.write_text(f"catalogue:\n  name: {word}\n")
    assert load(mine).catalogue.name == word


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("seed: 010\n", "mine.yaml, line 1: seed: 010 .*octal.*write 10"),
        ("sky: {shard_order: 7}\nseed: 1\nsky:\n  shard_order: 8\n", "mine.yaml, lines 1 and 3: sky: this key stands twice"),
        ("stamps:\n  size: 64\n  size: 32\n", "mine.yaml, lines 2 and 3: stamps.size: this key stands twice"),
        ('{"seed": 1,\n "seed": 2}', "mine.yaml, lines 1 and 2: seed: this key stands twice"),
        ("seed: 1\n---\nseed: 2\n", "mine.yaml, line 2: a second document"),
        ("seed: &a [*a]\n", "mine.yaml, line 1: .a, which stands for nothing"),
        ("a: " + "[" * 10_000, "mine.yaml, line 1: a value more than 20 levels deep"),
        ("a: " + "{b: " * 10_000, "mine.yaml, line 1: "),
        ("catalogue: {name: !!python/object:os.system x}\n", "mine.yaml, line 1: the tag .*is not allowed"),
        ("catalogue:\n  name: a\0b\n", "mine.yaml, line 2: the control character U.0000"),
        ('catalogue:\n  name: "a\\0b"\n', "mine.yaml, line 2: catalogue.name: .*the control character U.0000"),
        ('survey: {folder: {images: "a\\nb"}}\n', "mine.yaml, line 1: survey.folder.images: .*U.000A"),
        ('survey: {folder: {bands: [g, "r\\a"]}}\n', "mine.yaml, line 1: survey.folder.bands: .*U.0007"),
        ("seed: " + "9" * 5000, "mine.yaml, line 1: seed: 9+... is a number of 5000 characters"),
        ("sky:\n\tshard_order: 7\n", "mine.yaml, line 2: not a readable YAML file"),
        (b"seed: 1\ncatalogue: {name: \xe9t\xe9}\n", "mine.yaml, line 2: .*0xe9 is no UTF-8"),
        ("bars: {min_probability: .nan}\n", "mine.yaml, line 1: bars.min_probability: .nan is not allowed: expected a number"),
        ("transfer: {offline: yes}\n", "mine.yaml, line 1: transfer.offline: 'yes' .*write true"),
        ("transfer: {cache: 5}\n", "mine.yaml, line 1: transfer.cache: 5 .*write '5' in quotes"),
        ("survey: {folder: {psf_fwhm: 1.3 arcsec}}\n", "psf_fwhm: '1.3 arcsec' .*at most 20 above 0 .arcsec.; write 1.3"),
        ("simulate: {size: 1e3}\n", "simulate.size: 1e3 .*expected an integer.*write 1000"),
        ("survey: {folder: {bands: [r, r]}}\n", "mine.yaml, line 1: survey.folder.bands: .*names r more than once"),
        ("survey: {folder: {bands: [a/b, r]}}\n", "mine.yaml, line 1: survey.folder.bands: 'a/b' is no name of a band"),
        ("train: {structure: {targets: [mag, mag]}}\n", "train.structure.targets: .*names mag more than once"),
        ("sky:\n", "mine.yaml, line 1: sky: null is not allowed: .*leave the key out for its default"),
        ("mag_max: 17\n", "mine.yaml, line 1: mag_max: unknown key; did you mean sources.mag_max"),
        ("sources: {Mag-Max: 17}\n", "sources.Mag-Max: unknown key; did you mean mag_max"),
        ("simulate: {size: 10000000, galaxies_per_part: 10}\n", "simulate: size .10000000.*makes 1000000 jobs"),
        ("survey: {sdss: {sas_url: data.sdss.org}}\n", "survey.sdss.sas_url: .*an address that begins with http"),
    ],
)  # fmt: skip
def test_a_fault_of_the_text_is_said_with_file_line_key_and_what_to_write(
    mine: Path, content: str | bytes, says: str
) -> None:
    said = fault_of(mine, content)
    assert len(said) < 1000
    with pytest.raises(ConfigurationError, match=says):
        raise ConfigurationError(said)


def test_anchors_that_grow_without_end_are_refused_before_memory_is_taken(mine: Path) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 12)]
    assert "more than 100000 values in all" in fault_of(mine, "\n".join(lines))


def test_anchors_and_merged_sections_are_read(mine: Path) -> None:
    mine.write_text("train:\n  morphology: &t {epochs: 5, threads: 2}\n  structure: {<<: *t, epochs: 7}\n")
    train = load(mine).train
    assert (train.morphology.epochs, train.structure.epochs, train.structure.threads) == (5, 7, 2)


def test_all_faults_are_told_together_also_those_between_keys(mine: Path) -> None:
    said = fault_of(
        mine,
        "seed: -1\n"
        "sources: {mag_min: 18, mag_max: 17}\n"
        "simulate:\n"
        "  seeing: [2.0, 1.0]\n"
        "  population: {r_eff_min: 50.0, pitch_min: 40, pitch_max: 30}\n"
        "sky: {footprint: {kind: box, dec_min: 'x', dec_max: 0.1}}\n"
        "survey:\n"
        "  name: folder\n"
        "  folder: {bands: [g], reference_band: r}\n",
    )
    lines = said.splitlines()
    assert len(lines) == 7, said
    for line, number, words in zip(
        sorted(lines),
        [1, 2, 4, 5, 5, 6, 9],
        [
            "seed: -1",
            "sources.mag_min (18.0) must be below",
            "seeing ([2.0, 1.0])",
            "p",
            "p",
            "dec_min: 'x'",
            "reference_band 'r'",
        ],
        strict=True,
    ):
        assert line.startswith(f"mine.yaml, line {number}: ")
        assert words in line
    assert "r_eff_min (50.0) must be below r_eff_max (20.0)" in said
    assert "pitch_min (40.0) must be below pitch_max (30.0)" in said


def test_a_wrong_limit_makes_no_second_fault_with_the_default_of_the_other(mine: Path) -> None:
    assert fault_of(mine, "sources: {mag_min: 19, mag_max: abc}\n").count("\n") == 0


def test_later_files_and_settings_go_before_earlier_ones_key_by_key(mine: Path) -> None:
    mine.write_text("sources: {mag_min: 12, mag_max: 15}\nstamps: {size: 64}\n")
    other = mine.with_name("other.yaml")
    other.write_text("sources: {mag_max: 16}\n")
    document = read_all([mine, other], ["stamps={size: 96}", "seed=5"])
    chosen = validate(document.values, document.places)
    assert (chosen.sources.mag_min, chosen.sources.mag_max, chosen.stamps.size, chosen.seed) == (12, 16, 96, 5)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["seed=010"], "--config.*seed: 010 .*octal"),
        (["seed=1", "seed=2"], "--config seed: this key is given twice"),
        (["sources={mag_max: 8}"], "--config.*sources.mag_min .10.0. must be below"),
        (["sed=1"], "--config.*sed: unknown key; did you mean seed"),
        (["seed"], "--config seed: expected key=value"),
    ],
)
def test_settings_of_the_command_line_are_guarded_as_files_are(settings: list[str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        document = read_all([], settings)
        validate(document.values, document.places)


def test_the_default_file_is_read_as_the_default() -> None:
    assert load(ROOT / "config" / "config.yaml") == Configuration()


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "large", "long name"])
def test_what_is_no_configuration_file_is_refused_at_once(mine: Path, kind: str) -> None:
    path: Any = Path("/dev/zero") if kind == "device" else mine
    if kind == "pipe":
        os.mkfifo(mine)
    elif kind == "folder":
        mine.mkdir()
    elif kind == "large":
        mine.write_bytes(b"#" * 2**21)
    elif kind == "long name":
        path = Path("x" * 300)
    with pytest.raises(ConfigurationError, match=r"no regular file|a folder|larger than|cannot be read"):
        load(path)

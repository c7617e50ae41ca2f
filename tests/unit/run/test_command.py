"""From what the user types to what Snakemake gets."""

from pathlib import Path

import pytest

from tuningfork.core.errors import InputError
from tuningfork.run.command import RunOptions, read_options


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("t.yaml", "T.YAML", "u.yml", "other.yaml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str) -> RunOptions:
    return read_options("all", None, False, text.split())


@pytest.mark.parametrize(
    ("text", "configuration", "rest"),
    [
        ("t.yaml", "t.yaml", ""),
        ("T.YAML", "T.YAML", ""),
        ("u.yml --forcerun bars", "u.yml", "--forcerun bars"),
        ("--omit-from train t.yaml", "t.yaml", "--omit-from train"),
        ("--dry-run t.yaml", "t.yaml", "--dry-run"),
        ("-n t.yaml", "t.yaml", "-n"),
        ("models t.yaml -np", "t.yaml", "models -np"),
        ("models", None, "models"),
        ("", None, ""),
        ("--configfile other.yaml", None, "--configfile other.yaml"),
        ("--configfile=other.yaml -n", None, "--configfile=other.yaml -n"),
        ("--directory u.yml t.yaml", "t.yaml", "--directory u.yml"),
        ("--config a=b.yaml", None, "--config a=b.yaml"),
        ("results/a.json.parquet results/b.json", None, "results/a.json.parquet results/b.json"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_the_configuration_is_found_wherever_it_stands(text: str, configuration: str | None, rest: str) -> None:
    options = read(text)
    assert options.configuration == (Path(configuration) if configuration else None)
    assert options.rest == tuple(rest.split())


@pytest.mark.parametrize(
    "text",
    [
        "t.yaml u.yml",
        "t.yaml --configfile other.yaml",
        "--configfile other.yaml -n t.yaml",
        "t.yaml --configfile=other.yaml",
        "--configfile other.yaml t.yaml",
        "-n t.yaml --omit-from train u.yml",
    ],
)
@pytest.mark.usefixtures("folder")
def test_two_configurations_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]*: more than one configuration file; give one$"):
        read(text)


@pytest.mark.parametrize("text", ["none.yaml", "-n none.yaml", "--omit-from train none.YML"])
@pytest.mark.usefixtures("folder")
def test_a_configuration_that_is_not_there_is_named(text: str) -> None:
    with pytest.raises(InputError, match=r"none\.\w+: no such configuration file"):
        read(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-n", True),
        ("-np", True),
        ("-pn", True),
        ("-nq", True),
        ("-pFn", True),
        ("--dry-run", True),
        ("-p", False),
        ("-j4", False),
        ("-dnewton", False),
        ("-R train", False),
        ("", False),
    ],
)
def test_short_options_that_stand_together_are_known(text: str, shown: bool) -> None:
    assert read(text).shows_snakemake == shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", "."), ("--directory D", "D"), ("--directory=D -p", "D"), ("-d D", "D"), ("-dD", "D"), ("--dag", ".")],
)
def test_the_working_directory_may_be_named(text: str, expected: str) -> None:
    assert read(text).folder == Path(expected)

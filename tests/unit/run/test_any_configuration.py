"""Whatever the configuration says: it is valid and its run can be planned, or lines say what is wrong with which key."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.configurations import changed_values, damaged_texts, make_inputs
from hypothesis import HealthCheck, given, settings

from tuningfork.core.config import Configuration, load
from tuningfork.core.errors import ConfigurationError
from tuningfork.plan import plan_files
from tuningfork.run.configuration import check_configuration

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 120
"""Seconds after which a check counts as hanging."""
KEY = re.compile(rf"({'|'.join(Configuration.model_fields)})[.: ]")
"""How a line begins that names a key."""
PLACE = re.compile(r"mine\.yaml(, lines? \d+( and \d+)?)?: ")
ALLOW = [
    HealthCheck.too_slow,
    HealthCheck.function_scoped_fixture,
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
]


def some(number: int) -> settings:
    return settings(max_examples=number, deadline=None, suppress_health_check=ALLOW)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with files of all kinds, in which nothing may take for ever."""
    make_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)

    def stop(*_: object) -> None:
        raise AssertionError(f"the check took more than {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, stop)
    yield tmp_path
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def require_outcome(path: Path, text_may_be_wrong: bool) -> bool:
    """Check a configuration; return whether it is valid and has been planned.

    What is refused is named by its key, and where the text may be wrong, at least by the file.
    """
    signal.alarm(PATIENCE)
    try:
        said = check_configuration(path, ROOT)
        if said.startswith(f"{path} is valid"):
            assert plan_files([path], (), ROOT).shards
            return True
        needed = said.partition("something is needed:\n")[2].partition("\nit differs from")[0].splitlines()
        assert needed
        assert all(map(KEY.match, needed)), needed
    except ConfigurationError as error:
        for line in str(error).splitlines():
            place = PLACE.match(line)
            named = KEY.match(line, place.end() if place else 0)
            assert named or (place and text_may_be_wrong) or re.fullmatch(r"and \d+ more", line), line
            assert len(line) < 1000
    finally:
        signal.alarm(0)
    return False


def require_same(given_values: Any, read: Any) -> None:
    """Check that every given value is what was read; coordinates that are text are not compared."""
    if isinstance(given_values, dict):
        for key, value in given_values.items():
            require_same(value, read[key])
    elif isinstance(given_values, list):
        assert len(given_values) == len(read)
        for value, other in zip(given_values, read, strict=True):
            require_same(value, other)
    elif not (isinstance(given_values, str) and isinstance(read, float)):
        assert given_values == read


def require_values(values: dict[str, Any]) -> None:
    path = Path("mine.yaml")
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    if require_outcome(path, text_may_be_wrong=False):
        require_same(values, load(path).model_dump())


def require_text(content: bytes) -> None:
    Path("mine.yaml").write_bytes(content)
    require_outcome(Path("mine.yaml"), text_may_be_wrong=True)


@pytest.mark.usefixtures("folder")
@some(60)
@given(changed_values())
def test_any_value_is_read_as_given_and_planned_or_refused_by_key(values: dict[str, Any]) -> None:
    require_values(values)


@pytest.mark.usefixtures("folder")
@some(60)
@given(damaged_texts())
def test_any_damaged_text_is_planned_or_refused_by_line_or_key(content: bytes) -> None:
    require_text(content)


@pytest.mark.byhand
@pytest.mark.usefixtures("folder")
@some(750)
@given(changed_values())
def test_many_values_are_read_as_given_and_planned_or_refused_by_key(values: dict[str, Any]) -> None:
    require_values(values)


@pytest.mark.byhand
@pytest.mark.usefixtures("folder")
@some(750)
@given(damaged_texts())
def test_many_damaged_texts_are_planned_or_refused_by_line_or_key(content: bytes) -> None:
    require_text(content)

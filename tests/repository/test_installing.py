"""Tests that need an administrator's programs are skipped outside CI, and never install anything there."""

from pathlib import Path

import pytest
from helpers.installing import require_installed


@pytest.fixture
def install(tmp_path: Path) -> Path:
    """A program that leaves a trace."""
    script = tmp_path / "install.sh"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/installed\n")
    script.chmod(0o755)
    return script


def test_outside_ci_the_reader_is_told_how_to_get_what_is_missing(
    install: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"needs a browser: `sudo .*install.sh` installs it"):
        require_installed("a browser", install, ready=False)
    assert not (install.parent / "installed").exists()


def test_outside_ci_what_is_there_is_used_without_installing(install: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    require_installed("a browser", install, ready=True)
    assert not (install.parent / "installed").exists()


def test_ci_installs(install: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    require_installed("a browser", install, ready=False)
    assert (install.parent / "installed").exists()


def test_ci_fails_where_it_cannot_install(install: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    install.write_text("#!/bin/sh\necho needs root >&2; exit 77\n")
    with pytest.raises(AssertionError, match="needs root"):
        require_installed("a browser", install, ready=False)

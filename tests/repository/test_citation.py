"""CITATION.cff and CHANGELOG.md agree with the package."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

REFERENCE_KEYS = {"type", "title", "authors"}


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


def test_the_citation_has_what_the_format_asks_for(root: Path, project: dict) -> None:
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["authors"] == project["authors"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert len(citation["references"]) >= 5
    for reference in citation["references"]:
        assert set(reference) >= REFERENCE_KEYS, reference["title"]
        assert all({"name"} == set(author) or "family-names" in author for author in reference["authors"])
        assert "doi" in reference or reference["identifiers"][0]["value"].startswith("arXiv:")


def test_the_changelog_has_a_section_for_this_version(root: Path, project: dict) -> None:
    versions = re.findall(r"^## (\S+)", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == project["version"]

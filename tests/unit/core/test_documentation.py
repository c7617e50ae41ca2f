"""Links of the documentation lead somewhere, and the front page names every page for users."""

import re
from pathlib import Path

import pytest


def text_of(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), flags=re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.strip()).replace(" ", "-") for heading in plain}


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page whose file or heading does not exist."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        name, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        linked = page.parent / name if name else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            broken.append(target)
    return broken


def test_every_link_leads_to_a_file_and_a_heading(root: Path) -> None:
    pages = [root / "README.md", *(root / "docs").rglob("*.md")]
    assert {str(page.relative_to(root)): links for page in pages if (links := broken_links(page))} == {}


@pytest.mark.parametrize("target", ["missing.md", "other.md#no-such-heading", "#nor-this"])
def test_a_broken_link_is_found(tmp_path: Path, target: str) -> None:
    (tmp_path / "other.md").write_text("# A heading\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n[good](other.md#a-heading) [bad]({target}) [elsewhere](https://example.org/missing)\n")
    assert broken_links(page) == [target]


def test_the_front_page_names_every_page_for_users(root: Path) -> None:
    front = root / "docs" / "index.md"
    linked = {(front.parent / name).resolve() for name in re.findall(r"\]\(([^)#\s]+\.md)", text_of(front))}
    pages = {page.resolve() for page in front.parent.glob("*.md")} - {front.resolve()}
    assert sorted(page.name for page in pages - linked) == []


def test_the_page_about_kinds_of_input_names_tests_that_exist(root: Path) -> None:
    """The page says which test protects which kind; a renamed test must be renamed there."""
    page = (root / "docs" / "development" / "inputs-notes.md").read_text()
    named = set(re.findall(r"`(test_\w+)::(test_\w+)`", page))
    files = {path.stem: path.read_text() for path in (root / "tests" / "unit").rglob("test_*.py")}
    assert len(named) > 50
    assert [f"{name}::{test}" for name, test in sorted(named) if f"def {test}(" not in files.get(name, "")] == []

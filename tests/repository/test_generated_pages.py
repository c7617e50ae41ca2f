"""What `make docs` writes from the rules is what stands in the repository."""

import difflib
from pathlib import Path

import pytest

from tuningfork.run.rules import Rule
from tuningfork.run.rules_page import drawing, generated_pages


def test_the_page_of_the_rules_and_the_drawing_in_the_readme_are_up_to_date(root: Path) -> None:
    for path, text in generated_pages(root).items():
        lines = difflib.unified_diff(path.read_text().splitlines(), text.splitlines(), str(path), "make docs", n=0)
        assert path.read_text() == text, "run `make docs`:\n" + "\n".join(lines)


@pytest.fixture
def rules() -> list[Rule]:
    def rule(name: str, *after: str, optional: bool = False) -> Rule:
        return Rule(name, "", "", "", (), (), frozenset(after), optional)

    return [
        rule("stamps"),
        rule("votes", "stamps", optional=True),
        rule("train", "votes"),
        rule("classify", "stamps", "train"),
        rule("report", "stamps", "classify"),
    ]


def test_the_drawing_leaves_out_what_other_arrows_say(rules: list[Rule]) -> None:
    lines = drawing(rules).splitlines()
    assert "    classify --> report" in lines
    assert "    stamps --> report" not in lines


def test_an_arrow_stays_where_only_an_optional_rule_would_imply_it(rules: list[Rule]) -> None:
    lines = drawing(rules).splitlines()
    assert "    stamps --> classify" in lines
    assert "    stamps -.-> votes" in lines
    assert "    votes([votes])" in lines

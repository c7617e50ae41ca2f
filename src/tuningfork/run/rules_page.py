"""The page that lists the rules of the workflow, and the drawing of the pipeline for the README."""

from collections.abc import Sequence
from pathlib import Path

from tuningfork.core.errors import TuningforkError
from tuningfork.core.files import write_text
from tuningfork.run.rules import Rule, read_rules

PAGE = Path("docs/development/rules.md")
README = Path("README.md")
BEGIN = "<!-- drawn by `make docs` from the rules: begin -->\n"
END = "<!-- drawn by `make docs` from the rules: end -->\n"
HEADING = """# The rules of the workflow

Written by `make docs` from the rules themselves and from Snakemake's plan of a run in which every stage has a job; a
test fails when it is out of date. Every rule also reads its frozen parameters, `results/params/<stage>.json`, which the
rule `parameters` writes. Paths are those of `src/tuningfork/core/stage/paths.py`.

"""


def rules_page(root: Path) -> str:
    """Return the page about the rules of the clone in `root` as Markdown."""
    return _page(read_rules(root))


def write_pages(root: Path) -> None:
    """Write the page about the rules, and the drawing in the README."""
    for path, text in generated_pages(root).items():
        write_text(path, text)


def generated_pages(root: Path) -> dict[Path, str]:
    """Return file -> text of what is written from the rules.

    Raises
    ------
    TuningforkError
        The README has lost the two lines between which the drawing stands.
    """
    rules = read_rules(root)
    readme = (root / README).read_text(encoding="utf-8")
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise TuningforkError(f"{README}: the drawing of the pipeline needs these two lines, once each:\n{BEGIN}{END}")
    before, after = readme.split(BEGIN)[0], readme.split(END)[1]
    return {root / PAGE: _page(rules), root / README: f"{before}{BEGIN}{drawing(rules)}{END}{after}"}


def drawing(rules: Sequence[Rule]) -> str:
    """Return the graph of the rules as a Mermaid diagram, which GitHub draws.

    Parameters
    ----------
    rules : sequence of Rule

    Returns
    -------
    str
        A fenced block of Markdown. An arrow is left out where others, through rules that always run, imply it; rules
        that run only where the configuration asks for them have round ends and dotted arrows.
    """
    optional = {rule.name for rule in rules if rule.optional}
    after = {rule.name: set(rule.after) - optional for rule in rules}
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"    {rule.name}([{rule.name}])" if rule.optional else f"    {rule.name}" for rule in rules]
    for rule in rules:
        indirect: set[str] = set().union(*(_all_before(name, after) for name in rule.after - optional))
        for name in sorted(rule.after - indirect):
            arrow = "-.->" if {name, rule.name} & optional else "-->"
            lines.append(f"    {name} {arrow} {rule.name}")
    return "\n".join([*lines, "```"]) + "\n"


def _all_before(name: str, after: dict[str, set[str]]) -> set[str]:
    """Return the rules that must run before `name`, at any distance."""
    before = set(after.get(name, ()))
    for other in after.get(name, ()):
        before |= _all_before(other, after)
    return before


def _page(rules: Sequence[Rule]) -> str:
    sections = []
    for rule in rules:
        sections.append(
            f"## {rule.name}\n\n{rule.docstring}\n\n"
            f"Declared in `{rule.file}`; conda environment `{rule.environment}`"
            + (f"; after {_names(sorted(rule.after))}" if rule.after else "")
            + (". It runs only where the configuration asks for it" if rule.optional else "")
            + f".\n\n| reads | makes |\n| --- | --- |\n| {_names(rule.inputs)} | {_names(rule.outputs)} |\n"
        )
    return HEADING + "\n".join(sections)


def _names(values: Sequence[str]) -> str:
    return ", ".join(f"`{value}`" for value in values) or "its parameters alone"

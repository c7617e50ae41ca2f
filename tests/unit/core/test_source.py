"""The hash of a stage's source: what counts, and what does not."""

import importlib
import shutil
from pathlib import Path

import pytest

from tuningfork.core.stage.parameters import STAGES
from tuningfork.core.stage.source import EXEMPT, imported_modules, program_digest, rule_code, source_digest

RULE = '''
rule bars:
    """Measure."""
    input:
        stamps=paths.STAMPS,  # the stamps
    output:
        paths.BARS,
    log:
        "bars.log",
    resources:
        mem_mb=3000,
    params:
        plan=lambda wildcards: "a"
        if plan.shards
        else "b",
    shell:
        "python $scripts/bars.py --stamps {input.stamps}"
        " --output {output}"


rule other:
    output:
        "other",
'''


def test_the_hash_of_a_program_follows_code_and_ignores_comments(tmp_path: Path) -> None:
    program = tmp_path / "program.py"

    def digest(text: str) -> str:
        program.write_text(text)
        return program_digest(program, "simulated")

    plain = digest("from tuningfork.core import flags\nx = 1\n")
    assert digest('"""Docs."""\nfrom tuningfork.core import flags\n\n\nx   =   1  # one\n') != digest("x = 1\n")
    assert digest("from tuningfork.core import flags\n\n# one\nx   =  1\n") == plain
    assert digest("from tuningfork.core import flags\nx = 2\n") != plain
    assert digest("from tuningfork.core import seeds\nx = 1\n") != plain


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_program_and_a_rule(root: Path, stage: str) -> None:
    name = stage.split("-")[0]
    assert f"scripts/{name}.py" in rule_code(root / "workflow" / "rules", name)
    assert imported_modules(root / "scripts" / f"{name}.py", "simulated")


def test_no_module_is_hidden_from_the_graph_of_imports(root: Path) -> None:
    """A folder without __init__.py would be: its code could change and nothing would rerun."""
    folders = {path.parent for path in (root / "src" / "tuningfork").rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


@pytest.mark.parametrize("survey", ["simulated", "sdss", "legacy", "euclid", "panstarrs", "des", "folder"])
def test_the_chosen_survey_counts_and_the_others_do_not(root: Path, survey: str) -> None:
    modules = imported_modules(root / "scripts" / "tiles.py", survey)
    entry = f"tuningfork.surveys.{survey}"
    assert {entry, f"{entry}.survey"} & modules
    others = {"sdss", "legacy", "euclid", "panstarrs", "des"} - {survey}
    assert not {module for module in modules if module.split(".")[2:3] and module.split(".")[2] in others}
    assert ("tuningfork.simulate.light.canvas" in modules) == (survey == "simulated")


def test_a_survey_that_is_not_chosen_does_not_change_the_hash(root: Path) -> None:
    assert source_digest(root, "tiles", "sdss") != source_digest(root, "tiles", "legacy")
    assert source_digest(root, "simulate", "sdss") == source_digest(root, "simulate", "legacy")


@pytest.mark.parametrize("name", EXEMPT)
def test_what_cannot_change_a_result_does_not_count(root: Path, name: str) -> None:
    """The names must exist, else the list would exempt nothing."""
    assert importlib.import_module(name)
    for stage in STAGES:
        modules = imported_modules(root / "scripts" / f"{stage.split('-')[0]}.py", "simulated")
        assert not {module for module in modules if module == name or module.startswith(f"{name}.")}


@pytest.fixture
def digest(root: Path, tmp_path: Path):
    """Return the hash of the stage bars with an edited rule."""
    (tmp_path / "workflow" / "rules").mkdir(parents=True)
    (tmp_path / "scripts").mkdir()
    shutil.copy(root / "scripts" / "bars.py", tmp_path / "scripts")

    def with_rule(old: str = "", new: str = "") -> str:
        assert old in RULE
        (tmp_path / "workflow" / "rules" / "bars.smk").write_text(RULE.replace(old, new, 1) if old else RULE)
        return source_digest(tmp_path, "bars", "simulated")

    return with_rule


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" --output {output}", " --out {output}"),
        ("stamps=paths.STAMPS", "stamps=paths.STAMPS_TABLE"),
        ('else "b"', 'else "c"'),
        ("paths.BARS", "temp(paths.BARS)"),
    ],
)
def test_what_a_rule_does_counts(digest, old: str, new: str) -> None:
    assert digest(old, new) != digest()


HELPERS = '''
def named(shards):
    """Return."""
    return [path_of(shard) for shard in shards]


def path_of(shard):
    return f"{FOLDER}/{shard}"


def other(shard):
    return shard


FOLDER = "stamps"
shell.prefix("set -e")
'''


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("in shards]", "in shards[:1]]", True),
        ('f"{FOLDER}/{shard}"', 'f"{FOLDER}/{shard}.npy"', True),
        ('"stamps"', '"pixels"', True),
        ("    return shard\n", "    return [shard]\n", False),
        ("Return.", "Return the files.", False),
        ("in shards]", "in shards]  # all", False),
    ],
)
def test_the_functions_that_a_rule_names_count(tmp_path: Path, old: str, new: str, counts: bool) -> None:
    assert old in HELPERS
    (tmp_path / "bars.smk").write_text(RULE.replace("stamps=paths.STAMPS", "stamps=named(plan.shards)"))
    codes = []
    for text in (HELPERS, HELPERS.replace(old, new)):
        (tmp_path / "common.smk").write_text(text)
        codes.append(rule_code(tmp_path, "bars"))
    assert (codes[0] != codes[1]) == counts


def test_the_functions_of_the_workflow_are_found(root: Path) -> None:
    code = rule_code(root / "workflow" / "rules", "infer_morphology")
    assert "def cards(task)" in code
    assert "def _cards(task)" in code
    assert "def memory" not in code


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # the stamps", ""),
        ("Measure.", "Measure bars."),
        ("mem_mb=3000", "mem_mb=4000"),
        ('"bars.log"', '"other.log"'),
        (
            '"python $scripts/bars.py --stamps {input.stamps}"\n        " --output',
            '"python $scripts/bars.py --stamps {input.stamps} --output',
        ),
        ('"a"\n        if plan.shards\n        else "b"', '"a" if plan.shards else "b"'),
        ('        "other",', '        "another",'),
    ],
)
def test_how_a_rule_is_written_and_what_it_may_use_does_not_count(digest, old: str, new: str) -> None:
    assert digest(old, new) == digest()

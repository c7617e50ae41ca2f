"""pyproject.toml, the pins for pip and the conda environments must agree, and suffice for the rules that use them."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

import grimp
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

CONDA_NAMES = {"matplotlib": "matplotlib-base"}
TORCH = {"core": "pytorch-cpu", "gpu": "pytorch-gpu"}
MAIN_PROCESS = {"snakemake", "snakemake-executor-plugin-slurm"}
"""Run the workflow, and are not needed in a job's environment."""
IMPORT_NAMES = {"yaml": "pyyaml", "PIL": "pillow"}
BROUGHT_BY = {"cycler": "matplotlib", "markupsafe": "jinja2", "packaging": "matplotlib"}
"""Imported, and always there because another package needs it."""


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def needs(project: dict) -> dict[str, Requirement]:
    return {canonicalize_name(need.name): need for need in map(Requirement, project["dependencies"])}


@pytest.fixture(scope="module")
def pins(root: Path) -> dict[str, Version]:
    lines = [line for line in (root / "envs" / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==[\w.!]+", line), f"{line}: no plain pin"
    assert lines == sorted(lines, key=lambda line: canonicalize_name(line.split("==")[0]))
    return {canonicalize_name(line.split("==")[0]): Version(line.split("==")[1]) for line in lines}


def conda(root: Path, name: str) -> list[str]:
    return yaml.safe_load((root / "envs" / f"{name}.yaml").read_text())["dependencies"]


def test_every_dependency_is_pinned_within_its_range(project: dict, pins: dict[str, Version]) -> None:
    extras = [need for group in project["optional-dependencies"].values() for need in group]
    for need in map(Requirement, [*project["dependencies"], *extras]):
        assert need.specifier.contains(pins[canonicalize_name(need.name)]), need


def test_the_tests_run_with_the_pins(needs: dict[str, Requirement], pins: dict[str, Version]) -> None:
    installed = {name: importlib.metadata.version(name).split("+")[0] for name in needs}
    assert installed == {name: str(pins[name]) for name in needs}


@pytest.mark.parametrize("name", ["core", "gpu"])
def test_a_conda_environment_has_the_dependencies_of_a_job_with_the_same_pins(
    root: Path, name: str, needs: dict[str, Requirement], pins: dict[str, Version]
) -> None:
    names = CONDA_NAMES | {"torch": TORCH[name]}
    wanted = {f"{names.get(need, need)}={pins[need]}" for need in needs if need not in MAIN_PROCESS}
    python, *packages = conda(root, name)
    assert set(packages) == wanted
    assert len(packages) == len(wanted)
    assert python == "python >=3.11,<3.14"


def rules(root: Path) -> list[tuple[str, str]]:
    """Return program and environment of every rule that has a program."""
    text = "".join(path.read_text() for path in sorted((root / "workflow" / "rules").glob("*.smk")))
    found = []
    for rule in re.split(r"^rule ", text, flags=re.MULTILINE)[1:]:
        program, environment = re.search(r"scripts/(\w+)\.py", rule), re.search(r"envs/(\w+)\.yaml", rule)
        if program and environment:
            found.append((program[1], environment[1]))
    return found


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("tuningfork", include_external_packages=True, cache_dir=None)


def imported(program: Path) -> set[str]:
    """Return the foreign packages that a program imports, directly or not."""
    nodes = [node for node in ast.walk(ast.parse(program.read_text())) if isinstance(node, ast.ImportFrom)]
    modules = {node.module for node in nodes if node.module and node.module.startswith("tuningfork.")}
    parents = {".".join(module.split(".")[:depth]) for module in modules for depth in range(1, module.count(".") + 2)}
    reached = set().union(*(graph().find_upstream_modules(module) for module in parents))
    return {module.split(".")[0] for module in reached} - {"tuningfork"} - set(sys.stdlib_module_names)


def test_the_environment_of_a_rule_has_what_its_program_imports(root: Path) -> None:
    found = rules(root)
    assert len(found) >= 14
    back = {conda_name: name for name, conda_name in CONDA_NAMES.items()} | dict.fromkeys(TORCH.values(), "torch")
    for program, name in found:
        offered = {back.get(entry.split("=")[0], entry.split("=")[0]) for entry in conda(root, name)[1:]}
        names = imported(root / "scripts" / f"{program}.py")
        needed = {BROUGHT_BY.get(package, IMPORT_NAMES.get(package, package)) for package in names}
        assert needed <= offered, f"{program}.py needs {needed - offered} in envs/{name}.yaml"

"""A hash of the code that a stage runs: its rule, its program, and all that the program imports from the package."""

import ast
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import grimp

PACKAGE = "tuningfork"
REGISTRY = f"{PACKAGE}.surveys.registry"
"""The module that imports all surveys, of which a run uses one."""
SURROUNDINGS = ("accept", "lineage", "lock", "made", "outdated", "parameters", "paths", "program", "software", "source")
EXEMPT = {
    f"{PACKAGE}.core.config": "every value that a stage reads stands in its frozen parameters",
    f"{PACKAGE}.core.errors": "names of faults",
    f"{PACKAGE}.core.running": "how far the work is, threads that keep the order, freed memory",
    **{f"{PACKAGE}.core.stage.{name}": "how parameters, options and logs get to a stage" for name in SURROUNDINGS},
}
"""Modules that cannot change a result, with the reason; their code does not count, nor what they alone import."""
HELPERS = "common.smk"
"""The file of rules with the functions that the clauses of all rules may name."""
CLAUSES = ("input", "output", "params", "shell")
"""The parts of a rule that can change a result: resources, logs, environments and descriptions cannot."""
DATA_FILES = {".yaml", ".html", ".css", ".js"}


def source_digest(root: Path, stage: str, survey: str) -> str:
    """Return the hash of the code that a stage runs.

    It covers the stage's rule (`CLAUSES`) with the functions that it names, its program and the modules of the package that the program imports,
    directly or not, without those in `EXEMPT` and those of other surveys. Comments, docstrings, layout and dates of
    files do not count; data files of the package do.

    Parameters
    ----------
    root : Path
        The root of the repository: the program is scripts/<name>.py and the rule <name> in workflow/rules/, where
        <name> is the stage up to the first hyphen.
    stage : str
    survey : str
        The chosen survey, a module or package in surveys/.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    name = stage.split("-")[0]
    program = root / "scripts" / f"{name}.py"
    digest = hashlib.sha256(rule_code(root / "workflow" / "rules", name).encode())
    digest.update(program_digest(program, survey).encode())
    return digest.hexdigest()


def program_digest(program: Path, survey: str) -> str:
    """Return the hash of a program and of the modules that it imports."""
    digest = hashlib.sha256(_normalised(program))
    for module in sorted(imported_modules(program, survey)):
        digest.update(module.encode() + _module(module))
    return digest.hexdigest()


def imported_modules(program: Path, survey: str) -> set[str]:
    """Return the modules of the package that a program imports, directly or not, and whose code counts."""
    graph = _graph(survey)
    modules: set[str] = set()
    for module in _imports(program, graph.modules):
        modules |= {module} | graph.find_upstream_modules(module)
    parents = {".".join(module.split(".")[:depth]) for module in modules for depth in range(1, module.count(".") + 1)}
    for parent in parents - modules:
        modules |= {parent} | graph.find_upstream_modules(parent)
    return modules


@cache
def _graph(survey: str) -> grimp.ImportGraph:
    """Return the imports within the package, without exempt modules and with the chosen survey alone."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    for name in EXEMPT:
        for module in {name} | graph.find_descendants(name):
            graph.remove_module(module)
    if REGISTRY in graph.modules:
        for module in graph.find_modules_directly_imported_by(REGISTRY):
            if _survey_of(module) not in (survey, None):
                graph.remove_import(importer=REGISTRY, imported=module)
    return graph


def _survey_of(module: str) -> str | None:
    """Return the name of the survey to which a module belongs, None for what all surveys share."""
    from tuningfork.core.config.survey import Survey

    parts = module.removeprefix(f"{PACKAGE}.surveys.").split(".")
    return parts[0] if parts[0] in Survey.model_fields else None


def _imports(program: Path, known: set[str]) -> set[str]:
    """Return the known modules that `program` names in its import statements."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(program.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        modules |= known.intersection(names)
    return modules


@cache
def _module(name: str) -> bytes:
    root = Path(__file__).parents[3]
    path = root.joinpath(*name.split("."))
    if path.is_dir():
        data = [file.read_bytes() for file in sorted(path.iterdir()) if file.suffix in DATA_FILES]
        return _normalised(path / "__init__.py") + b"".join(data)
    return _normalised(path.with_suffix(".py"))


def _normalised(path: Path) -> bytes:
    """Return the code of a file without comments, docstrings and layout."""
    return ast.unparse(_without_docstrings(ast.parse(path.read_text(encoding="utf-8")))).encode()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        match getattr(node, "body", None):
            case [ast.Expr(ast.Constant(str())) as docstring, *_]:
                docstring.value = ast.Constant("")
    return tree


def rule_code(folder: Path, name: str) -> str:
    """Return what a rule of Snakemake's does, without comments, layout, resources and descriptions.

    Parameters
    ----------
    folder : Path
        With the files of rules.
    name : str
        The rule.

    Returns
    -------
    str
        Its `CLAUSES` as Python writes them, and the functions of `HELPERS` that they name, directly or not; empty if
        there is no such rule.
    """
    clauses = _clauses(folder, name)
    code = {clause: _code(clauses[clause]) for clause in CLAUSES if clause in clauses}
    return "\n".join([*(f"{clause}: {text}" for clause, text in code.items()), *_helpers(folder, code.values())])


def _helpers(folder: Path, texts: Iterable[str]) -> list[str]:
    """Return the code of the functions and constants of `HELPERS` that some code names, directly or not, by name."""
    file = folder / HELPERS
    tree = _without_docstrings(ast.parse(file.read_text(encoding="utf-8") if file.is_file() else ""))
    known: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            known[node.name] = node
        elif isinstance(node, ast.Assign):
            known |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    found: dict[str, str] = {}
    waiting = list(texts)
    while waiting:
        names = {node.id for node in ast.walk(ast.parse(waiting.pop())) if isinstance(node, ast.Name)}
        new = {name: ast.unparse(known[name]) for name in names & set(known) - set(found)}
        found |= new
        waiting += new.values()
    return [found[name] for name in sorted(found)]


def _clauses(folder: Path, name: str) -> dict[str, str]:
    """Return clause -> text of a rule."""
    begin = re.compile(rf"^rule {re.escape(name)}:\n((?:[ \t]+.*\n|\s*\n)*)", re.MULTILINE)
    for file in sorted(folder.glob("*.smk")):
        if block := begin.search(file.read_text(encoding="utf-8") + "\n"):
            pieces = re.split(r"^    (\w+):", block[1], flags=re.MULTILINE)
            return dict(zip(pieces[1::2], pieces[2::2], strict=True))
    return {}


def _code(arguments: str) -> str:
    """Return the arguments of a clause without comments and layout, joined strings as one."""
    return ast.unparse(ast.parse(f"clause({arguments}\n)"))

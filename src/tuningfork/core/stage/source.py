"""A hash of the code that a program runs: itself and all that it imports from the package."""

import ast
import hashlib
from functools import cache
from pathlib import Path

import grimp

PACKAGE = "tuningfork"


def source_digest(program: Path) -> str:
    """Return the hash of `program` and of the modules of the package that it imports, directly or not.

    Comments, docstrings, layout and dates of files do not count, data files of the package do.
    """
    digest = hashlib.sha256(_normalised(program))
    for module in sorted(_closure(program)):
        digest.update(module.encode() + _module(module))
    return digest.hexdigest()


def _closure(program: Path) -> set[str]:
    graph = _graph()
    modules: set[str] = set()
    for module in _imports(program):
        modules |= {module} | graph.find_upstream_modules(module)
    parents = {".".join(module.split(".")[:depth]) for module in modules for depth in range(1, module.count(".") + 1)}
    for parent in parents - modules:
        modules |= {parent} | graph.find_upstream_modules(parent)
    return modules


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, cache_dir=None)


def _imports(program: Path) -> set[str]:
    """Return the modules of the package that `program` names in its import statements."""
    known = _graph().modules
    found: set[str] = set()
    for node in ast.walk(ast.parse(program.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {name for name in names if name in known}
    return found


@cache
def _module(name: str) -> bytes:
    root = Path(__file__).parents[3]
    path = root.joinpath(*name.split("."))
    if path.is_dir():
        data = [
            file.read_bytes() for file in sorted(path.iterdir()) if file.suffix in {".yaml", ".html", ".css", ".js"}
        ]
        return _normalised(path / "__init__.py") + b"".join(data)
    return _normalised(path.with_suffix(".py"))


def _normalised(path: Path) -> bytes:
    """Return the code of a file without comments, docstrings and layout."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        match getattr(node, "body", None):
            case [ast.Expr(ast.Constant(str())) as docstring, *_]:
                docstring.value = ast.Constant("")
    return ast.unparse(tree).encode()

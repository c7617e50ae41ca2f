"""Check that modules, functions and folders stay small enough to be read at once; `make lint` runs it."""

import ast
import sys
from collections import Counter
from pathlib import Path

MODULE_LINES = 350
FUNCTION_LINES = 60
FOLDER_MODULES = 14
"""Modules in one folder, without its __init__."""


def faults_of_file(path: Path) -> list[str]:
    """Return a line for each thing in a module that is too long."""
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    found = [f"{path}: {lines} lines, above {MODULE_LINES}"] if lines > MODULE_LINES else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                found.append(f"{path}:{node.lineno} {node.name}: {lines} lines, above {FUNCTION_LINES}")
    return found


def faults_of_folders(root: Path) -> list[str]:
    """Return a line for each folder with too many modules."""
    modules = Counter(path.parent for path in root.rglob("*.py") if path.name != "__init__.py")
    return [
        f"{folder}: {number} modules, above {FOLDER_MODULES}"
        for folder, number in sorted(modules.items())
        if number > FOLDER_MODULES
    ]


if __name__ == "__main__":
    found = []
    for root in map(Path, sys.argv[1:]):
        found += faults_of_folders(root)
        found += [line for path in sorted(root.rglob("*.py")) for line in faults_of_file(path)]
    print("\n".join(found), end="\n" if found else "")
    sys.exit(bool(found))

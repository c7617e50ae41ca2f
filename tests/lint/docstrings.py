"""Check that public functions with several arguments, or with arrays, have numpydoc sections; `make lint` runs it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ARRAYS = ("ndarray", "NDArray", "Tensor", "pa.Table", "DataFrame")
"""Words in an annotation that stand for an array or a table."""
MANY = 3
"""Arguments from which a function needs sections whatever it takes."""
EXEMPT = {"property", "cached_property", "setter", "overload", "model_validator", "field_validator"}
"""Decorators of functions that nobody calls with arguments."""
NOTHING = {"None", "NoReturn", "Never"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(tree: ast.Module) -> Iterator[tuple[str, Function, bool]]:
    """Yield name, node and whether it is a method, for every public function of a module and its public classes."""
    for node in tree.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node.name, node, False
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for item in node.body:
                if isinstance(item, Function) and not item.name.startswith("_"):
                    yield f"{node.name}.{item.name}", item, True


def faults(node: Function, is_method: bool) -> list[str]:
    """Return what the docstring of a function lacks."""
    decorators = {ast.unparse(decorator).split("(")[0].split(".")[-1] for decorator in node.decorator_list}
    if decorators & EXEMPT:
        return []
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    if is_method and "staticmethod" not in decorators:
        arguments = arguments[1:]
    annotations = [ast.unparse(argument.annotation) for argument in arguments if argument.annotation]
    returned = ast.unparse(node.returns) if node.returns else "None"
    many = len(arguments) >= MANY
    docstring = ast.get_docstring(node) or ""
    missing = []
    if (many or any(map(_is_array, annotations))) and "Parameters\n---" not in docstring:
        missing.append("no Parameters section")
    gives = returned not in NOTHING and (many or _is_array(returned))
    if gives and "Returns\n---" not in docstring and "Yields\n---" not in docstring:
        missing.append("no Returns section")
    return missing


def faults_of_file(path: Path) -> list[str]:
    """Return a line for each fault in a module."""
    return [
        f"{path}:{node.lineno} {name}: {fault}"
        for name, node, is_method in public_functions(ast.parse(path.read_text(encoding="utf-8")))
        for fault in faults(node, is_method)
    ]


def _is_array(annotation: str) -> bool:
    return any(word in annotation for word in ARRAYS)


if __name__ == "__main__":
    found = [
        line for root in sys.argv[1:] for path in sorted(Path(root).rglob("*.py")) for line in faults_of_file(path)
    ]
    print("\n".join(found), end="\n" if found else "")
    sys.exit(bool(found))

"""Configurations that went wrong: valid ones with values replaced, and with their text damaged."""

import os
import random
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from hypothesis import strategies as st
from pydantic import BaseModel

from tuningfork.core.config import Configuration

EXAMPLES = Path(__file__).resolve().parents[2] / "config" / "examples"
BASES: list[dict[str, Any]] = [
    {},
    *(yaml.safe_load(path.read_text()) for path in sorted(EXAMPLES.glob("*.yaml"))),
    {"sky": {"footprint": {"kind": "polygon", "vertices": [[10.0, 1.0], [11.0, 1.0], [11.0, 2.0]]}}},
    {"sky": {"footprint": {"kind": "tiles", "names": ["sim-r0900-c0000"]}, "shard_order": 8}},
    {"sky": {"footprint": {"kind": "moc", "path": "map.txt"}, "shard_order": 4}},
    {"sky": {"footprint": {"kind": "table"}}, "sources": {"catalogue": {"kind": "table", "path": "table.csv"}}},
    {"sources": {"catalogue": {"kind": "hats", "path": "folder"}}},
    {"train": {"morphology": {"votes": {"table": "table.csv", "tree": "gz2"}}}},
    {"train": {"structure": {"start": "card.json"}}},
]
"""Valid configurations, apart from files that are missing."""
NUMBERS = [0, 1, -1, 2, 3, 7, 12, 0.0, 0.5, 1e-12, -0.0, 89.99, 90.0, 359.99, 360.0, 1e6, 1e308, 2**62, 10**30]
TEXTS = [
    "", " ", "x", "yes", "no", "r", "table", "cone", "compact", "1e-3", "3:30", "010", "0h42m44.3s", "-00:00:30.5", "~", "é",
    "名前", "a/b", "..", "/", "/dev/zero", "/dev/null", "/proc/self/mem", "pipe", "folder", "folder/none", "table.csv", "card.json",
    "map.txt", "x" * 256, "d/" * 3000, "nul\0", "bell\a", "\u202egnp", "line\nline", "http://", "https://example.org/tap",
    "8-391000", "gz2",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.sampled_from(
        [None, True, False, [], {}, [[]], [1, 2], ["r"], ["r", "r"], ["g", "r", "i"], [None], {"kind": "box"}]
    ),
    st.sampled_from(
        [float("nan"), float("inf"), [0.1, 2.0], [2.0, 0.1], ["8-0"], ["9-99999999"], {"ra": "x", "dec": "y"}]
    ),
    st.floats(allow_nan=False),
    st.integers(-(10**20), 10**20),
    st.text(max_size=12),
    st.lists(st.lists(st.floats(-10, 370), min_size=2, max_size=2), max_size=6),
)
COORDINATES = st.sampled_from([0.0, 0.5, 10.0, 210.1, "0h42m44.3s", "10d30m", "00:42:44.3"])
HARMLESS = ["# a note\n", "\n", "  # note\n", "\n\n"]
"""Lines that change nothing."""
SNIPPETS = [
    "\t", ":", ": ", "- ", "#", "&a ", "*a", "<<: *a\n", "!!python/object/apply:os.system ", "!!int ", "%YAML 1.1\n", "---\n", "...\n",
    "'", '"', "{", "}", "[", "]", "|\n", ">\n", "? ", "\n", "  ", "010", "3:30", "-0:00:30.5", "1e-3", "1_000", "0x10", ".inf", ".nan",
    "yes", "null", "2026-13-45", "\\x00", "[" * 40, "{a: " * 40, "seed: 1\n", "sky:\n", "\ufeff", "é", "9" * 5000,
]  # fmt: skip


def key_paths(model: type[BaseModel] = Configuration, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the paths of all keys."""
    paths = []
    for name, field in model.model_fields.items():
        paths.append((*above, name))
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            paths += key_paths(field.annotation, (*above, name))
    footprint = ("ra", "dec", "radius", "ra_min", "ra_max", "dec_min", "dec_max", "vertices", "names", "path", "kind")
    catalogue = ("kind", "path", "table", "columns", "threshold")
    if not above:
        paths += [("sky", "footprint", name) for name in footprint]
        paths += [("sources", "catalogue", name) for name in catalogue]
    return paths


def fitting(path: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """Return values of the type and within the limits of a key, as far as these can be told; any for other keys."""
    model: Any = Configuration
    for key in path[:-1]:
        model = model.model_fields[key].annotation if hasattr(model, "model_fields") else None
    field = getattr(model, "model_fields", {}).get(path[-1])
    if field is None:
        return COORDINATES if path[-1].startswith(("ra", "dec")) else VALUES
    limits = {
        name: getattr(entry, name)
        for entry in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if hasattr(entry, name)
    }
    low, high = limits.get("ge", limits.get("gt")), limits.get("le", limits.get("lt"))
    kind = field.annotation
    if kind is bool:
        return st.booleans()
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if kind is int:
        return st.integers(int(low), int(high))
    if kind is float:
        edges = {"exclude_min": "gt" in limits, "exclude_max": "lt" in limits}
        return st.floats(low, high, **edges) | st.just(field.default)
    return st.just(field.default) if not isinstance(field.default, BaseModel) and kind is not str else VALUES


def put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set the value of a key; sections above it are made."""
    for key in path[:-1]:
        below = values.get(key)
        if not isinstance(below, dict):
            below = values[key] = {}
        values = below
    values[path[-1]] = value


@st.composite
def changed_values(draw: st.DrawFn) -> dict[str, Any]:
    """Return a valid configuration with one to three other values."""
    values = yaml.safe_load(yaml.safe_dump(draw(st.sampled_from(BASES))))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(key_paths()))
        put(values, path, draw(fitting(path) if draw(st.integers(0, 5)) else VALUES))
    return values


@st.composite
def damaged_texts(draw: st.DrawFn) -> bytes:
    """Return the text of a valid configuration with pieces inserted, doubled, cut or replaced by any bytes."""
    values = draw(st.one_of(st.sampled_from(BASES), changed_values()))
    text = yaml.safe_dump(values, allow_unicode=True, default_flow_style=draw(st.sampled_from([None, True, False])))
    generator = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(0, 4))):
        place, other = sorted(generator.randrange(len(text) + 1) for _ in range(2))
        match draw(st.sampled_from(["insert", "double", "cut", "line", "note", "note", "note"])):
            case "insert":
                text = text[:place] + draw(st.sampled_from(SNIPPETS)) + text[place:]
            case "double":
                text = text[:other] + text[place:]
            case "cut":
                text = text[:place] + text[other:]
            case "note":
                lines = text.splitlines(keepends=True)
                lines.insert(generator.randrange(len(lines) + 1), draw(st.sampled_from(HARMLESS)))
                text = "".join(lines)
            case "line":
                lines = text.splitlines(keepends=True) or [""]
                lines.insert(generator.randrange(len(lines) + 1), generator.choice(lines))
                text = "".join(lines)
    content = text.encode("utf-8", "surrogatepass")
    return content if draw(st.integers(0, 9)) else content + draw(st.binary(max_size=4))


def make_inputs(folder: Path) -> None:
    """Write the files that `TEXTS` names: a pipe, a folder, a table, a map and the card of a foreign network."""
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    (folder / "table.csv").write_text("ra,dec\n10.0,41.0\n10.1,41.1\n")
    (folder / "map.txt").write_text("3/1-4\n")
    (folder / "card.json").write_text('{"format": 2, "model": "resnet"}')

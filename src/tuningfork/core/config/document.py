"""Write config.yaml and schema.json from the models."""

import json
import textwrap
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tuningfork.core.config.base import extra_of
from tuningfork.core.config.reading.angles import PATTERNS
from tuningfork.core.config.root import Configuration

SCHEMA_LINE = "# yaml-language-server: $schema={schema}\n"
"""The line by which editors find the schema of a configuration, to check and complete it."""
HEADER = """\
# The default configuration: a simulated sky that needs no downloads.
# Written from the models in src/tuningfork/core/config by `tuningfork config`; a test fails when they differ.
# A configuration of your own holds only what differs from this one: tuningfork run mine.yaml
"""


def default_yaml() -> str:
    """Return the text of config/config.yaml: every key with its default, its description and its unit."""
    return SCHEMA_LINE.format(schema="schema.json") + HEADER + "\n" + "\n".join(_lines(Configuration(), 0)) + "\n"


def json_schema() -> str:
    """Return the text of config/schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Configuration.model_json_schema()
    for section in schema["$defs"].values():
        section["properties"] = {name: _property(value) for name, value in section["properties"].items()}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _property(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a key without what only the package reads; a coordinate may be text as well."""
    schema = {name: value for name, value in schema.items() if name not in {"path", "words"}}
    angle = schema.pop("angle", None)
    if angle is None:
        return schema
    number = {name: schema.pop(name) for name in ("type", "minimum", "maximum", "exclusiveMaximum") if name in schema}
    return schema | {"anyOf": [number, {"type": "string", "pattern": PATTERNS[angle]}]}


def _lines(section: BaseModel, depth: int) -> list[str]:
    lines: list[str] = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        indent = "  " * depth
        lines += textwrap.wrap(_comment(field), 110, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}#   ")
        if isinstance(value, BaseModel):
            lines += [f"{indent}{name}:", *_lines(value, depth + 1)]
        else:
            lines.append(f"{indent}{name}: {_scalar(value)}")
        if depth == 0:
            lines.append("")
    return lines[:-1] if depth == 0 else lines


def _comment(field: FieldInfo) -> str:
    unit = extra_of(field).get("unit")
    return f"{field.description} [{unit}]" if unit else str(field.description)


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).replace("\n...", "").strip()

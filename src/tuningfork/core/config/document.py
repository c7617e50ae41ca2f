"""Write config.yaml and schema.json from the models."""

import json
import textwrap
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tuningfork.core.config.root import Configuration

HEADER = """\
# The default configuration: a simulated sky that needs no downloads.
# Written from the models in src/tuningfork/core/config by `tuningfork config`; a test fails when they differ.
# A configuration of your own holds only what differs from this one: tuningfork run mine.yaml
"""


def default_yaml() -> str:
    """Return the text of config/config.yaml: every key with its default, its description and its unit."""
    return HEADER + "\n" + "\n".join(_lines(Configuration(), 0)) + "\n"


def json_schema() -> str:
    """Return the text of config/schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Configuration.model_json_schema()
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


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
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    unit = extra.get("unit")
    return f"{field.description} [{unit}]" if unit else str(field.description)


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).replace("\n...", "").strip()

"""How a section of the configuration is declared."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A part of the configuration: unknown keys and wrong types are refused, values cannot change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def option(default: Any, description: str, *, unit: str | None = None, plan: bool = False, **limits: Any) -> Any:
    """Declare one key of a section.

    Parameters
    ----------
    default
        The value of the embedded default configuration.
    description : str
        What the key does, for the comments of config.yaml and for the schema.
    unit : str, optional
        Unit of the value.
    plan : bool
        True if the key decides only *which* jobs exist, never what a job computes; it is then left out of
        the frozen parameters, so that a survey can grow without recomputing what is there.
    **limits
        Limits that pydantic checks (`ge`, `le`, `gt`, `lt`, `min_length`, ...).
    """
    extra: dict[str, Any] = {}
    if unit:
        extra["unit"] = unit
    if plan:
        extra["plan"] = True
    return Field(default=default, description=description, json_schema_extra=extra, **limits)


def known_columns(columns: dict[str, str], ours: Sequence[str]) -> dict[str, str]:
    """Return a mapping from our columns to those of a user's table; ValueError for one that is none of `ours`."""
    for name in columns:
        if name not in ours:
            raise ValueError(f"{name!r} is none of our columns ({', '.join(ours)}); write ours: theirs")
    return columns

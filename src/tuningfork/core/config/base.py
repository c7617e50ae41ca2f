"""Building blocks for the sections of the configuration."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from tuningfork.core.errors import InputError


class Section(BaseModel):
    """A section of the configuration: unknown keys and wrong types are errors, and values are immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    _refusal: str = PrivateAttr("")

    def restricted(self, values: Mapping[str, Any], refusal: str) -> Self:
        """Return a copy that has only some of the keys; to read another one raises InputError.

        Parameters
        ----------
        values : mapping
            Key -> value of the keys that the copy has.
        refusal : str
            The error's message, in which `{key}` stands for the key that was read.

        Returns
        -------
        Section
            Of the same class.
        """
        copy = self.model_copy()
        copy.__dict__.clear()
        copy.__dict__.update(values)
        copy._refusal = refusal
        return copy

    if not TYPE_CHECKING:  # A type checker would take every name for an attribute.

        def __getattr__(self, name: str) -> Any:
            """Refuse a key that `restricted` has left out; Python asks only for attributes that are not there."""
            if name in type(self).model_fields:
                raise InputError(self._refusal.format(key=name))
            return super().__getattr__(name)


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
        True if the key decides only *which* jobs exist, never what a job computes. Such keys are left out of the
        frozen parameters, so that a survey can grow without recomputing finished shards.
    **limits
        Limits that pydantic checks (`ge`, `le`, `gt`, `lt`, `min_length`, ...).

    Returns
    -------
    pydantic.fields.FieldInfo
        The declaration, to be assigned to an annotated attribute of a :class:`Section`.
    """
    extra: dict[str, Any] = {}
    if unit:
        extra["unit"] = unit
    if plan:
        extra["plan"] = True
    return Field(default=default, description=description, json_schema_extra=extra, **limits)


def known_columns(columns: dict[str, str], ours: Sequence[str]) -> dict[str, str]:
    """Check a mapping from our columns to the columns of a user's table.

    Parameters
    ----------
    columns : dict
        Our name -> the user's name.
    ours : sequence of str
        The names that may be mapped.

    Returns
    -------
    dict
        `columns`, unchanged.

    Raises
    ------
    ValueError
        A key is not one of `ours`.
    """
    for name in columns:
        if name not in ours:
            raise ValueError(f"{name!r} is none of our columns ({', '.join(ours)}); write ours: theirs")
    return columns

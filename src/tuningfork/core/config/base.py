"""Building blocks for the sections of the configuration."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator
from pydantic.fields import FieldInfo

from tuningfork.core.config.reading.angles import degrees_of
from tuningfork.core.config.reading.characters import require_printable
from tuningfork.core.errors import InputError

MAX_TEXT = 4096
"""Longest text; the system takes no longer paths."""
ADDRESS = r"^https?://[^\s/?#]+([/?#]\S*)?$"
"""Pattern of the address of a service."""


class ConflictError(ValueError):
    """The values of several keys do not fit together, or one of a section is wrong.

    Parameters
    ----------
    message : str
        It names the values.
    *keys : str
        The keys, as seen from the section whose check raises this error.
    """

    def __init__(self, message: str, *keys: str) -> None:
        super().__init__(message)
        self.keys = keys


class Section(BaseModel):
    """A section of the configuration: unknown keys and wrong types are errors, and values are immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, str_max_length=MAX_TEXT)
    _refusal: str = PrivateAttr("")

    @model_validator(mode="before")
    @classmethod
    def _readable(cls, values: Any) -> Any:
        """Refuse characters that cannot be seen, and convert coordinates with hours, minutes and seconds."""
        if not isinstance(values, dict):
            return values
        read = {}
        for key, value in values.items():
            field = cls.model_fields.get(key)
            try:
                # A section below checks its own texts, and knows their keys.
                if not isinstance(value, dict) or (field and get_origin(field.annotation) is dict):
                    require_printable(value)
                    _require_different(value)
                angle = extra_of(field).get("angle") if field else None
                read[key] = degrees_of(value, angle) if angle else value
            except ValueError as error:
                raise ConflictError(str(error), key) from None
        return read

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


def option(
    default: Any,
    description: str,
    *,
    unit: str | None = None,
    plan: bool = False,
    angle: Literal["ra", "dec"] | None = None,
    path: Literal["file", "folder", "table", "output"] | None = None,
    words: Sequence[str] = (),
    **limits: Any,
) -> Any:
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
    angle : str, optional
        ra or dec if the value is a coordinate, which may be text with hours or degrees, minutes and seconds.
    path : str, optional
        What the value is the path of: a file; a folder; a table, which is either; or an output, a folder that is made.
    words : sequence of str
        Values that are no path.
    **limits
        Limits that pydantic checks (`ge`, `le`, `gt`, `lt`, `min_length`, ...).

    Returns
    -------
    pydantic.fields.FieldInfo
        The declaration, to be assigned to an annotated attribute of a :class:`Section`.
    """
    extra = {"unit": unit, "plan": plan, "angle": angle, "path": path, "words": list(words)}
    given: dict[str, Any] = {name: value for name, value in extra.items() if value}
    return Field(default=default, description=description, json_schema_extra=given, **limits)


def _require_different(values: Any) -> None:
    """Refuse a list in which a text stands twice, which would do the same work twice or mix up two bands."""
    if isinstance(values, list):
        texts = [value for value in values if isinstance(value, str)]
        if twice := [text for text, number in Counter(texts).items() if number > 1]:
            raise ValueError(f"{str(values)[:80]} names {twice[0][:40]} more than once; name each once")


def extra_of(field: FieldInfo) -> dict[str, Any]:
    """Return what :func:`option` says of a key beside its limits."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


UNITS = "units of the list's columns, where the file does not state them or is wrong, such as {ra: hourangle, radius: arcmin}"


def _named_or_numbered(value: Any) -> Any:
    """Refuse what is neither a name nor a number of a table."""
    if isinstance(value, bool | float):
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        meant = (
            f"; write {value:.0f}"
            if isinstance(value, float) and value.is_integer()
            else f"; write '{shown}' in quotes"
        )
        raise ValueError(f"{shown} is not allowed: expected the name of a table, or its number (1, 2, ...){meant}")
    return value


Extension = Annotated[str | int | None, BeforeValidator(_named_or_numbered)]
"""Name or number of a table in a file of several."""
EXTENSION = "name or number (from 1) of the table, in a file of several: a FITS extension, or a TABLE of a VOTable"


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


def known_units(units: dict[str, str], ours: Sequence[str]) -> dict[str, str]:
    """Check the units of columns of a user's table.

    Parameters
    ----------
    units : dict
        Our name of a column -> unit.
    ours : sequence of str
        The names of columns of numbers.

    Returns
    -------
    dict
        `units`, unchanged.

    Raises
    ------
    ValueError
        A key is not one of `ours`.
    """
    for name in units:
        if name not in ours:
            raise ValueError(f"{name!r} is no column with a unit ({', '.join(ours)}); write ours: unit")
    return units

"""Checks of the numbers of a calibration: a fault names the field and says what it must be."""

import math
from collections.abc import Collection
from typing import Any


def require(good: bool, fault: str) -> None:
    """Raise ValueError with the message `fault` unless a condition holds."""
    if not good:
        raise ValueError(fault)


def require_range(calibration: Any, lowest: float, highest: float, *names: str) -> None:
    """Check that fields of a calibration lie within limits; None is left alone.

    Parameters
    ----------
    calibration : dataclass instance
    lowest, highest : float
        Both belong to the range.
    *names : str
        The fields.

    Raises
    ------
    ValueError
        A field is outside, or not a number.
    """
    for name in names:
        value = getattr(calibration, name)
        if value is not None and not lowest <= value <= highest:
            limits = f"{lowest:g} or more" if math.isinf(highest) else f"from {lowest:g} to {highest:g}"
            raise ValueError(f"{name} is {value:g}, but must be {limits}")


def require_not_negative(calibration: Any, *names: str) -> None:
    """Check that fields of a calibration are zero or more; None is left alone.

    Raises
    ------
    ValueError
        A field is not.
    """
    require_range(calibration, 0, math.inf, *names)


def require_names(what: str, given: Collection[str], expected: Collection[str]) -> None:
    """Check that a field has an entry for every expected name, and no other.

    Parameters
    ----------
    what : str
        The field.
    given, expected : collection of str

    Raises
    ------
    ValueError
        They differ.
    """
    lacking, unknown = sorted(set(expected) - set(given)), sorted(set(given) - set(expected))
    require(not lacking, f"{what} lacks {', '.join(lacking)}")
    require(not unknown, f"{what} has {', '.join(unknown)}, which this version does not know")

"""Numbers that a plan states, and how they are known."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A number of a plan.

    Attributes
    ----------
    value : float or None
        None if nothing is known before the run.
    how : str
        Where an estimate comes from; empty for what is counted.
    """

    value: float | None
    how: str = ""

    @property
    def number(self) -> float:
        """The value, zero if it is not known."""
        return self.value or 0.0

    def times(self, factor: float, how: str = "") -> "Figure":
        """Return a multiple, which is an estimate if this or the factor is one."""
        value = None if self.value is None else self.value * factor
        return Figure(value, how or self.how)


def count(figure: Figure) -> str:
    """Return a number in words: `about 1,240,000`, `12`, or `not known`."""
    if figure.value is None:
        return "not known"
    value = figure.value
    if not figure.how:
        return f"{value:,.0f}"
    # Three digits are more than an estimate is worth.
    digits = max(len(f"{abs(value):.0f}") - 3, 0)
    return f"about {round(value, -digits):,.0f}"


def degrees(area: float) -> str:
    """Return an area (deg2) with its unit."""
    return f"{area:,.0f} deg2" if area >= 1000 else f"{area:.3g} deg2"


def size(bytes_: float) -> str:
    """Return a number of bytes with its unit, such as `4.1 GB`."""
    for unit, step in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if bytes_ >= step:
            return f"{bytes_ / step:,.3g} {unit}" if bytes_ < 1e15 else f"{bytes_ / step:,.0f} {unit}"
    return f"{bytes_ / 1e3:.3g} kB"


def duration(seconds: float) -> str:
    """Return a time with its unit, such as `3.2 h`."""
    for unit, step in (("years", 365 * 86400), ("days", 2 * 86400), ("h", 5400), ("min", 120)):
        if seconds >= step:
            per = {"years": 365 * 86400, "days": 86400, "h": 3600, "min": 60}[unit]
            return f"{seconds / per:.3g} {unit}"
    return f"{max(seconds, 1):.0f} s"

"""Colours and sizes of all charts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import matplotlib.ticker
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

INK, MUTED, LINE = "#1d2433", "#667085", "#d5dae3"
BLUE, ORANGE, GREEN, PINK, VIOLET = "#3563a9", "#d9722b", "#2a8c7d", "#b83f6a", "#70589b"
COLOURS = [BLUE, ORANGE, GREEN, PINK, VIOLET, "#8a7a3c", "#4f9bc4", "#8b5a44"]
# Text drawn as outlines looks the same on every machine.
CHART_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "axes.prop_cycle": cycler(color=COLOURS),
}


@contextmanager
def style() -> Iterator[None]:
    """Apply the settings to everything that is drawn in the block."""
    with mpl.rc_context(CHART_SETTINGS):
        yield


def panels(number: int, columns: int = 3, width: float = 3.3, height: float = 3.1) -> tuple[Figure, list[Axes]]:
    """Return a figure with several panels.

    Parameters
    ----------
    number : int
        Panels.
    columns : int
        Panels per row.
    width, height : float
        Size of a panel (inches).

    Returns
    -------
    figure : Figure
    axes : list of Axes
        One per panel.
    """
    columns = min(columns, number)
    rows = -(-number // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for spare in axes[number:]:
        spare.remove()
    return figure, axes[:number]


def heading(axes: Axes, title: str, lines: Sequence[str]) -> None:
    """Write a title and, below it in small letters, figures of merit.

    Parameters
    ----------
    axes : Axes
    title : str
    lines : sequence of str
    """
    axes.set_title(title, pad=7 + 11 * len(lines))
    axes.annotate(
        "\n".join(lines),
        (0, 1),
        (0, 5),
        xycoords="axes fraction",
        textcoords="offset points",
        va="bottom",
        fontsize=8,
        color=MUTED,
    )


def plain_logarithm(axis: Axis) -> None:
    """Label a logarithmic axis at 1, 2, 5, 10, ... in plain numbers."""
    axis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(mpl.ticker.NullFormatter())


def equality(axes: Axes, values: np.ndarray, logarithmic: bool = False) -> None:
    """Give both axes the range of the values and draw the line of equality.

    Parameters
    ----------
    axes : Axes
    values : ndarray
        True and predicted values together; those that are not finite do not count.
    logarithmic : bool
        Whether the axes are logarithmic.
    """
    values = values[np.isfinite(values) & ((values > 0) | (not logarithmic))]
    if len(values) == 0:
        return
    low, high = np.percentile(values, [0.2, 99.8])
    if low == high:
        low, high = low * 0.9 - 0.1, high * 1.1 + 0.1
    if logarithmic:
        low, high = low / 1.15, high * 1.15
        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            plain_logarithm(axis)
    else:
        margin = (high - low) * 0.05
        low, high = low - margin, high + margin
    axes.plot([low, high], [low, high], color=MUTED, lw=1, ls="--", zorder=1)
    axes.set(xlim=(low, high), ylim=(low, high))

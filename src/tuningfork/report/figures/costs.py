"""The chart of what the stages cost."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tuningfork.core.figure_style import BLUE, ORANGE, panels
from tuningfork.core.stage.benchmarks import StageCost

MAX_STAGES = 25
"""Stages that are shown, the most expensive first."""
SECONDS_PER_MINUTE = 60


def stage_times(costs: Sequence[StageCost]) -> Figure | None:
    """Return a bar chart of the time of each stage, or None without a measured stage.

    Parameters
    ----------
    costs : sequence of StageCost
        The most expensive stage first.
    """
    costs = costs[:MAX_STAGES]
    if not costs:
        return None
    figure, (panel,) = panels(1, width=7.2, height=0.9 + 0.24 * len(costs))
    rows = np.arange(len(costs))[::-1]
    for values, shade, label in (
        ([cost.seconds for cost in costs], BLUE, "all jobs"),
        ([cost.longest for cost in costs], ORANGE, "longest job"),
    ):
        height = 0.75 if shade == BLUE else 0.35
        panel.barh(rows, np.array(values) / SECONDS_PER_MINUTE, height, color=shade, label=label)
    panel.set_yticks(rows, [cost.stage.replace("_", " ") for cost in costs])
    panel.grid(axis="y", visible=False)
    panel.set(xlabel="time (min)")
    panel.legend(loc="lower right")
    return figure

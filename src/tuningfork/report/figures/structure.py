"""Charts of the light profiles: whether the errors are right, and scatter against signal-to-noise ratio."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tuningfork.core.figure_style import BLUE, MUTED, ORANGE, heading, panels, plain_logarithm

PARAMETER_NAMES = {
    "mag": ("magnitude", "mag"),
    "r_eff": ("half-light radius", "ln"),
    "sersic_n": ("Sersic index", "ln"),
    "axis_ratio": ("axis ratio", ""),
    "position_angle": ("position angle", "deg"),
    "bulge_to_total": ("bulge-to-total ratio", ""),
}
"""Parameter -> name, unit of bias and scatter."""


def integral_transforms(scores: Mapping[str, Mapping[str, Any]]) -> Figure | None:
    """Return the histograms of the probability integral transform, one panel per parameter; None without any.

    Parameters
    ----------
    scores : mapping
        Parameter -> figures of :func:`tuningfork.evaluate.scores.parameter_scores`.
    """
    known = [name for name in PARAMETER_NAMES if (scores.get(name) or {}).get("pit")]
    if not known:
        return None
    figure, axes = panels(len(known), columns=3, width=3.4, height=2.5)
    for panel, name in zip(axes, known, strict=True):
        entry = scores[name]
        share = np.array(entry["pit"])
        bins, number = len(share), entry["n"]
        edges = np.linspace(0, 1, bins + 1)
        panel.bar(edges[:-1], share * bins, width=1 / bins, align="edge", color=BLUE, alpha=0.8, edgecolor="white")
        # Twice the counting error of a flat histogram.
        slack = 2 * np.sqrt(bins / number)
        panel.axhspan(1 - slack, 1 + slack, color=MUTED, alpha=0.2, lw=0)
        panel.axhline(1, color=MUTED, lw=1, ls="--")
        panel.set(
            xlim=(0, 1), ylim=(0, max(2.0, 1.1 * share.max() * bins)), xlabel="position in the predicted distribution"
        )
        held = ", ".join(f"{entry[f'coverage{level}']:.0%}" for level in (50, 68, 95))
        heading(panel, PARAMETER_NAMES[name][0], [f"50, 68, 95 % intervals hold {held}"])
    return figure


def scatter_against_signal(bins: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Return the scatter of each parameter in bins of the signal-to-noise ratio; None without a bin.

    Parameters
    ----------
    bins : sequence of mapping
        As :func:`tuningfork.evaluate.structure.signal_scores` returns them.
    """
    names = [
        name for name in PARAMETER_NAMES if any((entry["recommended"].get(name) or {}).get("scatter") for entry in bins)
    ]
    if not names:
        return None
    centres = [_centre(entry) for entry in bins]
    figure, axes = panels(len(names), columns=3, width=3.4, height=2.6)
    for panel, name in zip(axes, names, strict=True):
        for key, shade, label in (("network", ORANGE, "network alone"), ("recommended", BLUE, "recommended")):
            values = [(entry[key].get(name) or {}).get("scatter") or np.nan for entry in bins]
            if np.isfinite(values).any():
                panel.plot(centres, values, color=shade, marker="o", ms=4, lw=1.5, label=label)
        panel.set(xscale="log", yscale="log", xlabel="signal-to-noise ratio", title=PARAMETER_NAMES[name][0])
        panel.set_ylabel(f"scatter ({PARAMETER_NAMES[name][1]})" if PARAMETER_NAMES[name][1] else "scatter")
        for axis in (panel.xaxis, panel.yaxis):
            plain_logarithm(axis)
    axes[0].legend()
    return figure


def _centre(entry: Mapping[str, Any]) -> float:
    high = entry["high"] or 3 * entry["low"]
    return float(np.sqrt((entry["low"] or high / 3) * high))

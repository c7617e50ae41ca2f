"""Charts of which bars are found and which are missed: bar fractions of votes and networks, the selection function."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import matplotlib.ticker
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tuningfork.core.figure_style import BLUE, GREEN, MUTED, ORANGE, panels, plain_logarithm

AXIS_LABELS = {
    "mag": "magnitude",
    "magnitude": "true magnitude",
    "log_r_eff_over_psf": "log10 half-light radius / PSF width",
    "bar_length_over_psf": "true bar length / PSF width (FWHM)",
    "axis_ratio": "axis ratio",
    "psf_fwhm": "PSF width (arcsec)",
    "redshift": "redshift",
}
LOGARITHMIC_AXES = {"bar_length_over_psf"}


def bar_fractions(bars: Mapping[str, Any]) -> Figure | None:
    """Return the bar fraction of votes and networks in bins of each covariate, beside the target.

    Parameters
    ----------
    bars : mapping
        Origin of the galaxies -> what :func:`tuningfork.evaluate.audit.bias.bar_bias` returns.
    """
    entries = [
        (origin, name, [row for row in entry["corrections"] if row["covariate"] == name])
        for origin, entry in bars.items()
        for name in dict.fromkeys(row["covariate"] for row in entry["corrections"])
    ]
    if not entries:
        return None
    figure, axes = panels(len(entries), *((4, 2.75) if len(entries) == 4 else (3, 3.3)))
    for panel, (origin, name, rows) in zip(axes, entries, strict=True):
        middle = np.array([(row["low"] + row["high"]) / 2 for row in rows])
        for outcome, shade in (("votes", ORANGE), ("model", BLUE)):
            panel.plot(
                middle, [row[f"fraction_{outcome}"] for row in rows], color=shade, marker="o", ms=4, label=outcome
            )
        panel.plot(
            middle, [row["target_votes"] for row in rows], color=MUTED, ls="--", marker="s", ms=3.5, label="target"
        )
        panel.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
        panel.set(xlabel=AXIS_LABELS[name], ylabel="bar fraction", title=f"{origin} galaxies", ylim=(0, None))
        if name == "mag":
            panel.invert_xaxis()
    axes[0].legend()
    return figure


def selection_panels(selection: pd.DataFrame) -> Figure | None:
    """Return completeness, and bias and scatter of the lengths, against each quantity of a selection function.

    Parameters
    ----------
    selection : pandas.DataFrame

    Returns
    -------
    Figure or None
        None without a row.
    """
    names = [name for name in dict.fromkeys(selection["quantity"]) if name in AXIS_LABELS]
    if not names:
        return None
    figure, axes = panels(2 * len(names), columns=len(names))
    for column, name in enumerate(names):
        rows = selection[selection["quantity"] == name]
        middle = ((rows["low"] + rows["high"]) / 2).to_numpy()
        upper, lower = axes[column], axes[column + len(names)]
        _completeness(upper, rows, middle)
        _lengths(lower, rows, middle)
        lower.set(xlabel=AXIS_LABELS[name])
        for panel in (upper, lower):
            if name in LOGARITHMIC_AXES:
                panel.set_xscale("log")
                plain_logarithm(panel.xaxis)
        lower.set_xlim(upper.get_xlim())
    return figure


def _completeness(panel: Axes, rows: pd.DataFrame, middle: np.ndarray) -> None:
    share = rows["completeness"].to_numpy()
    reach = np.abs(rows[["completeness_low", "completeness_high"]].to_numpy().T - share)
    wide = np.abs(rows[["low", "high"]].to_numpy().T - middle)
    panel.errorbar(middle, share, yerr=reach, xerr=wide, color=BLUE, marker="o", ms=4, lw=1.2, ls="none")
    panel.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
    panel.set(ylabel="found to be barred", ylim=(0, 1.03))


def _lengths(panel: Axes, rows: pd.DataFrame, middle: np.ndarray) -> None:
    bias, scatter = (rows[name].to_numpy(dtype=float) for name in ("length_bias", "length_scatter"))
    panel.axhline(0, color=MUTED, lw=1, ls="--")
    panel.fill_between(middle, bias - scatter, bias + scatter, color=GREEN, alpha=0.15, lw=0)
    panel.errorbar(
        middle, bias, yerr=rows["length_bias_error"].to_numpy(dtype=float), color=GREEN, marker="o", ms=4, lw=1.2
    )
    panel.set(ylabel="bias of ln(bar length)")

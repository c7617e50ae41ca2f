"""Charts of the catalogue itself."""

from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.ticker
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tuningfork.core.classes import ARTIFACT
from tuningfork.core.figure_style import BLUE, COLOURS, panels, plain_logarithm
from tuningfork.sky.shards import Shard, valid_position

UNCLASSIFIED_COLOUR = "#b6bcc8"
MAX_OUTLINES = 2000
"""Shards whose outline is drawn."""
HISTOGRAM_COLUMNS = {
    "mag": ("magnitude", "mag", False),
    "r_eff": ("half-light radius", "arcsec", True),
    "sersic_n": ("Sersic index", "", True),
    "axis_ratio": ("axis ratio", "", False),
    "bar_vote_share": ("expected share who see a bar", "", False),
    "bar_length": ("bar length", "arcsec", True),
}
"""Column -> title, unit, whether its axis is logarithmic."""


def sky_map(rows: pd.DataFrame, shards: Sequence[Shard]) -> Figure | None:
    """Return the positions of the sources, coloured by class, on the outlines of the shards.

    Parameters
    ----------
    rows : pandas.DataFrame
        With `ra`, `dec` (deg) and `morphology`.
    shards : sequence of Shard
    """
    rows = rows[valid_position(rows["ra"].to_numpy(float), rows["dec"].to_numpy(float))]
    if not len(rows):
        return None
    middle = _circular_mean(rows["ra"].to_numpy(float))
    figure, (panel,) = panels(1)
    for shard in shards[:: max(1, -(-len(shards) // MAX_OUTLINES))]:
        ra, dec = shard.boundary(8)
        panel.fill(_near(ra, middle), dec, facecolor=BLUE, edgecolor=BLUE, alpha=0.06, lw=0)
        panel.fill(_near(ra, middle), dec, facecolor="none", edgecolor=BLUE, alpha=0.5, lw=0.9)
    names = sorted(rows["morphology"].dropna().unique())
    shades = dict(zip(names, COLOURS * 4, strict=False))
    kinds = rows["morphology"].fillna("not classified")
    for name in [*names, "not classified"]:
        part = rows[kinds == name]
        if len(part):
            size = float(np.clip(4000 / len(rows), 2, 16))
            panel.scatter(
                _near(part["ra"].to_numpy(float), middle),
                part["dec"],
                s=size,
                lw=0,
                alpha=0.85,
                color=shades.get(name, UNCLASSIFIED_COLOUR),
                label=name.replace("_", " "),
                rasterized=len(rows) > 500,
            )
    panel.invert_xaxis()
    low, high = panel.get_ylim()
    cosine = max(float(np.cos(np.deg2rad((low + high) / 2))), 0.05)
    shape = (high - low) / (abs(np.diff(panel.get_xlim())[0]) * cosine)
    width = float(np.clip(5.4 / shape, 4, 9))
    figure.set_size_inches(width + 1.9, float(np.clip(width * shape, 1.6, 7)) + 0.6)
    panel.set(xlabel="right ascension (deg)", ylabel="declination (deg)", aspect=1 / cosine)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:.6g}"))
    panel.legend(loc="upper left", bbox_to_anchor=(1, 1), markerscale=1.5)
    return figure


def histograms(rows: pd.DataFrame) -> Figure | None:
    """Return the distribution of the main quantities of the galaxies of the catalogue.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of the catalogue; stars and artifacts are left out.

    Returns
    -------
    Figure or None
        None without a measurement.
    """
    rows = rows[rows["morphology"] != ARTIFACT]
    known = [name for name in HISTOGRAM_COLUMNS if rows[name].notna().any()]
    if not known:
        return None
    figure, axes = panels(len(known), columns=3, width=3.6, height=2.6)
    for panel, name in zip(axes, known, strict=True):
        title, unit, logarithmic = HISTOGRAM_COLUMNS[name]
        values = rows[name].dropna().to_numpy(float)
        if logarithmic:
            values = values[values > 0]
            low, high = values.min() / 1.05, values.max() * 1.05
            panel.set_xscale("log")
            plain_logarithm(panel.xaxis)
            bins = np.geomspace(low, high, 31)
        else:
            bins = np.linspace(values.min() - 1e-6, values.max() + 1e-6, 31)
        panel.hist(values, bins=list(bins), color=BLUE, alpha=0.85)
        panel.axvline(np.median(values), color=COLOURS[1], lw=1.4)
        panel.set(title=title, xlabel=unit or title, ylabel="galaxies")
    return figure


def _circular_mean(ra: np.ndarray) -> float:
    angle = np.deg2rad(ra)
    return float(np.rad2deg(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean())) % 360)


def _near(ra: np.ndarray, middle: float) -> np.ndarray:
    """Return right ascensions within 180 deg of `middle`, so that a field at zero hours is not split."""
    return middle + (np.asarray(ra) - middle + 180) % 360 - 180

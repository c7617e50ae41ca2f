"""Charts of what the networks use for their answers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tuningfork.core.figure_style import COLOURS, MUTED, panels


def importance(rows: pd.DataFrame, bands: Sequence[str], rings: Sequence[str]) -> Figure | None:
    """Return a chart of what the answers lose without each band and without the structure of each ring, by class.

    Parameters
    ----------
    rows : pandas.DataFrame
        Explanations: `morphology`, `band_{band}`, `ring_{name}`.
    bands, rings : sequence of str

    Returns
    -------
    Figure or None
        None if no galaxy was explained.
    """
    names = sorted(rows["morphology"].dropna().unique())
    if not names:
        return None
    figure, axes = panels(2, columns=2, width=4.4, height=3.2)
    for panel, prefix, keys in ((axes[0], "band_", bands), (axes[1], "ring_", rings)):
        width = 0.8 / len(names)
        for number, name in enumerate(names):
            part = rows[rows["morphology"] == name]
            means = np.array([part[prefix + key].mean() for key in keys])
            errors = [part[prefix + key].std(ddof=0) / np.sqrt(max(len(part), 1)) for key in keys]
            x = np.arange(len(keys)) + (number - (len(names) - 1) / 2) * width
            panel.bar(
                x,
                means,
                width * 0.9,
                yerr=errors,
                color=COLOURS[number % len(COLOURS)],
                error_kw={"lw": 0.8, "ecolor": MUTED},
                label=f"{name.replace('_', ' ')} ({len(part)})",
            )
        panel.axhline(0, color=MUTED, lw=0.8)
        panel.set_xticks(range(len(keys)), keys)
        panel.grid(axis="x", visible=False)
    axes[0].set(title="without a band", ylabel="fall of the vote fraction")
    axes[1].set(title="without the structure of a ring")
    axes[1].legend(fontsize=7.5)
    return figure

"""Charts of how good the catalogue is, judged by simulated galaxies and by votes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import matplotlib.ticker
import numpy as np
from matplotlib.figure import Figure

from tuningfork.core.decision_tree import Question
from tuningfork.core.figure_style import BLUE, COLOURS, MUTED, ORANGE, equality, heading, panels
from tuningfork.core.statistics import FEWEST
from tuningfork.evaluate.scores import parameter_scores

MAX_POINTS = 4000
"""Points in one panel; more are thinned evenly."""


@dataclass(frozen=True)
class Comparison:
    """A measured quantity and its true values.

    Attributes
    ----------
    title, unit : str
    truth, measured : ndarray
        (N,) in `unit`; NaN where there is none.
    logarithmic : bool
        Whether it is compared by ratios.
    angle : bool
        Whether it is a position angle (deg).
    remark : str
        Further figures for the panel.
    """

    title: str
    unit: str
    truth: np.ndarray
    measured: np.ndarray
    logarithmic: bool = False
    angle: bool = False
    remark: str = ""

    @property
    def good(self) -> np.ndarray:
        """Which rows can be compared."""
        good = np.isfinite(self.truth) & np.isfinite(self.measured)
        return good & (self.truth > 0) & (self.measured > 0) if self.logarithmic else good

    def figures(self) -> list[str]:
        """Return number, R^2, bias and scatter as text; bias and scatter are relative for a logarithmic quantity."""
        truth, measured = self.truth[self.good], self.measured[self.good]
        if self.logarithmic:
            truth, measured = np.log(truth), np.log(measured)
        score = parameter_scores(measured, np.zeros_like(measured), truth, self.angle)
        first = [f"n = {score['n']}"]
        if score["r2"] is not None:
            first.append(f"R² = {score['r2']:.3f}" + (" of ln" if self.logarithmic else ""))
        lines = [", ".join([*first, self.remark] if self.remark else first)]
        if score["scatter"] is not None:
            percent = 100 if self.logarithmic else 1
            unit = "%" if self.logarithmic else self.unit
            lines.append(
                f"bias {percent * score['bias']:+.2g}, scatter {percent * score['scatter']:.2g} {unit}".rstrip()
            )
        return lines


def comparisons(items: Sequence[Comparison]) -> Figure | None:
    """Return measured against true values, one panel each; None if nothing can be compared."""
    items = [item for item in items if item.good.any()]
    if not items:
        return None
    columns, width = (4, 2.75) if len(items) == 4 else (3, 3.6)
    figure, axes = panels(len(items), columns, width, width + 0.55)
    for panel, item in zip(axes, items, strict=True):
        rows = np.flatnonzero(item.good)
        rows = rows[:: max(1, -(-len(rows) // MAX_POINTS))]
        truth, measured = item.truth[rows], item.measured[rows]
        if item.angle:
            # An axis at 179 deg and one at 1 deg are neighbours.
            measured = truth + (measured - truth + 90) % 180 - 90
        faint = 0.75 if len(rows) < 300 else 0.35
        panel.scatter(truth, measured, s=9, alpha=faint, color=BLUE, lw=0, rasterized=len(rows) > 300, zorder=2)
        equality(panel, np.concatenate([truth, measured]), item.logarithmic)
        unit = f" ({item.unit})" if item.unit else ""
        panel.set(xlabel=f"true{unit}", ylabel=f"measured{unit}", box_aspect=1)
        heading(panel, item.title, item.figures())
    return figure


def confusion(matrix: np.ndarray, names: Sequence[str]) -> Figure:
    """Return a chart of a confusion matrix.

    Parameters
    ----------
    matrix : ndarray
        (K, K) numbers of galaxies: rows are the class of the volunteers, columns the predicted one.
    names : sequence of str
        Names of the classes.
    """
    matrix = np.asarray(matrix, dtype=float)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    labels = [name.replace("_", " ") for name in names]
    figure, (panel,) = panels(1, width=1.8 + 0.85 * len(labels), height=1.2 + 0.6 * len(labels))
    panel.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    panel.grid(False)
    for row, column in np.ndindex(*matrix.shape):
        shade = "white" if share[row, column] > 0.55 else "black"
        text = f"{share[row, column]:.0%}\n({matrix[row, column]:.0f})"
        panel.text(column, row, text, ha="center", va="center", color=shade, fontsize=8.5)
    panel.set_xticks(range(matrix.shape[1]), labels[: matrix.shape[1]], rotation=20)
    panel.set_yticks(range(matrix.shape[0]), labels[: matrix.shape[0]])
    panel.set(xlabel="predicted", ylabel="class of the simulated volunteers")
    return figure


def reliability(entries: Sequence[tuple[Question, Sequence[Sequence[dict[str, Any]]]]]) -> Figure | None:
    """Return observed against predicted vote fractions, one panel a question.

    Parameters
    ----------
    entries : sequence of (Question, bins)
        For each answer the bins: dicts with `predicted`, `observed` and `n`.
    """
    if not entries:
        return None
    figure, axes = panels(len(entries), columns=3, width=3.6)
    for panel, (question, answers) in zip(axes, entries, strict=True):
        panel.plot([0, 1], [0, 1], color=MUTED, lw=1, ls="--")
        for number, (answer, bins) in enumerate(zip(question.answers, answers, strict=False)):
            shade = COLOURS[number % len(COLOURS)]
            x, y = [entry["predicted"] for entry in bins], [entry["observed"] for entry in bins]
            sizes = [6 + 60 * np.sqrt(entry["n"] / max(1, sum(e["n"] for e in bins))) for entry in bins]
            panel.plot(x, y, color=shade, lw=1.2, label=answer)
            panel.scatter(x, y, s=sizes, color=shade, alpha=0.8, lw=0)
        panel.set(
            title=question.name.replace("_", " "),
            xlim=(-0.03, 1.03),
            ylim=(-0.03, 1.03),
            aspect="equal",
            xlabel="predicted vote fraction",
            ylabel="observed vote fraction",
        )
        panel.legend(loc="upper left", fontsize=8)
    return figure


def vote_errors(entries: Sequence[tuple[str, Sequence[tuple[str, dict[str, Any]]]]]) -> Figure | None:
    """Return the mean errors of the vote fractions between those of a constant and of a perfect predictor.

    Parameters
    ----------
    entries : sequence of (str, rows)
        Name of the voters, and for each question its text and `mae`, `mae_constant`, `mae_floor`.
    """
    entries = [entry for entry in entries if entry[1]]
    if not entries:
        return None
    figure, axes = panels(len(entries), columns=1, width=7.2, height=0.9 + 0.42 * max(len(rows) for _, rows in entries))
    marks = {
        "mae_constant": ("constant", MUTED, "|"),
        "mae": ("network", BLUE, "o"),
        "mae_floor": ("perfect", ORANGE, "|"),
    }
    for panel, (voters, rows) in zip(axes, entries, strict=True):
        places = np.arange(len(rows))[::-1]
        panel.hlines(
            places, [row["mae_floor"] for _, row in rows], [row["mae_constant"] for _, row in rows], MUTED, lw=1
        )
        for key, (label, shade, mark) in marks.items():
            values = [row[key] for _, row in rows]
            panel.plot(values, places, mark, color=shade, ms=7 if mark == "o" else 13, mew=2, label=label)
        panel.set_yticks(places, [text for text, _ in rows])
        panel.set(title=voters, xlabel="mean absolute error of the vote fractions", ylim=(-0.6, len(rows) - 0.4))
        panel.set_xlim(left=0)
        panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def roc(score: np.ndarray, positive: np.ndarray) -> Figure | None:
    """Return the receiver operating characteristic of a score.

    Parameters
    ----------
    score : ndarray
        (N,) the larger, the likelier a bar; NaN does not count.
    positive : ndarray of bool
        (N,) whether there is a bar.

    Returns
    -------
    Figure or None
        None if either kind has too few galaxies.
    """
    good = np.isfinite(score)
    score, positive = score[good], positive[good]
    if min(np.count_nonzero(positive), np.count_nonzero(~positive)) < FEWEST:
        return None
    order = np.argsort(-score, kind="stable")
    true_rate = np.cumsum(positive[order]) / positive.sum()
    false_rate = np.cumsum(~positive[order]) / (~positive).sum()
    figure, (panel,) = panels(1, width=4.6, height=3.8)
    panel.plot([0, 1], [0, 1], color=MUTED, lw=1, ls="--")
    panel.step(np.r_[0, false_rate], np.r_[0, true_rate], where="post", color=BLUE, lw=1.8)
    panel.fill_between(np.r_[0, false_rate], np.r_[0, true_rate], step="post", color=BLUE, alpha=0.1)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    panel.set(
        xlabel="unbarred galaxies called barred",
        ylabel="bars found",
        aspect="equal",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
    )
    return figure

"""Pictures of a folder with the measured bars drawn on them, for visual inspection."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke

from tuningfork.core.errors import ConfigurationError
from tuningfork.core.figure_style import GREEN, ORANGE, panels, style
from tuningfork.core.files import replacing, write_text
from tuningfork.core.flags import Flag
from tuningfork.pictures.page import render_page
from tuningfork.pictures.shown import ShownPicture, shown_picture

MAX_PICTURES, GALLERY_COLUMNS = 40, 6
"""Pictures that are shown, and how many in a row."""
PAGE_ENDING = ".html"
GALLERY_ENDINGS = (PAGE_ENDING, ".png", ".pdf", ".svg")
OUTLINES = {True: (GREEN, "-", "counts as barred"), False: (ORANGE, ":", "does not count as barred")}
"""Colour and line of the outlines, and what they mean, for galaxies that count as barred and others."""
LEGEND = """Ellipse: length, width, direction of the bar
px: pixels of the picture; diameter: 2 r90
angle: from upward, counter-clockwise"""
CAPTION_WIDTH = 44
"""Most letters in a line of a caption."""
MAX_NAME_LENGTH = 30
"""Letters of a file's name that are shown."""


def check_gallery(path: Path) -> None:
    """Check that a gallery can be written under a name.

    Raises
    ------
    ConfigurationError
        Its ending is not one of `GALLERY_ENDINGS`.
    """
    if path.suffix.lower() not in GALLERY_ENDINGS:
        raise ConfigurationError(f"--gallery {path}: expected a name that ends in {', '.join(GALLERY_ENDINGS)}")


def draw_gallery(paths: Sequence[Path], table: pa.Table, output: Path) -> int:
    """Draw some of the pictures with their bars: galaxies that count as barred first, evenly spread over the folder.

    Parameters
    ----------
    paths : sequence of Path
        The files of the rows of the table.
    table : pyarrow.Table
        From :func:`tuningfork.pictures.measure.measure_files`.
    output : Path

    Returns
    -------
    int
        Number of pictures that are shown; if it is 0, no file is written.
    """
    rows = table.to_pylist()
    chosen = _chosen(rows)
    if not chosen:
        return 0
    shown = [shown_picture(paths[row_index], rows[row_index]) for row_index in chosen]
    if output.suffix.lower() == PAGE_ENDING:
        write_text(output, render_page(shown, len(rows), output))
    else:
        _draw_figure(shown, output)
    return len(shown)


def _chosen(rows: list[dict[str, Any]]) -> list[int]:
    """Return up to MAX_PICTURES rows with a bar length."""
    measured = [row_index for row_index, row in enumerate(rows) if row["bar_length_pixels"] is not None]
    barred = [row_index for row_index in measured if not rows[row_index]["flags"] & Flag.NOT_BARRED]
    others = [row_index for row_index in measured if rows[row_index]["flags"] & Flag.NOT_BARRED]
    return sorted(_even(barred, MAX_PICTURES) + _even(others, MAX_PICTURES - min(len(barred), MAX_PICTURES)))


def _even(places: list[int], number: int) -> list[int]:
    if len(places) <= number:
        return places
    return [places[int(k)] for k in np.linspace(0, len(places) - 1, number)] if number else []


def _draw_figure(shown: Sequence[ShownPicture], output: Path) -> None:
    handles = [Line2D([], [], color=colour, ls=line, label=label) for colour, line, label in OUTLINES.values()]
    with style(), replacing(output) as temporary:
        figure, axes = panels(len(shown), GALLERY_COLUMNS, 2.2, 2.75)
        for picture, panel in zip(shown, axes, strict=True):
            _draw(panel, picture)
        figure.legend(
            handles=handles,
            loc="outside lower left",
            ncols=1 if len(shown) < 3 else 2,
            title=LEGEND,
            title_fontsize=6,
            alignment="left",
            fontsize=6,
        )
        figure.savefig(temporary, dpi=130)


def _draw(axes: Axes, picture: ShownPicture) -> None:
    edges = (picture.left, picture.right, picture.lower, picture.upper)
    axes.imshow(np.asarray(picture.image), extent=edges, interpolation="bilinear")
    colour, line, _ = OUTLINES[picture.barred]
    centre, axes_of_bar = (picture.x, picture.y), (picture.length, picture.width)
    bar = Ellipse(centre, *axes_of_bar, angle=picture.angle, fill=False, color=colour, lw=1.2, ls=line)
    bar.set_path_effects([withStroke(linewidth=2.4, foreground="black", alpha=0.5)])
    axes.add_patch(bar)
    axes.set(xlim=edges[:2], ylim=edges[2:])
    axes.set_axis_off()
    # No font has control characters, and no SVG may hold them.
    name = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in picture.name)
    shown = name if len(name) <= MAX_NAME_LENGTH else name[: MAX_NAME_LENGTH - 1] + "…"
    lines = [line for words in (*picture.facts, *picture.warnings) for line in wrap(words, CAPTION_WIDTH)]
    # Names are shown as they are: a dollar sign is no formula.
    axes.set_title(
        "\n".join([shown, *lines]),
        fontsize=5.5,
        fontweight="normal",
        loc="left",
        parse_math=False,
    )

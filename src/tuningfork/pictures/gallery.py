"""Pictures of a folder with the measured bars drawn on them, for visual inspection."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from PIL import Image, ImageOps

from tuningfork.core.errors import ConfigurationError
from tuningfork.core.figure_style import GREEN, ORANGE, panels, style
from tuningfork.core.files import replacing
from tuningfork.core.flags import Flag

MAX_PICTURES, GALLERY_COLUMNS = 40, 8
"""Pictures that are shown, and how many in a row."""
THUMBNAIL_WIDTH = 256
"""Width to which a picture is reduced (px)."""
GALLERY_ENDINGS = (".png", ".pdf", ".svg")
MAX_NAME_LENGTH = 26
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
    with style(), replacing(output) as temporary:
        figure, axes = panels(len(chosen), GALLERY_COLUMNS, 2.0, 2.3)
        for row_index, panel in zip(chosen, axes, strict=True):
            _draw(panel, paths[row_index], rows[row_index])
        figure.savefig(temporary, dpi=110)
    return len(chosen)


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


def _draw(axes: Axes, path: Path, row: Mapping[str, Any]) -> None:
    with warnings.catch_warnings(), Image.open(path, formats=("JPEG", "PNG")) as picture:
        # Its size was checked when it was measured.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        small = ImageOps.exif_transpose(picture).convert("RGB")
    small.thumbnail((THUMBNAIL_WIDTH, THUMBNAIL_WIDTH))
    width, height = row["width"], row["height"]
    axes.imshow(np.asarray(small), extent=(0, width, 0, height), interpolation="bilinear")
    unbarred = bool(row["flags"] & Flag.NOT_BARRED)
    colour, line = (ORANGE, ":") if unbarred else (GREEN, "-")
    angle = 90 + (row["bar_position_angle"] or 0.0)
    length, centre = row["bar_length_pixels"], (row["x"], row["y"])
    across = length * (1 - (row["bar_ellipticity"] or 0.0))
    axes.add_patch(Ellipse(centre, length, across, angle=angle, fill=False, color=colour, lw=1.0, ls=line))
    reach = max(3.5 * (row["r90"] or width) / 2, 0.6 * length)
    axes.set(
        xlim=(max(centre[0] - reach, 0), min(centre[0] + reach, width)),
        ylim=(max(centre[1] - reach, 0), min(centre[1] + reach, height)),
    )
    axes.set_axis_off()
    name = Path(row["file"]).stem
    shown = name if len(name) <= MAX_NAME_LENGTH else name[: MAX_NAME_LENGTH - 1] + "…"
    # Names are shown as they are: a dollar sign is no formula.
    axes.set_title(
        f"{shown}\n{length:.0f} px = {row['bar_length_scaled']:.2f} of 2 r90, p(bar) {row['bar_probability']:.2f}",
        fontsize=5.5,
        fontweight="normal",
        loc="center",
        parse_math=False,
    )

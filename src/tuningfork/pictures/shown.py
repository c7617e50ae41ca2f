"""A picture as a gallery shows it: the galaxy's part of it, the outline of the bar, and what was measured in words."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from tuningfork.core.flags import Flag
from tuningfork.pictures.table import wide_psf_limit

THUMBNAIL_WIDTH = 320
"""Width to which a picture is reduced (px)."""
REACH_R90, REACH_BAR = 1.75, 0.6
"""Half the width of the part that is shown, at least: in r90, and in lengths of the bar."""
WARNINGS = {
    Flag.STAR_OR_ARTIFACT: "may be no galaxy",
    Flag.LARGER_THAN_STAMP: "picture ends inside the galaxy",
    Flag.PADDED: "picture hardly larger than the galaxy",
    Flag.BAR_SHORTER_THAN_PSF: "bar shorter than the PSF",
    Flag.BAR_OUTSIDE_TRAINING: "bar longer or shorter than those learned from",
    Flag.BAR_REACHES_EDGE: "bar reaches the edge: a lower limit",
    Flag.BAR_OFF_CENTRE: "bar off-centre",
    Flag.BAR_IN_PIECES: "map of the bar in pieces",
    Flag.BAR_ESTIMATOR_MISSING: "not all estimators found a bar",
}
"""What to doubt, in words; `PSF_TOO_WIDE` has a number besides."""


@dataclass(frozen=True)
class ShownPicture:
    """A picture with its bar. Positions are in pixels of the picture, from its left and lower edges.

    Attributes
    ----------
    path : Path
    name : str
        Name of the file.
    image : Image.Image
        The part of the picture that is shown, reduced.
    left, lower, right, upper : float
        Edges of this part.
    x, y : float
        Centre of the galaxy.
    length, width : float
        Axes of the ellipse that outlines the bar.
    angle : float
        Direction of its long axis (deg, from the x axis counter-clockwise).
    barred : bool
        Whether the galaxy counts as barred.
    facts, warnings : list of str
        What was measured, and what to doubt.
    """

    path: Path
    name: str
    image: Image.Image
    left: float
    lower: float
    right: float
    upper: float
    x: float
    y: float
    length: float
    width: float
    angle: float
    barred: bool
    facts: list[str]
    warnings: list[str]


def shown_picture(path: Path, row: Mapping[str, Any]) -> ShownPicture:
    """Return a picture as it is shown.

    Parameters
    ----------
    path : Path
        The file.
    row : mapping
        Its row of the table, with a bar length; see :data:`tuningfork.pictures.table.COLUMNS`.

    Returns
    -------
    ShownPicture
    """
    with warnings.catch_warnings(), Image.open(path, formats=("JPEG", "PNG")) as picture:
        # Its size was checked when it was measured.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        whole = ImageOps.exif_transpose(picture).convert("RGB")
    x, y, length = row["x"], row["y"], row["bar_length_pixels"]
    reach = max(REACH_R90 * (row["r90"] or whole.width), REACH_BAR * length)
    left, right = max(int(x - reach), 0), min(int(x + reach) + 1, whole.width)
    lower, upper = max(int(y - reach), 0), min(int(y + reach) + 1, whole.height)
    image = whole.crop((left, whole.height - upper, right, whole.height - lower))
    image.thumbnail((THUMBNAIL_WIDTH, THUMBNAIL_WIDTH))
    across, angle = length * (1 - (row["bar_ellipticity"] or 0.0)), 90 + (row["bar_position_angle"] or 0.0)
    barred = not row["flags"] & Flag.NOT_BARRED
    edges, words = (left, lower, right, upper), (facts_of(row), warnings_of(row))
    return ShownPicture(path, row["file"], image, *edges, x, y, length, across, angle, barred, *words)


def facts_of(row: Mapping[str, Any]) -> list[str]:
    """Return what was measured: the class and the probability of a bar, its length, and its direction."""
    morphology = str(row["morphology"] or "class unknown").replace("edge_on", "edge-on").replace("_", " ")
    scaled = _with_error(row["bar_length_scaled"], row["bar_length_scaled_error"], 2)
    angle = _with_error(row["bar_position_angle"], row["bar_position_angle_error"], 0)
    counts = "" if not row["flags"] & Flag.NOT_BARRED else ", does not count as barred"
    return [
        f"{morphology}, bar {100 * row['bar_probability']:.0f} %{counts}",
        f"length {_with_error(row['bar_length_pixels'], row['bar_length_pixels_error'], 0)} px",
        f"{scaled} of the diameter",
        f"angle {angle}°",
    ]


def warnings_of(row: Mapping[str, Any]) -> list[str]:
    """Return what to doubt about a measurement, in words."""
    found = [words for flag, words in WARNINGS.items() if row["flags"] & flag]
    if row["flags"] & Flag.PSF_TOO_WIDE:
        found.append(f"blurred: lengths below {wide_psf_limit(row['psf_fwhm']):.0f} px mean nothing")
    return found


def _with_error(value: float | None, error: float | None, digits: int) -> str:
    if value is None:
        return "unknown"
    return f"{value:.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else "")

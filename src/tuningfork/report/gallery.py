"""Pictures of galaxies with the measurements drawn on them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tuningfork.core.classes import ARTIFACT
from tuningfork.core.flags import decode
from tuningfork.core.seeds import generator_for
from tuningfork.report.images import colour, heat, jpeg, overlay
from tuningfork.report.inputs import ReportInputs
from tuningfork.sky.coordinates import sky_to_pixel_angle

MAX_PER_CLASS = 6
"""Galaxies shown of each class."""
RULER_ARCSEC = 5.0
"""Length of the scale bar (arcsec)."""
HIDDEN_FLAGS = ("NOT_BARRED",)


@dataclass(frozen=True)
class Line:
    """A line on a picture, in pixels of the stamp from its upper left corner; `kind` is its CSS class."""

    x1: float
    y1: float
    x2: float
    y2: float
    kind: str


@dataclass(frozen=True)
class Picture:
    """A square picture of `size` stamp pixels with lines on it."""

    source: str
    alt: str
    size: int
    lines: list[Line] = field(default_factory=list)
    label: str = ""


@dataclass(frozen=True)
class Entry:
    """A galaxy in a gallery: its pictures, its name and what is known about it."""

    title: str
    pictures: list[Picture]
    facts: list[str]


def bar_line(length: float, position_angle: float, galaxy: Any, size: int, kind: str) -> Line | None:
    """Return a bar as a line through the middle of the galaxy's stamp.

    Parameters
    ----------
    length : float
        Full length (arcsec).
    position_angle : float
        deg, north through east.
    galaxy
        Row with `pixel_scale`, `north_angle` and `east_is_left`.
    size : int
        Pixels along the stamp's edge.
    kind : str
        CSS class.

    Returns
    -------
    Line or None
        None if a value is missing.
    """
    if not (np.isfinite(length) and np.isfinite(position_angle) and np.isfinite(galaxy.north_angle)):
        return None
    theta = np.deg2rad(sky_to_pixel_angle(np.asarray(position_angle), galaxy.north_angle, galaxy.east_is_left))
    half = length / galaxy.pixel_scale / 2
    # Pixel S // 2 is the centre; the picture's y runs downwards.
    x, y = size // 2 + 0.5, size - (size // 2 + 0.5)
    along_x, along_y = -np.sin(theta) * half, -np.cos(theta) * half
    x1, y1, x2, y2 = (round(float(v), 2) for v in (x - along_x, y - along_y, x + along_x, y + along_y))
    return Line(x1, y1, x2, y2, kind)


def barred(inputs: ReportInputs, number: int) -> list[Entry]:
    """Return barred galaxies drawn at random, longest bar first: the stamp and its saliency map, both with the bar."""
    rows = shown(inputs, inputs.galaxies["bar_length"].notna())
    chosen = draw(rows, number, "barred").sort_values("bar_length", ascending=False)
    return [_barred_entry(inputs, galaxy) for galaxy in chosen.itertuples(index=False)]


def of_classes(inputs: ReportInputs) -> list[tuple[str, int, list[Entry]]]:
    """Return for each class of galaxies its name, how many of the shown shards' it has, and some drawn at random."""
    kinds = inputs.galaxies["morphology"]
    rows = shown(inputs, kinds.notna() & (kinds != ARTIFACT))
    result = []
    for name in sorted(rows["morphology"].unique()):
        part = rows[rows["morphology"] == name]
        chosen = draw(part, MAX_PER_CLASS, f"class {name}")
        entries = [_class_entry(inputs, galaxy, name) for galaxy in chosen.itertuples(index=False)]
        result.append((name.replace("_", " "), len(part), entries))
    return result


def explained(inputs: ReportInputs, number: int) -> list[Entry]:
    """Return explained galaxies: the stamp, and the Grad-CAM map of the answer that decides the class."""
    galaxies = {galaxy.source_id: galaxy for galaxy in shown(inputs).itertuples(index=False)}
    entries: list[Entry] = []
    for index, row in enumerate(inputs.explanations.to_dict("records")):
        galaxy = galaxies.get(row["source_id"])
        if galaxy is None or len(entries) == number:
            continue
        picture = colour(inputs.images(galaxy), inputs.noise(galaxy))
        size = picture.shape[0]
        answer = row["answer"].replace("_", " ")
        seen = overlay(picture, np.asarray(inputs.explanation_maps[index], dtype=float))
        entries.append(
            Entry(
                title(galaxy),
                [
                    Picture(jpeg(picture), f"{_kind(galaxy)}, colour image", size, [_ruler(galaxy, size)]),
                    Picture(
                        jpeg(seen),
                        f"Grad-CAM map of the answer {answer} laid over the image in grey",
                        size,
                        [],
                        "Grad-CAM",
                    ),
                ],
                [f"{answer}: {row['fraction']:.0%} of the votes expected", _flip(row["adversarial_step"])],
            )
        )
    return entries


def _barred_entry(inputs: ReportInputs, galaxy: Any) -> Entry:
    picture = colour(inputs.images(galaxy), inputs.noise(galaxy))
    size = picture.shape[0]
    measured = bar_line(galaxy.bar_length, galaxy.bar_position_angle, galaxy, size, "measured")
    truth = None
    facts = [
        f"bar {_with_error(galaxy.bar_length, galaxy.bar_length_error, 2)}″ ({galaxy.bar_length_method})",
        f"PA {_with_error(galaxy.bar_position_angle, galaxy.bar_position_angle_error, 0)}°, bar_vote_share {galaxy.bar_vote_share:.2f}",
    ]
    true_length = getattr(galaxy, "true_bar_length", np.nan)
    if np.isfinite(true_length):
        truth = bar_line(true_length, galaxy.true_bar_position_angle, galaxy, size, "truth")
        facts.append(f"truth {true_length:.2f}″, PA {galaxy.true_bar_position_angle:.0f}°")
    elif hasattr(galaxy, "true_class"):
        facts.append(f"truth: no bar ({str(galaxy.true_class).replace('_', ' ')})")
    facts += _warnings(galaxy)
    lines = [line for line in (truth, measured) if line]
    described = f"bar of {galaxy.bar_length:.1f} arcsec"
    if measured:
        described += f" at position angle {galaxy.bar_position_angle:.0f} degrees"
    return Entry(
        title(galaxy),
        [
            Picture(jpeg(picture), f"{_kind(galaxy)}, colour image, {described}", size, [_ruler(galaxy, size), *lines]),
            Picture(
                jpeg(heat(inputs.saliency(galaxy))),
                f"saliency map of the same galaxy, {described}",
                size,
                lines,
                "saliency",
            ),
        ],
        facts,
    )


def _class_entry(inputs: ReportInputs, galaxy: Any, name: str) -> Entry:
    picture = colour(inputs.images(galaxy), inputs.noise(galaxy))
    size = picture.shape[0]
    facts = (
        [f"{galaxy.mag:.1f} mag, r_eff {galaxy.r_eff:.1f}″, n {galaxy.sersic_n:.1f}"] if np.isfinite(galaxy.mag) else []
    )
    truth = getattr(galaxy, "true_class", None)
    if isinstance(truth, str) and truth != name:
        facts.append(f"truth: {truth.replace('_', ' ')}")
    alt = f"{_kind(galaxy)}, colour image"
    return Entry(title(galaxy), [Picture(jpeg(picture), alt, size, [_ruler(galaxy, size)])], facts + _warnings(galaxy))


def shown(inputs: ReportInputs, wanted: Any = True) -> pd.DataFrame:
    """Return rows of the shown galaxies that have a stamp.

    Parameters
    ----------
    inputs : ReportInputs
    wanted : pandas.Series of bool or bool
        Which rows.

    Returns
    -------
    pandas.DataFrame
    """
    rows = inputs.galaxies
    return rows[rows["pixel_scale"].notna() & wanted]


def draw(rows: pd.DataFrame, number: int, key: str) -> pd.DataFrame:
    """Return rows at random, the same ones every time.

    Parameters
    ----------
    rows : pandas.DataFrame
    number : int
        Most rows.
    key : str
        Name of the sample; another key draws other rows.

    Returns
    -------
    pandas.DataFrame
    """
    rows = rows.sort_values("source_id")
    drawn = generator_for(0, "report", key).permutation(len(rows))[:number]
    return rows.iloc[np.sort(drawn)]


def _ruler(galaxy: Any, size: int) -> Line:
    margin = size * 0.06
    return Line(
        round(margin, 2),
        round(size - margin, 2),
        round(margin + RULER_ARCSEC / galaxy.pixel_scale, 2),
        round(size - margin, 2),
        "ruler",
    )


def title(galaxy: Any) -> str:
    """Return the name of a row, or its identifier."""
    return galaxy.name if isinstance(galaxy.name, str) and galaxy.name else str(galaxy.source_id)


def _kind(galaxy: Any) -> str:
    return f"{str(galaxy.morphology).replace('_', ' ')} {title(galaxy)}"


def _warnings(galaxy: Any) -> list[str]:
    names = [name for name in decode(galaxy.flags) if name not in HIDDEN_FLAGS]
    return [", ".join(names)] if names else []


def _with_error(value: float, error: float, digits: int) -> str:
    if not np.isfinite(value):
        return "not measured"
    return f"{value:.{digits}f}" + (f" ± {error:.{digits}f}" if np.isfinite(error) else "")


def _flip(step: float | None) -> str:
    if step is None or not np.isfinite(step):
        return "no small change of the pixels reverses its bar answer"
    return f"a change of {step:.2g} σ in each pixel reverses its bar answer"

"""What the report shows of bulges and spiral arms: figures of merit, and masks on the galaxies."""

from typing import Any

import numpy as np

from tuningfork.core.classes import DISC_CLASSES
from tuningfork.measure.features.calibration import ARMS, BULGE, TRUTH_COLUMNS
from tuningfork.report.figures.quality import Comparison
from tuningfork.report.gallery import Entry, Picture, draw, shown, title
from tuningfork.report.images import colour, jpeg, overlay
from tuningfork.report.inputs import ReportInputs

MAX_SPIRALS = 12
"""Galaxies that are shown with the mask of their arms."""
FEATURE_TITLES = {BULGE: "bulge fraction", ARMS: "spiral arm fraction"}
PREDICTOR_NAMES = {
    "recommended": "recommended: answer and map",
    "map_only": "share of the light on the map alone",
    "answer_only": "answer alone (null)",
    "light_only": "light alone (null)",
    "answer_and_light": "answer and light, without the map (null)",
    "size_only": "size alone (null)",
}


def rows_of(evaluation: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return feature, what it is predicted from, and the figures of merit."""
    scores = evaluation.get("features") or {}
    return [
        (FEATURE_TITLES[name], PREDICTOR_NAMES.get(kind, kind), row)
        for name in scores
        for kind, row in scores[name].items()
    ]


def held_out_features(inputs: ReportInputs) -> list[Comparison]:
    """Return the fractions of the test galaxies and their true values."""
    table, items = inputs.held_out, []
    for name, text in FEATURE_TITLES.items():
        if {name, TRUTH_COLUMNS[name]} <= set(table):
            truth, fraction = (table[key].to_numpy(dtype=float, na_value=np.nan) for key in (TRUTH_COLUMNS[name], name))
            items.append(Comparison(text, "", truth, fraction))
    return items


def spirals(inputs: ReportInputs) -> list[Entry]:
    """Return spirals drawn at random, the most light in the arms first: the stamp, and the mask of the arms on it."""
    rows = shown(inputs, inputs.galaxies[ARMS].notna() & inputs.galaxies["morphology"].isin(DISC_CLASSES))
    chosen = draw(rows, MAX_SPIRALS, "spirals").sort_values(ARMS, ascending=False)
    return [_entry(inputs, galaxy) for galaxy in chosen.itertuples(index=False)]


def _entry(inputs: ReportInputs, galaxy: Any) -> Entry:
    picture = colour(inputs.images(galaxy), inputs.noise(galaxy))
    size, name = picture.shape[0], title(galaxy)
    masked = overlay(picture, inputs.arm_mask(galaxy).astype(float))
    return Entry(
        name,
        [
            Picture(jpeg(picture), f"galaxy {name}, colour image", size),
            Picture(jpeg(masked), "mask of the spiral arms laid over the image in grey", size, [], "arms"),
        ],
        [
            f"arms {galaxy.spiral_arm_fraction:.2f} ± {galaxy.spiral_arm_fraction_error:.2f}, "
            f"{galaxy.spiral_arms_yes_fraction:.0%} of the votes expected",
            f"bulge {galaxy.bulge_fraction:.2f} ± {galaxy.bulge_fraction_error:.2f}",
        ],
    )

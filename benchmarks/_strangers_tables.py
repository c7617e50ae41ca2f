"""What was measured of scenes of the second generator, beside their truth: one table for pictures and for catalogues.

Columns beside the truths: `morphology`, `bar_probability`, `bar_yes_fraction`, `flags`; `published`, whether the bar counts as one;
`length_{estimator}` and `error_{estimator}` (arcsec); `angle` (deg on the sky).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from tuningfork.core.flags import Flag

ESTIMATORS = ("direct", "mask", "saliency", "fourier")
RECOMMENDED = "recommended"
COMMON = ["flags", "morphology", "bar_probability", "bar_yes_fraction"]
"""Columns that both kinds of measurements have."""


def of_pictures(truth: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Return truths and measurements of pictures.

    Parameters
    ----------
    truth : pandas.DataFrame
        From :func:`second_generator.files.write_pictures`.
    measured : pandas.DataFrame
        Of `tuningfork measure-folder`; lengths in pixels of the pictures.

    Returns
    -------
    pandas.DataFrame
    """
    found = measured[COMMON].assign(scene=[int(Path(name).stem.split("-")[1]) for name in measured["file"]])
    scale = truth.set_index("scene")["picture_scale"].reindex(found["scene"]).to_numpy()
    turn = truth.set_index("scene")["rotation"].reindex(found["scene"]).to_numpy()
    found[f"length_{RECOMMENDED}"] = measured["bar_length_pixels"] * scale
    found[f"error_{RECOMMENDED}"] = measured["bar_length_pixels_error"] * scale
    for name in ESTIMATORS:
        found[f"length_{name}"] = measured[f"bar_length_{name}_pixels"] * scale
    found["angle"] = (measured["bar_position_angle"] + turn) % 180
    return _with_published(truth.merge(found, on="scene", how="left"))


def of_catalogue(truth: pd.DataFrame, catalogue: pd.DataFrame) -> pd.DataFrame:
    """Return truths and measurements of a catalogue of FITS scenes.

    Parameters
    ----------
    truth : pandas.DataFrame
        From :func:`second_generator.files.write_images`.
    catalogue : pandas.DataFrame
        `results/catalogue.parquet`.

    Returns
    -------
    pandas.DataFrame
    """
    found = catalogue[COMMON].assign(scene=catalogue["source_id"])
    found[f"length_{RECOMMENDED}"] = catalogue["bar_length"]
    found[f"error_{RECOMMENDED}"] = catalogue["bar_length_error"]
    found["angle"] = catalogue["bar_position_angle"]
    for name in ESTIMATORS:
        found[f"length_{name}"] = catalogue[f"bar_length_{name}"]
        found[f"error_{name}"] = catalogue[f"bar_length_{name}_error"]
    return _with_published(truth.merge(found, on="scene", how="left"))


def _with_published(table: pd.DataFrame) -> pd.DataFrame:
    flags = table["flags"].fillna(int(Flag.NOT_BARRED)).astype(np.int64)
    table["published"] = ((flags & int(Flag.NOT_BARRED)) == 0) & table[f"length_{RECOMMENDED}"].notna()
    for name in ("bar_probability", "bar_yes_fraction"):
        table[name] = table[name].fillna(0.0)
    table["morphology"] = table["morphology"].fillna("not measured")
    return table

"""What a user's table says about the imaging of its sources: PSF, zero point and pixel scale of their images.

It travels with the name of the image as the facts of a tile (:class:`tuningfork.surveys.base.Tile`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tuningfork.core.errors import InputError
from tuningfork.surveys.lists.sources.table import UserTable

PSF, WIDTH, ZERO_POINT, PIXEL_SCALE = "psf", "psf_fwhm", "zero_point", "pixel_scale"
RANGES = {WIDTH: (20.0, "arcsec"), ZERO_POINT: (40.0, "mag"), PIXEL_SCALE: (10.0, "arcsec")}
"""Column -> largest value and unit; the values are positive."""
OF_IMAGES = (ZERO_POINT, PIXEL_SCALE)
"""Columns that describe an image, so that all sources on it must agree."""
SOURCES, POSITION = "sources", "position"
"""Fact: an entry for each source on the image, with its position (deg), or one entry if they are all alike."""


def columns_of(table: UserTable, bands: Sequence[str]) -> list[str]:
    """Return the columns of a table that describe the imaging, in small letters."""
    known = [*OF_IMAGES, *(name for kind in (PSF, WIDTH) for name in (kind, *(f"{kind}_{band}" for band in bands)))]
    available = {str(name).strip().lower() for name in table.available}
    return [name for name in known if name.lower() in available]


def imaging_of(table: UserTable, bands: Sequence[str]) -> pd.DataFrame:
    """Return the columns of a table that describe the imaging, each checked.

    Parameters
    ----------
    table : UserTable
    bands : sequence of str

    Returns
    -------
    pandas.DataFrame
        One row per source: text in the columns `psf` and `psf_<band>`, numbers in the others.

    Raises
    ------
    InputError
        If a number is out of range, or the table does not name the images that the columns describe.
    """
    columns = columns_of(table, bands)
    if columns and "file" not in table.columns:
        raise InputError(
            f"{table.what}: its column {columns[0]} describes the image of each source, but there is no column file that "
            "names the image; add it, or rename the column"
        )
    texts = [name for name in columns if _kind(name) == PSF]
    frame = table.more([name for name in columns if name not in texts], texts)
    for name in frame.columns.difference(texts):
        limit, unit = RANGES[_kind(name)]
        values = frame[name].to_numpy()
        wrong = np.flatnonzero(~np.isnan(values) & ~((values > 0) & (values <= limit)))
        if len(wrong):
            raise InputError(
                f"{table.what}: row {wrong[0] + 1}: {name} is {values[wrong[0]]:g}; expected more than 0 and at most "
                f"{limit:g} {unit}, or nothing"
            )
    return frame


def facts_of(
    images: Sequence[str | None], ra: np.ndarray, dec: np.ndarray, imaging: pd.DataFrame, what: str
) -> dict[str, dict[str, Any]]:
    """Return what a table says about each image.

    Parameters
    ----------
    images : sequence of str or None
        Name of the image of each of N sources.
    ra, dec : ndarray
        Their positions (deg), (N,), NaN if unknown.
    imaging : pandas.DataFrame
        N rows, see :func:`imaging_of`.
    what : str
        Name of the table, for the message.

    Returns
    -------
    dict
        Name of an image -> facts, JSON values.

    Raises
    ------
    InputError
        If two sources on an image disagree about its zero point or pixel scale, or two at one place about the PSF.
    """
    result: dict[str, dict[str, Any]] = {}
    if imaging.columns.empty:
        return result
    for image, x, y, entry in zip(images, ra, dec, imaging.to_dict("records"), strict=True):
        if image is None:
            continue
        given = {str(name): value for name, value in entry.items() if not pd.isna(value)}
        facts = result.setdefault(image, {SOURCES: []})
        for name in OF_IMAGES:
            value = given.pop(name, None)
            if value is not None and facts.setdefault(name, value) != value:
                raise InputError(
                    f"{what}: {name} of the image {image} is {facts[name]:g} in one row and {value:g} in another; "
                    "expected one value for an image"
                )
        position = [float(place) if np.isfinite(place) else None for place in (x, y)]
        facts[SOURCES].append({POSITION: position, **given})
    for image, facts in result.items():
        _require_one_at_a_place(facts[SOURCES], f"{what}: the image {image}")
        facts[SOURCES] = _distinct(facts[SOURCES])
    return result


def of_band(entry: Mapping[str, Any], kind: str, band: str) -> Any | None:
    """Return what an entry says of a band, or of all bands: `psf_r` goes before `psf`.

    Parameters
    ----------
    entry : mapping
        Of the fact `SOURCES`.
    kind : str
        `PSF` or `WIDTH`.
    band : str

    Returns
    -------
    str, float or None
        None if it says nothing.
    """
    return entry.get(f"{kind}_{band}", entry.get(kind))


def psf_names(entry: Mapping[str, Any]) -> list[str]:
    """Return the files of the PSF that an entry names."""
    return [value for name, value in entry.items() if name != POSITION and _kind(name) == PSF]


def _require_one_at_a_place(entries: list[dict[str, Any]], what: str) -> None:
    """Check that entries at the same position agree, because the position decides which of them counts."""
    known: dict[tuple[Any, ...], dict[str, Any]] = {}
    for entry in entries:
        first = known.setdefault(tuple(entry[POSITION]), entry)
        for name in sorted(first.keys() | entry.keys()):
            if first.get(name) != entry.get(name):
                raise InputError(
                    f"{what} has two sources at one place, or at its centre: {name} is {first.get(name)} in one row and "
                    f"{entry.get(name)} in another; expected one value, or positions that differ"
                )


def _distinct(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries, or the first alone if they differ in nothing but the position."""
    said = [{name: value for name, value in entry.items() if name != POSITION} for entry in entries]
    return entries[:1] if all(one == said[0] for one in said) else entries


def _kind(name: str) -> str:
    return next((kind for kind in (WIDTH, *OF_IMAGES) if name == kind or name.startswith(f"{kind}_")), PSF)

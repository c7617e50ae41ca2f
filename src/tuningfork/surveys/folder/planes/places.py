"""Where the images of a FITS file lie on the sky: the bands of one image lie at one place, the chips of a camera do not."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from tuningfork.sky.frames import pixel_positions, sky_positions
from tuningfork.surveys.folder.coordinates import Footprint, footprint_of
from tuningfork.surveys.folder.planes.bands import candidates, label
from tuningfork.surveys.folder.planes.extensions import is_sky


def places_in(hdus: fits.HDUList, path: Path, bands: list[str], combined: bool) -> list[Footprint]:
    """Return the coordinates of the images of the sky in an open file, those first that may be a band.

    Parameters
    ----------
    hdus : astropy.io.fits.HDUList
    path : Path
        Its path, for the log.
    bands : list of str
        All bands.
    combined : bool
        Whether the file holds all bands.

    Returns
    -------
    list of Footprint

    Raises
    ------
    ValueError
        If it holds no image of the sky, or several that could be the same band and lie apart.
    """
    science = [hdu for hdu in hdus if is_sky(hdu, bands)]
    if not science:
        raise ValueError("it holds no image of the sky")
    places = [footprint_of(hdu, hdus, path) for hdu in science]
    groups = [group for group in (candidates(science, band, bands, combined) for band in bands) if group] or [science]
    numbers = {id(hdu): number for number, hdu in enumerate(science)}
    for group in groups:
        for one, other in combinations(group, 2):
            if _apart(places[numbers[id(one)]], places[numbers[id(other)]]):
                raise ValueError(_reason(one, other, science))
    first = dict.fromkeys(numbers[id(hdu)] for group in groups for hdu in group)
    return [places[number] for number in (*first, *(number for number in range(len(science)) if number not in first))]


def _reason(one: Any, other: Any, science: Sequence[Any]) -> str:
    return (
        f"the extensions {label(one, science)} and {label(other, science)} lie at different places on the sky, such as the "
        f"chips of a camera; expected one image for each band: split the file, so that each of its {len(science)} images "
        "has a file of its own"
    )


def _apart(one: Footprint, other: Footprint) -> bool:
    """Return whether the centres of two images lie beyond each other's pixels."""
    return _misses(one, other) and _misses(other, one)


def _misses(image: Footprint, other: Footprint) -> bool:
    if image.wcs is None or other.wcs is None:
        return False
    height, width = other.shape
    ra, dec = sky_positions(other.wcs, np.array([(width - 1) / 2]), np.array([(height - 1) / 2]))
    x, y = (float(values[0]) for values in pixel_positions(image.wcs, ra, dec))
    return not (-0.5 <= x < image.shape[1] - 0.5 and -0.5 <= y < image.shape[0] - 0.5)

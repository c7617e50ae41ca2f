"""FITS headers with celestial coordinates, and where their pixels lie by astropy alone."""

from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

SCALE = 0.4


def header_of(size: int = 161, **cards: Any) -> fits.Header:
    """Return the header of a square image: TAN, north up, centred on 10 41; `cards` are added, or taken off if None.

    A double underscore in a name stands for a full stop.
    """
    values: dict[str, Any] = {
        **{"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 41.0},
        **{"CRPIX1": (size + 1) / 2, "CRPIX2": (size + 1) / 2, "CDELT1": -SCALE / 3600, "CDELT2": SCALE / 3600},
        **cards,
    }
    header = fits.Header()
    for name, value in values.items():
        if value is not None:
            header[name.replace("__", ".")] = value
    return header


def truth(wcs: WCS, frame: Any, x: float, y: float) -> dict[str, Any]:
    """Return what lies at a pixel, by astropy: position, scale, pixel angle of north, handedness.

    `wcs` has the longitude first. Scale and angles come from the offsets of points a tenth of a pixel around, as
    :meth:`astropy.coordinates.SkyCoord.spherical_offsets_to` gives them.
    """
    step = 0.1
    px = x + step * np.array([0, 1, -1, 0, 0])
    py = y + step * np.array([0, 0, 0, 1, -1])
    points = SkyCoord(*(wcs.all_pix2world(px, py, 0) * u.deg), frame=frame).icrs
    east, north = (part.to_value(u.arcsec) for part in points[0].spherical_offsets_to(points[1:]))
    matrix = np.array([[v[0] - v[1], v[2] - v[3]] for v in (east, north)]) / (2 * step)
    to_north = np.linalg.solve(matrix, [0, 1])
    return {
        "ra": points[0].ra.deg,
        "dec": points[0].dec.deg,
        "pixel_scale": float(np.sqrt(abs(np.linalg.det(matrix)))),
        "north_angle": float(np.rad2deg(np.arctan2(-to_north[0], to_north[1]))),
        "east_is_left": bool(np.linalg.det(matrix) < 0),
    }

"""Positions and angles: conversions between the sky and the pixels of an image.

A pixel angle is measured in degrees from the +y axis of an image, counter-clockwise (towards -x). A sky angle is a
position angle, measured from north through east.
"""

import numpy as np
import pyarrow as pa
from astropy.coordinates import angular_separation
from astropy.wcs import WCS

from tuningfork.sky.frames import pixel_positions, sky_positions

ARCSEC = 3600.0
"""Arcseconds per degree."""


def wrapped(ra: np.ndarray) -> np.ndarray:
    """Return right ascensions in their one canonical form.

    Parameters
    ----------
    ra : ndarray
        Right ascensions (deg), any shape.

    Returns
    -------
    ndarray
        From 0 to below 360 deg, never -0.0; the same shape.
    """
    with np.errstate(invalid="ignore"):
        turned = np.mod(np.asarray(ra, dtype=float), 360.0)
    return np.where(turned == 360.0, 0.0, turned)  # the remainder of a tiny negative number is rounded to 360


def pixel_to_sky_angle(theta: np.ndarray, north_angle: np.ndarray, east_is_left: np.ndarray) -> np.ndarray:
    """Convert the pixel angle of an axis to its position angle.

    Parameters
    ----------
    theta : ndarray
        Pixel angle of the axis (deg), any shape.
    north_angle : ndarray
        Pixel angle of north (deg), broadcast against `theta`.
    east_is_left : ndarray of bool
        Whether east is counter-clockwise from north on the image, broadcast against `theta`.

    Returns
    -------
    ndarray
        Position angle (deg, 0 to 180), in the broadcast shape.
    """
    difference = np.asarray(theta, dtype=float) - np.asarray(north_angle, dtype=float)
    return np.mod(np.where(east_is_left, difference, -difference), 180.0)


def sky_to_pixel_angle(position_angle: np.ndarray, north_angle: np.ndarray, east_is_left: np.ndarray) -> np.ndarray:
    """Convert the position angle of an axis to its pixel angle; the inverse of :func:`pixel_to_sky_angle`.

    Parameters
    ----------
    position_angle : ndarray
        Position angle of the axis (deg), any shape.
    north_angle : ndarray
        Pixel angle of north (deg), broadcast against `position_angle`.
    east_is_left : ndarray of bool
        Whether east is counter-clockwise from north on the image, broadcast against `position_angle`.

    Returns
    -------
    ndarray
        Pixel angle (deg, 0 to 180), in the broadcast shape.
    """
    angle = np.asarray(position_angle, dtype=float)
    return np.mod(np.asarray(north_angle, dtype=float) + np.where(east_is_left, angle, -angle), 180.0)


def left_handed(east_is_left: pa.ChunkedArray) -> np.ndarray:
    """Return a column `east_is_left` as an array.

    Parameters
    ----------
    east_is_left : pyarrow.ChunkedArray of bool
        Column of N rows; null for a source without an image.

    Returns
    -------
    ndarray of bool
        Shape (N,); null counts as true.
    """
    return np.asarray(east_is_left.fill_null(True).to_numpy(), dtype=bool)


def jacobian(wcs: WCS, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the derivatives of sky position with respect to pixel position.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        A celestial WCS, in any frame of :mod:`tuningfork.sky.frames`.
    x, y : ndarray
        Pixel positions, shape (N,); (0, 0) is the centre of the first pixel.

    Returns
    -------
    ndarray
        Shape (N, 2, 2), in arcsec per pixel: rows are east and north (ICRS), columns are x and y. At a pole, north is the
        direction of the meridian that the WCS gives the pixel.
    """
    x, y = np.atleast_1d(np.asarray(x, dtype=float)), np.atleast_1d(np.asarray(y, dtype=float))
    half = 0.5
    columns = np.concatenate([x, x + half, x - half, x, x])
    rows = np.concatenate([y, y, y, y + half, y - half])
    ra, dec = sky_positions(wcs, columns, rows)
    # Differences of unit vectors, unlike those of right ascensions, mean the same at the poles.
    here, right, left, up, down = unit_vectors(ra, dec).reshape(5, -1, 3)
    lon = np.deg2rad(ra[: len(x)])
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)], axis=1)
    north = np.cross(here, east)
    steps = np.rad2deg(np.stack([right - left, up - down], axis=2)) * ARCSEC
    return np.asarray(np.stack([east, north], axis=1) @ steps)


def directions(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pixel scale and orientation of an image.

    Parameters
    ----------
    matrix : ndarray
        Derivatives from :func:`jacobian`, shape (N, 2, 2).

    Returns
    -------
    pixel_scale : ndarray
        Width of a pixel (arcsec), shape (N,).
    north_angle : ndarray
        Pixel angle of north (deg), shape (N,).
    east_is_left : ndarray of bool
        Whether east is counter-clockwise from north, shape (N,).
    """
    determinant = np.linalg.det(matrix)
    # The inverse's second column points north: (-m01, m00) / determinant.
    north_x, north_y = -matrix[:, 0, 1] / determinant, matrix[:, 0, 0] / determinant
    return np.sqrt(np.abs(determinant)), np.rad2deg(np.arctan2(-north_x, north_y)), determinant < 0


def orientation(wcs: WCS, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the orientation of an image at some pixels.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        A celestial WCS.
    x, y : ndarray
        Pixel positions, shape (N,).

    Returns
    -------
    north_angle : ndarray
        Pixel angle of north (deg), shape (N,).
    east_is_left : ndarray of bool
        Whether east is counter-clockwise from north, shape (N,).
    """
    _, north_angle, east_is_left = directions(jacobian(wcs, x, y))
    return north_angle, east_is_left


def distance(ra: np.ndarray, dec: np.ndarray, ra_0: np.ndarray | float, dec_0: np.ndarray | float) -> np.ndarray:
    """Return the angular separation of positions, by :func:`astropy.coordinates.angular_separation`.

    Parameters
    ----------
    ra, dec : ndarray
        Positions (deg), shape (N,).
    ra_0, dec_0 : ndarray or float
        Other positions (deg), broadcast against the first.

    Returns
    -------
    ndarray
        Separation (deg), shape (N,); NaN where a position is missing.
    """
    lon, lat, lon_0, lat_0 = (np.deg2rad(np.asarray(value, dtype=float)) for value in (ra, dec, ra_0, dec_0))
    return np.rad2deg(angular_separation(lon, lat, lon_0, lat_0))


def unit_vectors(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return positions as points on the unit sphere.

    Parameters
    ----------
    ra, dec : ndarray or float
        Positions (deg), shape (N,).

    Returns
    -------
    ndarray
        Shape (N, 3).
    """
    lon, lat = np.deg2rad(np.atleast_1d(ra).astype(float)), np.deg2rad(np.atleast_1d(dec).astype(float))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def to_pixels(wcs: WCS, ra: np.ndarray, dec: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixel positions of sky positions near an image.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        A celestial WCS.
    ra, dec : ndarray
        Positions (deg), shape (N,); NaN is allowed.
    shape : tuple of int
        Height and width of the image. A projection also maps the far side of the sky somewhere, so positions
        farther from the image's centre than its diagonal are left out.

    Returns
    -------
    x, y : ndarray
        Pixel positions, shape (N,); NaN for positions far from the image.
    """
    ra, dec = np.asarray(ra, dtype=float), np.asarray(dec, dtype=float)
    height, width = shape
    centre_x, centre_y = np.array([(width - 1) / 2]), np.array([(height - 1) / 2])
    ra_0, dec_0 = sky_positions(wcs, centre_x, centre_y)
    scale, _, _ = directions(jacobian(wcs, centre_x, centre_y))
    with np.errstate(invalid="ignore"):
        near = distance(ra, dec, ra_0, dec_0) <= (np.hypot(height, width) * scale / ARCSEC)
    x, y = np.full(ra.shape, np.nan), np.full(ra.shape, np.nan)
    if near.any():
        x[near], y[near] = pixel_positions(wcs, ra[near], dec[near])
    return x, y

"""Positions on the sky (ICRS) of the pixels of an image, whatever frame and axis order its WCS has, and the inverse.

Equatorial coordinates of any equinox (ICRS, FK5, FK4, FK4 without E-terms), ecliptic, galactic and supergalactic ones are
known. Ecliptic coordinates are referred to the mean ecliptic and equinox of EQUINOX, J2000 without it.
"""

import astropy.units as u
import numpy as np
from astropy.coordinates import (
    FK4,
    FK5,
    ICRS,
    BarycentricMeanEcliptic,
    BaseCoordinateFrame,
    FK4NoETerms,
    Galactic,
    Supergalactic,
    UnitSphericalRepresentation,
)
from astropy.time import Time
from astropy.wcs import WCS, NoConvergence, WcsError

from tuningfork.core.errors import InputError

EQUATORIAL, ECLIPTIC = ("RA", "DEC"), ("ELON", "ELAT")
OTHER_FRAMES: dict[tuple[str, str], type[BaseCoordinateFrame]] = {
    ("GLON", "GLAT"): Galactic,
    ("SLON", "SLAT"): Supergalactic,
}
FRAMES = (EQUATORIAL, ECLIPTIC, *OTHER_FRAMES)
"""Longitude and latitude of the frames that are known, as they begin in CTYPE."""
SYSTEMS = ("ICRS", "FK5", "FK4", "FK4-NO-E")
"""Values of RADESYS that are known."""
FIRST_FK5_EQUINOX = 1984.0
"""Without RADESYS, an earlier equinox means FK4 (FITS standard, section 8.3)."""


def frame_of(wcs: WCS) -> BaseCoordinateFrame:
    """Return the frame of the sky to which a celestial WCS refers.

    Parameters
    ----------
    wcs : astropy.wcs.WCS

    Returns
    -------
    astropy.coordinates.BaseCoordinateFrame

    Raises
    ------
    InputError
        If the frame is none of `FRAMES`, or RADESYS none of `SYSTEMS`.
    """
    wcs.wcs.set()
    axes = wcs.wcs.lngtyp.strip(), wcs.wcs.lattyp.strip()
    if axes in OTHER_FRAMES:
        return OTHER_FRAMES[axes]()
    if axes not in (EQUATORIAL, ECLIPTIC):
        raise InputError(f"CTYPE says {' and '.join(axes)}; expected one of {', '.join(map('/'.join, FRAMES))}")
    equinox = float(wcs.wcs.equinox)
    system = wcs.wcs.radesys.strip().upper()
    if not system:
        system = "ICRS" if np.isnan(equinox) else "FK5" if equinox >= FIRST_FK5_EQUINOX else "FK4"
    if system not in SYSTEMS:
        raise InputError(f"RADESYS is {system!r}; expected one of {', '.join(SYSTEMS)}")
    if axes == EQUATORIAL and system == "ICRS":
        return ICRS()
    besselian = system.startswith("FK4")
    if np.isnan(equinox):
        equinox = 1950.0 if besselian else 2000.0
    time = Time(equinox, format="byear" if besselian else "jyear", scale="tt")
    if axes == ECLIPTIC:
        return BarycentricMeanEcliptic(equinox=time)
    return {"FK5": FK5, "FK4": FK4, "FK4-NO-E": FK4NoETerms}[system](equinox=time)


def sky_positions(wcs: WCS, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ICRS positions of pixels.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        A celestial WCS of two axes, in any of `FRAMES` and in either order.
    x, y : ndarray
        Pixel positions, shape (N,); (0, 0) is the centre of the first pixel.

    Returns
    -------
    ra, dec : ndarray
        Right ascension (deg, 0 to 360) and declination (deg), shape (N,); NaN where the projection gives none.

    Raises
    ------
    InputError
        If the frame is unknown.
    astropy.wcs.WcsError
        If the WCS as a whole is none, for example because its matrix is singular.
    """
    frame = frame_of(wcs)
    world = wcs.all_pix2world(np.atleast_1d(x).astype(float), np.atleast_1d(y).astype(float), 0)
    return _converted(frame, ICRS(), world[wcs.wcs.lng], world[wcs.wcs.lat])


def pixel_positions(wcs: WCS, ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of ICRS positions; the inverse of :func:`sky_positions`.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        A celestial WCS of two axes.
    ra, dec : ndarray
        Positions (deg), shape (N,); NaN is allowed.

    Returns
    -------
    x, y : ndarray
        Pixel positions, shape (N,); NaN where the projection gives none, or where a distortion cannot be inverted,
        as far outside the range for which its polynomial was made.

    Raises
    ------
    InputError
        If the frame is unknown.
    astropy.wcs.WcsError
        If the WCS as a whole is none.
    """
    frame = frame_of(wcs)
    lon, lat = _converted(ICRS(), frame, np.atleast_1d(ra).astype(float), np.atleast_1d(dec).astype(float))
    world = np.empty((len(lon), 2))
    world[:, wcs.wcs.lng], world[:, wcs.wcs.lat] = lon, lat
    pixels = np.full((len(lon), 2), np.nan)
    known = np.flatnonzero(np.isfinite(lon + lat))
    if known.size:
        pixels[known] = _inverted(wcs, world[known])
    return pixels[:, 0], pixels[:, 1]


def _inverted(wcs: WCS, world: np.ndarray) -> np.ndarray:
    """Return the pixels (N, 2) of world coordinates (N, 2) in the order of the axes; NaN where there are none."""
    try:
        return np.asarray(wcs.all_world2pix(world, 0))
    except NoConvergence as error:
        pixels = np.array(error.best_solution, dtype=float)
        for failed in (error.divergent, error.slow_conv):
            if failed is not None:
                pixels[failed] = np.nan
        return pixels
    except WcsError:
        if len(world) == 1:
            return np.full((1, 2), np.nan)
        # One position without a solution must not cost the others theirs.
        return np.concatenate([_inverted(wcs, row[None]) for row in world])


def _converted(
    frame: BaseCoordinateFrame, to: BaseCoordinateFrame, lon: np.ndarray, lat: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return longitudes (deg, 0 to 360) and latitudes (deg) in another frame; NaN for those that are impossible."""
    with np.errstate(invalid="ignore"):
        possible = np.isfinite(lon) & (np.abs(lat) <= 90)
    lon, lat = np.where(possible, lon, np.nan), np.where(possible, lat, np.nan)
    if not isinstance(frame, type(to)) or not frame.is_equivalent_frame(to):
        position = frame.realize_frame(UnitSphericalRepresentation(lon * u.deg, lat * u.deg)).transform_to(to)
        lon, lat = position.spherical.lon.deg, position.spherical.lat.deg
    return np.mod(lon, 360.0), lat

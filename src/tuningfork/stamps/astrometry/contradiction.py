"""Check whether a tile's coordinates agree with its place in the survey's list of tiles and with the listed sources.

A wrong WCS gives stamps of the wrong objects, and no later stage can notice that. Three things are compared:

1. the pixel scale with the survey's, and the position of the image with the tile's corners or centre in the survey's list;
2. the sources that, by these corners, lie well inside the tile with the image, which must hold at least one of them;
3. the light of the image with the brighter listed sources, see :mod:`tuningfork.stamps.astrometry.light`.
"""

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS, WcsError

from tuningfork.core.description import Description
from tuningfork.sky.coordinates import ARCSEC, directions, distance, jacobian, to_pixels
from tuningfork.sky.frames import sky_positions
from tuningfork.stamps.astrometry.light import Listed, unlit
from tuningfork.surveys.base import Image, Tile
from tuningfork.surveys.near import depth

SCALE_TOLERANCE = 0.1
"""Fraction by which the pixel scale may differ from the survey's."""
INNER_FRACTION = 0.5
"""The points of an image or tile that must lie in the other are this part of the way from its centre to its corners."""
MIN_DEPTH_INSIDE = 0.1
"""Depth of a source that lies well inside of a tile, in units of the distance from its centre to its nearest edge."""
OTHER_BAND_FAINTER = 1.5
"""How much fainter than in the reference band (mag) a source may be in another one."""


@dataclass(frozen=True)
class Expected:
    """What is expected of one band of a survey.

    Attributes
    ----------
    pixel_scale : float
        arcsec.
    sky_noise : float
        Standard deviation of the sky in a pixel (flux unit).
    zero_point : float
        AB magnitude of the flux unit of `sky_noise`.
    fainter : float
        How much fainter than in the source list a source may be in this band (mag).
    """

    pixel_scale: float
    sky_noise: float
    zero_point: float
    fainter: float

    @classmethod
    def of(cls, description: Description, band: str) -> "Expected":
        """Return what a survey's description says about `band`."""
        return cls(
            description.pixel_scale,
            description.sky_noise[description.bands.index(band)],
            description.zero_point,
            0.0 if band == description.reference_band else OTHER_BAND_FAINTER,
        )


def contradiction(image: Image, tile: Tile, listed: Listed, expected: Expected) -> str | None:
    """Return why the coordinates of an image cannot be right, in words, or None if no check fails.

    Parameters
    ----------
    image : Image
        One band of the tile.
    tile : Tile
        Its position in the survey's lists; what is unknown there is not compared.
    listed : Listed
        The sources of the shard.
    expected : Expected
        About the band.

    Returns
    -------
    str or None

    Raises
    ------
    InputError
        The file turns out to be damaged.
    """
    sky_noise = expected.sky_noise * 10 ** (0.4 * (image.zero_point - expected.zero_point))
    try:
        return (
            _misshapen(image, expected.pixel_scale)
            or _misplaced(image, tile)
            or _without_its_sources(image, tile, listed)
            or unlit(image, listed, sky_noise, expected.fainter)
        )
    except WcsError as error:
        return f"its WCS gives no coordinates ({' '.join(str(error).split())})"


def _middle(shape: tuple[int, int]) -> np.ndarray:
    return np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])


def _misshapen(image: Image, pixel_scale: float) -> str | None:
    x, y = _middle(image.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        measured_scale = float(directions(jacobian(image.wcs, np.array([x]), np.array([y])))[0][0])
    if not np.isfinite(measured_scale):
        return "its WCS gives no coordinates for the image's centre"
    if abs(measured_scale / pixel_scale - 1) > SCALE_TOLERANCE:
        return f"its WCS has a pixel scale of {measured_scale:.4g} arcsec, the survey one of {pixel_scale:.4g} arcsec"
    return None


def _misplaced(image: Image, tile: Tile) -> str | None:
    """Compare the position of the image on the sky with that of the tile.

    The tile's corners may be those of a smaller, unique area, or of a larger one. So the inner part of one of the two must
    lie in the other, which allows a shift of a quarter of the width. If only a centre is known, it must lie within the
    circle around the image.
    """
    x, y = _middle(image.shape)
    ra, dec = sky_positions(image.wcs, x, y)
    apart = float(distance(ra, dec, tile.ra, tile.dec)[0])
    if not np.isfinite(apart):
        return None
    if tile.corners:
        wrong = not (_inner_part_in_tile(image, tile) or _inner_part_in_image(image, tile))
    else:
        wrong = apart > float(distance(ra, dec, *sky_positions(image.wcs, *np.full((2, 1), -0.5)))[0])
    if wrong:
        return f"its WCS puts it {_angle(apart)} from its place in the survey's list (RA {tile.ra:.4f} Dec {tile.dec:+.4f})"
    return None


def _inner_part_in_tile(image: Image, tile: Tile) -> bool:
    half = INNER_FRACTION * np.array(image.shape[::-1]) / 2
    inner = _middle(image.shape) + half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return bool((depth(tile, *sky_positions(image.wcs, *inner.T)) > 0).all())


def _inner_part_in_image(image: Image, tile: Tile) -> bool:
    corners = np.array(tile.corners, dtype=float)
    turn = (corners[:, 0] - tile.ra + 180) % 360 - 180
    ra, dec = tile.ra + INNER_FRACTION * turn, tile.dec + INNER_FRACTION * (corners[:, 1] - tile.dec)
    return bool(_on(image.wcs, image.shape, ra % 360, dec).all())


def _on(wcs: WCS, shape: tuple[int, int], ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return which positions lie on the image."""
    x, y = to_pixels(wcs, ra, dec, shape)
    with np.errstate(invalid="ignore"):
        return np.asarray((x >= -0.5) & (x <= shape[1] - 0.5) & (y >= -0.5) & (y <= shape[0] - 0.5))


def _without_its_sources(image: Image, tile: Tile, listed: Listed) -> str | None:
    deep = depth(tile, listed.ra, listed.dec)
    with np.errstate(invalid="ignore"):
        inside = deep > MIN_DEPTH_INSIDE * float(depth(tile, np.array([tile.ra]), np.array([tile.dec]))[0])
    if not inside.any() or _on(image.wcs, image.shape, listed.ra[inside], listed.dec[inside]).any():
        return None
    return f"{inside.sum()} sources lie on it by its place in the survey's list, none by its WCS"


def _angle(degrees: float) -> str:
    arcsec = degrees * ARCSEC
    return f"{arcsec:.1f} arcsec" if arcsec < 600 else f"{arcsec / 60:.1f} arcmin"

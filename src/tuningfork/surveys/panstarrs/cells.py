"""Positions of the sky cells of Pan-STARRS1: the tessellation RINGS.V3."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.sky.coordinates import distance
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import Tile
from tuningfork.surveys.near import reaches

SKY_CELL_NAME = re.compile(r"(\d{4})\.0(\d)(\d)")
"""Projection cell, and row and column of the sky cell within it."""
PIXEL_DEGREES = 0.25 / 3600
"""Width of a pixel (deg)."""
CELLS_ACROSS = 10
"""Number of rows, and of columns, of sky cells in a projection cell."""
CELL_OVERLAP = 480
"""Pixels that neighbouring sky cells of a projection cell share."""


@dataclass(frozen=True)
class Ring:
    """The projection cells at one declination.

    Attributes
    ----------
    first : int
        Number of the first projection cell, which lies at right ascension zero.
    count : int
        Number of projection cells around the sky.
    dec : float
        Declination (deg) of their centres.
    width, height : int
        Size of a sky cell (px).
    x, y : float
        Reference pixel (FITS) of the sky cell in row 5 and column 5.
    """

    first: int
    count: int
    dec: float
    width: int
    height: int
    x: float
    y: float


# The table ps1grid.fits of the archive at STScI, which describes the tessellation of T. Budavari: the columns PROJCELL,
# NBAND, DEC, XCELL, YCELL, CRPIX1 and CRPIX2. It begins at the southern limit of the survey.
RINGS = tuple(
    Ring(*row)
    for row in (
        (487, 72, -38.0, 6305, 6279, 239.5, 238.0),
        (559, 76, -34.0, 6265, 6274, 237.5, 237.5),
        (635, 79, -30.0, 6274, 6269, 239.5, 241.5),
        (714, 82, -26.0, 6255, 6265, 241.5, 240.5),
        (796, 84, -22.0, 6279, 6261, 241.0, 242.0),
        (880, 86, -18.0, 6274, 6258, 241.5, 238.0),
        (966, 88, -14.0, 6242, 6254, 240.5, 239.5),
        (1054, 89, -10.0, 6248, 6250, 240.0, 242.0),
        (1143, 89, -6.0, 6291, 6247, 237.5, 240.0),
        (1232, 90, -2.0, 6240, 6243, 240.0, 242.0),
        (1322, 90, 2.0, 6240, 6243, 240.0, 242.0),
        (1412, 89, 6.0, 6291, 6247, 237.5, 240.0),
        (1501, 89, 10.0, 6248, 6250, 240.0, 242.0),
        (1590, 88, 14.0, 6242, 6254, 240.5, 239.5),
        (1678, 86, 18.0, 6274, 6258, 241.5, 238.0),
        (1764, 84, 22.0, 6279, 6261, 241.0, 242.0),
        (1848, 82, 26.0, 6255, 6265, 241.5, 240.5),
        (1930, 79, 30.0, 6274, 6269, 239.5, 241.5),
        (2009, 76, 34.0, 6265, 6274, 237.5, 237.5),
        (2085, 72, 38.0, 6305, 6279, 239.5, 238.0),
        (2157, 68, 42.0, 6320, 6284, 239.5, 240.0),
        (2225, 64, 46.0, 6307, 6289, 238.0, 242.0),
        (2289, 60, 50.0, 6261, 6295, 241.0, 239.5),
        (2349, 55, 54.0, 6283, 6302, 239.0, 242.0),
        (2404, 50, 58.0, 6278, 6311, 238.5, 237.5),
        (2454, 45, 62.0, 6240, 6319, 240.0, 241.0),
        (2499, 39, 66.0, 6307, 6333, 239.5, 240.0),
        (2538, 33, 70.0, 6365, 6350, 238.5, 240.0),
        (2571, 27, 74.0, 6413, 6371, 240.5, 242.0),
        (2598, 21, 78.0, 6452, 6398, 240.0, 242.0),
        (2619, 15, 82.0, 6481, 6429, 241.0, 242.0),
        (2634, 9, 86.0, 6501, 6419, 239.0, 239.5),
        (2643, 1, 90.0, 6240, 6240, 239.5, 240.0),
    )
)
MAX_PROJECTION_RADIUS = 3.3
"""Largest distance (deg) from the centre of a projection cell to its corners."""


def cell(name: str) -> Tile:
    """Return the sky cell called `name`, such as 1329.005: projection cell 1329, row 0, column 5.

    Raises
    ------
    InputError
        If the survey has no such sky cell.
    """
    match = SKY_CELL_NAME.fullmatch(name)
    number = int(match[1]) if match else -1
    ring = next((ring for ring in RINGS if ring.first <= number < ring.first + ring.count), None)
    if match is None or ring is None:
        raise InputError(
            f"tile {name!r} of Pan-STARRS1: expected the projection cell ({RINGS[0].first:04d} to {RINGS[-1].first}) "
            "and the sky cell (000 to 099), such as 1329.005"
        )
    return _tile(ring, number, int(match[2]), int(match[3]))


def cells_around(shard: Shard, margin: float) -> list[Tile]:
    """Return the sky cells that touch a shard or come within `margin` (deg) of it, in order of name.

    A few cells that are slightly farther away may be included.
    """
    centre = shard.centre
    radius = shard.radius + margin
    cells = []
    for ring, number in _projection_cells(*centre, radius + MAX_PROJECTION_RADIUS):
        cells += [tile for tile in _tiles(ring, number) if reaches(tile, *centre, radius)]
    return sorted(cells, key=lambda tile: tile.name)


def _projection_cells(ra: float, dec: float, radius: float) -> Iterator[tuple[Ring, int]]:
    """Yield the projection cells whose centres lie within `radius` (deg) of a position."""
    for ring in RINGS:
        if abs(ring.dec - dec) <= radius:
            centres = np.arange(ring.count) * 360 / ring.count
            near = distance(centres, np.full(ring.count, ring.dec), ra, dec) <= radius
            yield from ((ring, ring.first + int(number)) for number in np.flatnonzero(near))


def _tiles(ring: Ring, number: int) -> Iterator[Tile]:
    yield from (_tile(ring, number, row, column) for row in range(CELLS_ACROSS) for column in range(CELLS_ACROSS))


def _tile(ring: Ring, number: int, row: int, column: int) -> Tile:
    """Return a sky cell; all cells of a projection cell share one gnomonic projection, north up and east left."""
    x0 = ring.x + (ring.width - CELL_OVERLAP) * (5 - column)
    y0 = ring.y + (ring.height - CELL_OVERLAP) * (5 - row)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [(number - ring.first) * 360 / ring.count, ring.dec]
    wcs.wcs.crpix = [x0, y0]
    wcs.wcs.cdelt = [-PIXEL_DEGREES, PIXEL_DEGREES]
    right, top = ring.width, ring.height
    ra, dec = wcs.wcs_pix2world([1, right, right, 1, (1 + right) / 2], [1, 1, top, top, (1 + top) / 2], 1)
    corners = tuple((float(a) % 360, float(d)) for a, d in zip(ra[:4], dec[:4], strict=True))
    return Tile(f"{number:04d}.0{row}{column}", float(ra[4]) % 360, float(dec[4]), corners)

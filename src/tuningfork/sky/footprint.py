"""Footprints, which are regions of the sky, and the shards that they touch."""

import json
import re
from pathlib import Path

import astropy.units as u
import cdshealpix.nested as healpix
import numpy as np
from astropy.coordinates import Latitude, Longitude

from tuningfork.core.config.sky import Box, Cone, Moc, Polygon
from tuningfork.core.errors import ConfigurationError
from tuningfork.sky.coordinates import unit_vectors
from tuningfork.sky.outline import simple_outline
from tuningfork.sky.shards import MAX_RADIUS_OF_ORDER_0, Shard

MAX_SHARDS = 50_000
"""Largest number of shards in a run: Snakemake plans their 550,000 jobs in 17 minutes with 17 GB (docs/scale.md). The whole
sky has 49,152 shards of order 6."""
MOC_ORDER = 29
"""HEALPix order of the pixels in which coverage maps state their ranges."""
BOX_INSET = 1e-9
"""Largest width (deg) of the margins in right ascension that are left out of a box; 4 microarcseconds."""
MAX_MOC_BYTES = 2**30
"""Size of the largest coverage map that is read."""
Cells = tuple[np.ndarray, np.ndarray]
"""Numbers and orders of HEALPix cells, each of shape (N,)."""


def shards_of_footprint(footprint: Box | Cone | Polygon | Moc, order: int) -> list[Shard]:
    """Return the shards that the footprint touches, in order of pixel number.

    Raises
    ------
    ConfigurationError
        If the footprint touches no shard or too many, or its file cannot be used.
    """
    match footprint:
        case Box():
            cells = _box(footprint, order)
        case Cone():
            lon, lat = Longitude(footprint.ra, u.deg), Latitude(footprint.dec, u.deg)
            cells = healpix.cone_search(lon, lat, footprint.radius * u.deg, np.uint8(order))[:2]
        case Polygon():
            ra, dec = simple_outline(*np.array(footprint.vertices, dtype=float).T)
            cells = _polygon(ra, dec, order)
        case Moc():
            return _listed(pixels_of_ranges(read_moc(Path(footprint.path)), order), order, f"map {footprint.path}")
    return _listed(_flat(cells, order), order, footprint.kind)


def shards_of_outlines(outlines: list[tuple[tuple[float, float], ...]], order: int) -> list[Shard]:
    """Return the shards that any of several polygons touches, in order of pixel number.

    Parameters
    ----------
    outlines : list of tuple
        Polygons, each as its corners (ra, dec in deg).
    order : int
        HEALPix order of the shards.

    Raises
    ------
    ConfigurationError
        If the polygons touch too many shards.
    """
    touched: set[int] = set()
    for outline in outlines:
        ra, dec = np.array(outline, dtype=float).T
        touched.update(_flat(_polygon(ra, dec, order), order).tolist())
        require_few_shards(len(touched), order)
    return _listed(np.array(sorted(touched), dtype=np.int64), order, "list of tiles")


def _listed(pixels: np.ndarray, order: int, what: str) -> list[Shard]:
    if len(pixels) == 0:
        raise ConfigurationError(f"sky.footprint: the {what} touches no shard; enlarge it")
    return [Shard(order, int(pixel)) for pixel in np.unique(pixels)]


def require_few_shards(count: int, order: int) -> None:
    """Check the number of shards of a run; raises ConfigurationError if Snakemake cannot plan that many."""
    if count > MAX_SHARDS:
        raise ConfigurationError(
            f"sky.footprint: it touches {count} shards of order {order}, more than the limit of {MAX_SHARDS}; lower "
            "sky.shard_order: the whole sky has 49152 shards of order 6"
        )


def _flat(cells: Cells, order: int) -> np.ndarray:
    """Expand cells of `order` and of coarser orders into pixels of `order`."""
    pixels, depths = (np.asarray(values, dtype=np.int64) for values in cells)
    count = int(np.sum(4.0 ** (order - depths)))
    require_few_shards(count, order)
    shift = 2 * (order - depths)
    inside = [np.arange(pixel << bits, (pixel + 1) << bits) for pixel, bits in zip(pixels, shift, strict=True)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *inside])


def _box(box: Box, order: int) -> Cells:
    """Return the cells of a box; a box that crosses right ascension zero, or spans the full circle, is two zones."""
    zones = [(box.ra_min, box.ra_max)] if box.ra_min < box.ra_max else [(box.ra_min, 360.0), (0.0, box.ra_max)]
    searches = []
    for west, east in zones:
        if west == east:
            continue
        # The search misses cells next to an edge that is a meridian through their corners, and takes 360 deg for zero.
        inset = min(BOX_INSET, (east - west) / 4)
        lon = Longitude([west + inset, east - inset], u.deg)
        lat = Latitude([box.dec_min, box.dec_max], u.deg)
        searches.append(healpix.zone_search(lon[0], lat[0], lon[1], lat[1], np.uint8(order))[:2])
    return np.concatenate([pixels for pixels, _ in searches]), np.concatenate([depths for _, depths in searches])


def _polygon(ra: np.ndarray, dec: np.ndarray, order: int) -> Cells:
    """Return the cells of a polygon; its inside is the side of the outline that holds less than half of the sky."""
    pixels, depths, whole = healpix.polygon_search(Longitude(ra, u.deg), Latitude(dec, u.deg), np.uint8(order))
    # The search returns cells outside the corners of large polygons near the poles.
    keep = np.asarray(whole, dtype=bool)
    for depth in np.unique(depths[~keep]):
        edge = np.flatnonzero(~keep & (depths == depth))
        lon, lat = healpix.healpix_to_lonlat(pixels[edge], np.uint8(depth))
        keep[edge] = distance_to_outline(lon.deg, lat.deg, ra, dec) <= MAX_RADIUS_OF_ORDER_0 / 2 ** int(depth)
    return pixels[keep], depths[keep]


def distance_to_outline(ra: np.ndarray, dec: np.ndarray, corner_ra: np.ndarray, corner_dec: np.ndarray) -> np.ndarray:
    """Return the distance from positions to the sides of a polygon, which are great circles.

    Parameters
    ----------
    ra, dec : ndarray
        Positions (deg), shape (N,).
    corner_ra, corner_dec : ndarray
        Corners (deg), shape (M,).

    Returns
    -------
    ndarray
        Distance (deg) to the nearest side, shape (N,), never negative.
    """
    point, corner = unit_vectors(ra, dec), unit_vectors(corner_ra, corner_dec)
    nearest = np.full(len(point), np.inf)
    for start, stop in zip(np.roll(corner, 1, axis=0), corner, strict=True):
        pole = np.cross(start, stop)
        pole /= max(float(np.linalg.norm(pole)), 1e-300)
        # Alongside the side, the nearest point is on its great circle; beyond its ends, it is the end.
        beside = (point @ np.cross(pole, start) >= 0) & (point @ np.cross(stop, pole) >= 0)
        across = np.abs(np.arcsin(np.clip(point @ pole, -1, 1)))
        ends = np.arccos(np.clip(np.maximum(point @ start, point @ stop), -1, 1))
        nearest = np.minimum(nearest, np.where(beside, across, ends))
    return np.asarray(np.rad2deg(nearest))


def pixels_of_ranges(ranges: np.ndarray, order: int) -> np.ndarray:
    """Return the pixels of `order` that ranges of pixels of order 29 touch.

    Parameters
    ----------
    ranges : ndarray of int64
        First pixel of each range and the pixel after its last, shape (N, 2), in ascending order.
    order : int
        HEALPix order of the result.

    Returns
    -------
    ndarray of int64
        Pixel numbers, shape (M,), in ascending order.

    Raises
    ------
    ConfigurationError
        If there are too many pixels.
    """
    shift = 2 * (MOC_ORDER - order)
    first, last = ranges[:, 0] >> shift, (ranges[:, 1] - 1) >> shift
    # Ranges are in order; one may end in the pixel in which the next one begins.
    first = np.maximum(first, np.append(-1, last[:-1]) + 1)
    count = int(np.sum(last - first + 1))
    require_few_shards(count, order)
    inside = [np.arange(start, stop + 1) for start, stop in zip(first, last, strict=True)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *inside])


def read_moc(path: Path) -> np.ndarray:
    """Read a spatial coverage map (MOC in FITS, JSON or ASCII).

    Returns
    -------
    ndarray of int64
        Ranges of pixels of order 29, shape (N, 2): the first pixel and the pixel after the last.

    Raises
    ------
    ConfigurationError
        If the file is missing or too large, is not a coverage map, or covers time or frequency.
    """
    what = f"sky.footprint.path: {path}"
    if not path.is_file():
        raise ConfigurationError(f"{what}: no such file")
    if path.stat().st_size > MAX_MOC_BYTES:
        raise ConfigurationError(f"{what}: the file has {path.stat().st_size} bytes; the limit is {MAX_MOC_BYTES}")
    try:
        # Imported here because mocpy loads matplotlib, which would add half a second to every start of the workflow.
        from mocpy import MOC

        ranges = np.asarray(MOC.load(path, _kind(path)).to_depth29_ranges, dtype=np.uint64)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigurationError(f"{what}: not a coverage map of the sky in FITS, JSON or ASCII ({reason})") from None
    if (ranges > np.uint64(12 << 2 * MOC_ORDER)).any() or (ranges[:, 0] >= ranges[:, 1]).any():
        raise ConfigurationError(f"{what}: not a coverage map of the sky (it has cells that HEALPix does not have)")
    return ranges.astype(np.int64)


def _kind(path: Path) -> str:
    """Return the format of a map from its content, after checks that the reader does not make."""
    with path.open("rb") as file:
        head = file.read(80).lstrip()
    if head.startswith(b"SIMPLE"):
        return "fits"
    text = path.read_text(encoding="ascii")
    if head.startswith(b"{"):
        cells = json.loads(text)
        known = all(str(order).isdigit() and isinstance(pixels, list) for order, pixels in cells.items())
        orders = [int(order) for order in cells] if known else [-1]
    else:
        orders = [int(order) for order in re.findall(r"(\d+)\s*/", text)] or [-1]
    if not all(0 <= order <= MOC_ORDER for order in orders):
        raise ValueError(f"orders of cells must be 0 to {MOC_ORDER}")
    return "json" if head.startswith(b"{") else "ascii"

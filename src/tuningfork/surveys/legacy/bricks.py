"""The bricks of the DESI Legacy Imaging Surveys: their positions, and which of them a release has images of.

Bricks lie in rows of constant declination, 0.25 deg high and centred on multiples of 0.25 deg, so that the first and
the last row are caps around the poles. A row has the smallest even number of equal bricks that are at most 0.25 deg
wide at the row's widest. Bricks are counted from the south pole, and in each row from right ascension zero, starting at
one. (Dey et al. 2019, AJ 157, 168; https://www.legacysurvey.org/dr10/description/)
"""

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
from astropy.io import fits

from tuningfork.core.errors import InputError
from tuningfork.sky.coordinates import distance
from tuningfork.sky.shards import Shard

BRICK_SIZE = 0.25
"""Height of a brick (deg)."""
BRICK_ROWS = 721
"""Number of rows of bricks."""
IMAGE_WIDTH = 3600 * 0.262 / 3600
"""Width and height (deg) of a brick's image; neighbours overlap."""
BRICK_NAME = re.compile(r"(?P<ra>\d{4})(?P<sign>[pm])(?P<dec>\d{3})")
LEGACY_BANDS = "griz"
PRESENT_BIT = 1 << 7
"""Bit of a brick that the release contains; the bits below stand for its bands."""
ROWS_PER_READ = 4096
"""Rows of the table of bricks that are read at a time."""
COLUMN_FORMAT = re.compile(r"(\d*)([ALBIJKED])")
"""Format of a column of a FITS table."""
COLUMN_TYPES = {"L": "i1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
"""Code of the format -> type."""


@dataclass(frozen=True)
class Brick:
    """A brick.

    Attributes
    ----------
    number : int
        BRICKID of the survey, 1 to 662,174.
    name : str
        Name, such as 1126p222.
    ra, dec : float
        Centre (deg).
    unique : tuple of float
        ra_min, ra_max, dec_min, dec_max (deg) of the region in which the brick is primary.
    """

    number: int
    name: str
    ra: float
    dec: float
    unique: tuple[float, float, float, float]

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Corners of the image (deg): a square in the tangent plane (gnomonic projection) at the centre."""
        half = np.deg2rad(IMAGE_WIDTH / 2)
        east, north = half * np.array([1, -1, -1, 1]), half * np.array([-1, -1, 1, 1])
        lat = np.deg2rad(self.dec)
        depth = np.cos(lat) - north * np.sin(lat)
        ra = self.ra + np.rad2deg(np.arctan2(east, depth))
        dec = np.rad2deg(np.arctan2(np.sin(lat) + north * np.cos(lat), np.hypot(east, depth)))
        return tuple((float(x % 360), float(y)) for x, y in zip(ra, dec, strict=True))


@cache
def bricks_per_row() -> np.ndarray:
    """Return the number of bricks in each row.

    Returns
    -------
    ndarray of int
        Shape (721,), from the south pole.
    """
    widest = np.abs(-90 + BRICK_SIZE * np.arange(BRICK_ROWS)) - BRICK_SIZE / 2
    numbers = 2 * np.ceil(360 / BRICK_SIZE * np.cos(np.deg2rad(widest)) / 2).astype(int)
    numbers[[0, -1]] = 1
    return np.asarray(numbers)


@cache
def _before() -> np.ndarray:
    """Return the number of bricks in the rows south of each row, followed by the total."""
    return np.concatenate([[0], np.cumsum(bricks_per_row())])


def brick_at(row: int, column: int) -> Brick:
    """Return the brick in a row (counted from the south pole) and a column (counted from right ascension zero)."""
    width = 360 / int(bricks_per_row()[row])
    ra, dec = (column + 0.5) * width, -90 + BRICK_SIZE * row
    south, north = max(dec - BRICK_SIZE / 2, -90.0), min(dec + BRICK_SIZE / 2, 90.0)
    # Names truncate to tenths, but only after removing rounding errors: 39.5999... is 396.
    name = f"{round(ra * 1e4):07d}"[:4] + ("p" if dec >= 0 else "m") + f"{round(abs(dec) * 1e4):06d}"[:3]
    return Brick(int(_before()[row]) + column + 1, name, ra, dec, (column * width, (column + 1) * width, south, north))


def brick_named(name: str) -> Brick:
    """Return the brick called `name`.

    Raises
    ------
    InputError
        If there is no such brick.
    """
    match = BRICK_NAME.fullmatch(name)
    if match:
        dec = (-1 if match["sign"] == "m" else 1) * np.ceil(int(match["dec"]) / 10 / BRICK_SIZE) * BRICK_SIZE
        row = round((dec + 90) / BRICK_SIZE)
        if 0 <= row < BRICK_ROWS:
            nearest = int(int(match["ra"]) / 10 / 360 * int(bricks_per_row()[row]))
            for column in range(max(nearest - 1, 0), min(nearest + 2, int(bricks_per_row()[row]))):
                brick = brick_at(row, column)
                if brick.name == name:
                    return brick
    raise InputError(f"brick {name!r} of the Legacy Surveys: expected a name such as 1126p222")


def numbers_at(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return the BRICKID of the primary brick at each position.

    Parameters
    ----------
    ra, dec : ndarray
        Positions (deg), shape (N,).

    Returns
    -------
    ndarray of int
        Shape (N,).
    """
    row = np.clip(np.floor((np.asarray(dec) + 90) / BRICK_SIZE + 0.5).astype(int), 0, BRICK_ROWS - 1)
    column = np.minimum((np.asarray(ra) % 360 / 360 * bricks_per_row()[row]).astype(int), bricks_per_row()[row] - 1)
    return np.asarray(_before()[row] + column + 1)


def bricks_around(shard: Shard, margin: float) -> Iterator[Brick]:
    """Yield the bricks whose images may come within `margin` (deg) of the shard."""
    centre_ra, centre_dec = shard.centre
    reach = shard.radius + margin + IMAGE_WIDTH / 2**0.5
    low, high = (
        int(np.clip((centre_dec + side * reach + 90) / BRICK_SIZE + 0.5, 0, BRICK_ROWS - 1)) for side in (-1, 1)
    )
    for row in range(low, high + 1):
        columns = np.arange(bricks_per_row()[row])
        centres = (columns + 0.5) * 360 / bricks_per_row()[row]
        near = distance(centres, np.full(len(columns), -90 + BRICK_SIZE * row), centre_ra, centre_dec) <= reach
        for column in np.flatnonzero(near):
            yield brick_at(row, int(column))


def write_index(table: Path, index: Path) -> None:
    """Condense a release's table of bricks into one byte for each brick of the sky, in order of BRICKID.

    Parameters
    ----------
    table : Path
        survey-bricks-<release>-<region>.fits.gz, read a few rows at a time.
    index : Path
        The .npy file to write, uint8: `PRESENT_BIT`, and bit k if the k-th of `LEGACY_BANDS` has an exposure somewhere
        in the region in which the brick is primary.

    Raises
    ------
    InputError
        If the table cannot be read, or is not what it should be.
    """
    bits = np.zeros(int(bricks_per_row().sum()) + 1, dtype=np.uint8)
    try:
        with gzip.open(table) as file:
            for rows in _rows(file):
                number = numbers_at(rows["ra"], rows["dec"])
                bits[number] |= np.uint8(PRESENT_BIT)
                for position, band in enumerate(LEGACY_BANDS):
                    if f"nexphist_{band}" in (rows.dtype.names or ()):
                        seen = rows[f"nexphist_{band}"].reshape(len(rows), -1)[:, 1:].any(axis=1)
                        bits[number[seen]] |= np.uint8(1 << position)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"{table}: not the table of the bricks of a release ({error}); delete it and run again"
        ) from None
    with index.open("wb") as target:
        np.save(target, bits)


def _rows(file: IO[bytes] | gzip.GzipFile) -> Iterator[np.ndarray]:
    """Yield the rows of the first table of a FITS file, a few thousand at a time, with names in lower case."""
    fits.Header.fromfile(file)
    header = fits.Header.fromfile(file)
    if str(header.get("XTENSION", "")).strip() != "BINTABLE":
        raise ValueError("the first extension is not a table")
    dtype = np.dtype([_field(header, number) for number in range(1, int(header["TFIELDS"]) + 1)])
    if dtype.itemsize != header["NAXIS1"]:
        raise ValueError("its columns do not fill its rows")
    left = int(header["NAXIS2"])
    while left > 0:
        block = file.read(min(left, ROWS_PER_READ) * dtype.itemsize)
        if len(block) < min(left, ROWS_PER_READ) * dtype.itemsize:
            raise EOFError("it is truncated")
        left -= ROWS_PER_READ
        yield np.frombuffer(block, dtype=dtype)


def _field(header: fits.Header, number: int) -> tuple[str, str, tuple[int, ...]]:
    """Return name, type and shape of a column of a FITS table."""
    count, code = COLUMN_FORMAT.fullmatch(str(header[f"TFORM{number}"]).strip()).groups()  # type: ignore[union-attr]
    name, length = str(header[f"TTYPE{number}"]).lower(), int(count or 1)
    return (name, f"S{length}", ()) if code == "A" else (name, COLUMN_TYPES[code], (length,) if count else ())


def bands_of(index: np.ndarray, brick: Brick, bands: Sequence[str]) -> list[str] | None:
    """Return the bands in which a release has images of a brick.

    Parameters
    ----------
    index : ndarray of uint8
        See :func:`write_index`.
    brick : Brick
    bands : sequence of str
        Bands in question.

    Returns
    -------
    list of str or None
        None if the release does not contain the brick.
    """
    bits = int(index[brick.number])
    return [band for band in bands if bits >> LEGACY_BANDS.index(band) & 1] if bits & PRESENT_BIT else None

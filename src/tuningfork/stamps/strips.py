"""Read an image in horizontal strips, only where it is needed, and each row once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tuningfork.surveys.base import Image

STRIP_BYTES = 2**24
"""Size of one array of a strip."""
STRIP_TO_WINDOW_HEIGHT = 3
"""A strip is at least so many times taller than most windows, so that few rows are in two strips."""


@dataclass(frozen=True)
class Piece:
    """Rows `start` to `stop` of an image; pixels without data are zero in both arrays.

    Attributes
    ----------
    start, stop : int
    planes : tuple of ndarray
        Flux and inverse variance, (stop - start, W).
    good : bool
        Whether all pixels have data.
    """

    start: int
    stop: int
    planes: tuple[np.ndarray, np.ndarray]
    good: bool

    @classmethod
    def read(cls, image: Image, start: int, stop: int) -> "Piece":
        """Read rows of an image and put zeros where there are no data.

        Parameters
        ----------
        image : Image
        start, stop : int
            First row, and the row after the last.

        Returns
        -------
        Piece

        Raises
        ------
        InputError
            The image turns out to be damaged.
        """
        flux, weight = image.rows(start, stop)
        # A sum or an extreme is not finite if one of the values is not: much faster than a test of each.
        some = weight if any(weight.strides) else weight[:1, :1]
        good = bool(some.min() > 0 and np.isfinite(some.max()) and np.isfinite(flux.sum()))
        if not good:
            valid = (weight > 0) & np.isfinite(weight) & np.isfinite(flux)
            good = bool(valid.all())
            flux, weight = np.where(valid, flux, np.float32(0)), np.where(valid, weight, np.float32(0))
        return cls(start, stop, (flux, weight), good)


class Strip:
    """Consecutive rows of an image.

    Parameters
    ----------
    pieces : list of Piece
        In order, without gaps.
    width : int
        Of the image.
    """

    def __init__(self, pieces: list[Piece], width: int) -> None:
        self.pieces = pieces
        self.width = width

    @property
    def good(self) -> bool:
        """Whether all pixels have data."""
        return all(piece.good for piece in self.pieces)

    def copy(self, left: int, bottom: int, out: np.ndarray) -> None:
        """Copy a rectangle of the image; it is zero beyond the strip.

        Parameters
        ----------
        left, bottom : int
            Column and row of the rectangle's first pixel.
        out : ndarray
            Takes the rectangle: (2, h, w) for flux and inverse variance, or (1, h, w) for flux.
        """
        planes, height, width = out.shape
        if 0 <= left <= self.width - width:
            for piece in self.pieces:
                low = bottom - piece.start
                if low >= 0 and bottom + height <= piece.stop:
                    for plane in range(planes):
                        out[plane] = piece.planes[plane][low : low + height, left : left + width]
                    return
        out[:] = 0
        first, last = max(left, 0), min(left + width, self.width)
        for piece in self.pieces:
            low, high = max(bottom, piece.start), min(bottom + height, piece.stop)
            if low < high and first < last:
                for plane in range(planes):
                    out[plane, low - bottom : high - bottom, first - left : last - left] = piece.planes[plane][
                        low - piece.start : high - piece.start, first:last
                    ]


def strips(image: Image, low: np.ndarray, high: np.ndarray) -> Iterator[tuple[Strip, np.ndarray]]:
    """Read the rows that some windows need, from the first to the last.

    Parameters
    ----------
    image : Image
    low, high : ndarray of int
        First row of each window and the row after its last, (N,); they may lie beyond the image.

    Yields
    ------
    strip : Strip
    windows : ndarray of int
        Indices of the windows whose rows in the image lie in the strip.

    Raises
    ------
    InputError
        The image turns out to be damaged.
    """
    height, width = image.shape
    low, high = np.clip(low, 0, height), np.clip(high, 0, height)
    order = np.flatnonzero(low < high)
    order = order[np.argsort(low[order], kind="stable")]
    if not order.size:
        return
    # Not of the tallest: one large galaxy would make all strips of a wide tile large.
    rows = max(STRIP_BYTES // (4 * width), STRIP_TO_WINDOW_HEIGHT * int(np.median((high - low)[order])))
    pieces: list[Piece] = []
    done = 0
    while done < len(order):
        begin = int(low[order[done]])
        group = _group(low[order[done:]], high[order[done:]], rows)
        windows = order[done : done + group]
        end = int(high[windows].max())
        pieces = [piece for piece in pieces if piece.stop > begin]
        start = max(begin, pieces[-1].stop) if pieces else begin
        if start < end:
            pieces.append(Piece.read(image, start, end))
        yield Strip(pieces, width), windows
        done += group


def _group(low: np.ndarray, high: np.ndarray, rows: int) -> int:
    """Return how many windows, in order of `low`, are read together: without a gap and within `rows`."""
    reach = np.maximum.accumulate(high)
    fits = reach <= max(low[0] + rows, high[0])
    joined = np.concatenate([[True], low[1:] <= reach[:-1]])
    stops = np.flatnonzero(~(fits & joined))
    return int(stops[0]) if stops.size else len(low)

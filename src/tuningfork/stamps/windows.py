"""The pixels of an image that make the stamps of some sources, and how to cut them."""

from dataclasses import dataclass

import numpy as np

from tuningfork.stamps.cut import MAX_COPY_OFFSET, Mapping, extract
from tuningfork.stamps.rescale import rescale
from tuningfork.stamps.strips import Strip

PIXELS_BEFORE, PIXELS_AFTER = 2, 4
"""Rows and columns beyond a stamp's that interpolation needs."""
MAX_WINDOW_WIDTH = 8192
"""Width (pixel) beyond which a rectangle is not taken from an image: its coordinates are not what they should be."""
WINDOW_CORNERS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])


@dataclass(frozen=True)
class Windows:
    """Where stamps lie in an image.

    A stamp is first cut on the pixels of its best tile, `span` of them across, and then put on its own pixels.

    Attributes
    ----------
    start : ndarray
        Pixel position (x, y) in the image of the first of the tile's pixels, (M, 2).
    turn : ndarray
        Change of (x, y) for one step along the tile's columns and rows, (M, 2, 2).
    span : ndarray of int
        (M,).
    width : ndarray
        Width of the stamp's pixels in those of the tile, (M,).
    offset : ndarray
        (x, y) of the source less that of the tile's pixel which holds it, (M, 2).
    copied : ndarray of bool
        Whether the tile's pixels are pixels of the image.
    first, last : ndarray of int
        The rectangle of the image that is needed: (x, y) of its first pixel and of the one after its last, (M, 2).
        It may reach beyond the image.
    """

    start: np.ndarray
    turn: np.ndarray
    span: np.ndarray
    width: np.ndarray
    offset: np.ndarray
    copied: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def on_grid(cls, corner: np.ndarray, span: np.ndarray, width: np.ndarray, offset: np.ndarray) -> "Windows":
        """Return the windows of stamps in the tile itself.

        Parameters
        ----------
        corner : ndarray of int
            First pixel (x, y) of each stamp, (M, 2).
        span : ndarray of int
            Pixels of the tile across each stamp, (M,).
        width : ndarray
            Width of the stamps' pixels in those of the tile, (M,).
        offset : ndarray
            (x, y) of each source less that of the pixel which holds it, (M, 2).

        Returns
        -------
        Windows
        """
        turn = np.broadcast_to(np.eye(2), (len(span), 2, 2))
        return cls(corner, turn, span, width, offset, np.ones(len(span), bool), corner, corner + span[:, None])

    @classmethod
    def mapped(
        cls, start: np.ndarray, turn: np.ndarray, span: np.ndarray, width: np.ndarray, offset: np.ndarray
    ) -> "Windows":
        """Return the windows of stamps in another image, in which they may be turned and stretched.

        Parameters
        ----------
        start : ndarray
            Pixel position (x, y) in the image of the first of the tile's pixels, (M, 2).
        turn : ndarray
            Change of (x, y) for one step along the tile's columns and rows, (M, 2, 2).
        span, width, offset : ndarray
            As in :meth:`on_grid`.

        Returns
        -------
        Windows
        """
        nearest = np.rint(start)
        off = np.abs(turn - np.eye(2)).sum(axis=2).max(axis=1, initial=0) * span / 2
        copied = (np.abs(start - nearest).max(axis=1, initial=0) < MAX_COPY_OFFSET) & (off < MAX_COPY_OFFSET)
        ends = start[:, None] + np.einsum("nij,kj->nki", turn, WINDOW_CORNERS) * (span[:, None, None] - 1)
        first = np.where(copied[:, None], nearest, np.floor(ends.min(axis=1)) - PIXELS_BEFORE)
        last = np.where(copied[:, None], nearest + span[:, None], np.floor(ends.max(axis=1)) + PIXELS_AFTER)
        last = np.where((last - first > MAX_WINDOW_WIDTH).any(axis=1, keepdims=True), first, last)
        return cls(start, turn, span, width, offset, copied, first.astype(np.int64), last.astype(np.int64))

    def cut(self, strip: Strip, chosen: np.ndarray, out: np.ndarray) -> None:
        """Cut some stamps from a strip.

        Parameters
        ----------
        strip : Strip
        chosen : ndarray of int
            Indices of the windows, (K,).
        out : ndarray
            Takes the stamps: flux and inverse variance (K, 2, S, S), or flux alone (K, 1, S, S).
        """
        plain = (self.copied[chosen] & (self.width[chosen] == 1)).tolist()
        for stamp, index, simple, (left, bottom) in zip(
            out, chosen.tolist(), plain, self.first[chosen].tolist(), strict=True
        ):
            if simple:
                strip.copy(left, bottom, stamp)
            else:
                stamp[:] = self._resampled(strip, index, out.shape[-1])[: out.shape[1]]

    def _resampled(self, strip: Strip, index: int, size: int) -> np.ndarray:
        """Return one stamp on its own pixels, (2, size, size)."""
        native = self._native(strip, index)
        if self.width[index] == 1:
            return native
        x, y = self.offset[index].tolist()
        return np.stack(rescale(native[0], native[1], float(self.width[index]), (x, y), size))

    def _native(self, strip: Strip, index: int) -> np.ndarray:
        """Return one stamp on the pixels of its tile, (2, span, span)."""
        first, span = self.first[index], int(self.span[index])
        wide, high = (self.last[index] - first).tolist()
        window = np.empty((2, high, wide), np.float32)
        strip.copy(int(first[0]), int(first[1]), window)
        if self.copied[index]:
            return window
        x, y = (self.start[index] - first).tolist()
        return extract(window[0], window[1], Mapping(x, y, self.turn[index]), span)

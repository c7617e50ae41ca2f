"""From the pixels of an image to the finished stamps of one band in the store, many at a time."""

import numpy as np

from tuningfork.sky.coordinates import directions
from tuningfork.stamps import quality
from tuningfork.stamps.state import State
from tuningfork.stamps.store import StampStore
from tuningfork.stamps.strips import Strip
from tuningfork.stamps.windows import Windows

BATCH = 16
"""Stamps at a time; they stay in the processor's cache until they are in the store."""


class Finisher:
    """Cuts stamps, looks at their pixels and writes them.

    Parameters
    ----------
    store : StampStore
    state : State
        What the pixels say is put there.
    reference : int
        Place of the reference band.
    """

    def __init__(self, store: StampStore, state: State, reference: int) -> None:
        self.store = store
        self.state = state
        self.reference = reference
        self.size = store.shape[-1]
        self._buffer = np.empty((BATCH, 2, self.size, self.size), np.float32)

    def cut(self, strip: Strip, windows: Windows, factor: np.ndarray | None = None) -> np.ndarray:
        """Return the stamps (K, 2, S, S) of at most `BATCH` windows; the next call overwrites them.

        Parameters
        ----------
        strip : Strip
        windows : Windows
        factor : ndarray, optional
            By which the flux of each is multiplied, (K,).
        """
        stamps = self._buffer[: len(windows.span)]
        windows.cut(strip, stamps)
        if factor is not None and (factor != 1).any():
            factor = factor.astype(np.float32)[:, None, None]
            stamps[:, 0] *= factor
            stamps[:, 1] /= factor**2
        return stamps

    def count_valid(self, stamps: np.ndarray, whole: bool) -> np.ndarray:
        """Return how many pixels of each stamp (K, 2, S, S) have data; all of them, if the caller knows: `whole`."""
        if whole:
            return np.full(len(stamps), self.size**2)
        return quality.count_valid(stamps[:, 1])

    def keep(self, sources: np.ndarray, band: int, stamps: np.ndarray, valid: np.ndarray, psf_fwhm: np.ndarray) -> None:
        """Write one band of some stamps and remember what their pixels say.

        Parameters
        ----------
        sources : ndarray of int
            (K,).
        band : int
        stamps : ndarray
            float32 (K, 2, S, S).
        valid : ndarray of int
            How many pixels of each have data, (K,).
        psf_fwhm : ndarray
            In arcsec, (K,).
        """
        state = self.state
        state.valid[sources, band] = valid / self.size**2
        state.noise[sources, band] = noise = quality.sky_noise(stamps[:, 1])
        state.psf_fwhm[sources, band] = psf_fwhm
        if band == self.reference:
            scale = directions(state.matrix[sources])[0] * state.step[sources]
            state.masked[sources] = False
            some = np.flatnonzero(valid < self.size**2)
            if some.size:
                state.masked[sources[some]] = quality.masked_at_centre(stamps[some, 1], scale[some])
            state.signal[sources] = quality.has_signal(stamps[:, 0], stamps[:, 1], noise, scale, psf_fwhm)
        filled = valid > 0
        write = filled | state.written[sources, band]
        state.written[sources, band] = filled
        for place in np.flatnonzero(write).tolist():
            self.store.write(int(sources[place]), band, stamps[place])

    def clear(self, sources: np.ndarray, bands: list[int]) -> None:
        """Put zeros into some bands of some stamps, where the store holds something else."""
        nothing = np.zeros((2, self.size, self.size), np.float32)
        for band in bands:
            for source in sources[self.state.written[sources, band]].tolist():
                self.store.write(source, band, nothing)
            self.state.written[sources, band] = False

"""From the pixels of an image to the finished stamps of one band in the store, many at a time."""

import numpy as np

from tuningfork.stamps import quality
from tuningfork.stamps.state import State
from tuningfork.stamps.store import StampStore
from tuningfork.stamps.strips import Strip
from tuningfork.stamps.windows import Windows

STAMPS_PER_BATCH = 32
"""Stamps at a time; they stay in the processor's cache until they are in the store."""


class Finisher:
    """Cuts stamps, examines their pixels and writes them.

    Parameters
    ----------
    store : StampStore
        With flux and inverse variance; or with flux alone, and then the stamps are not described.
    state : State
        Takes what is learned from the pixels.
    reference : int
        Index of the reference band.
    """

    def __init__(self, store: StampStore, state: State, reference: int) -> None:
        self.store = store
        self.state = state
        self.reference = reference
        _, self.planes, _, self.size, _ = store.shape
        self._buffer = np.empty((STAMPS_PER_BATCH, self.planes, self.size, self.size), np.float32)

    def cut(self, strip: Strip, windows: Windows, chosen: np.ndarray, factor: np.ndarray | None = None) -> np.ndarray:
        """Return the stamps of at most `STAMPS_PER_BATCH` windows; the next call overwrites them.

        Parameters
        ----------
        strip : Strip
        windows : Windows
        chosen : ndarray of int
            Indices of the windows, (K,).
        factor : ndarray, optional
            Factor for the flux of each, (K,).

        Returns
        -------
        ndarray
            float32 (K, P, S, S).
        """
        stamps = self._buffer[: len(chosen)]
        windows.cut(strip, chosen, stamps)
        if factor is not None and (factor != 1).any():
            factor = factor.astype(np.float32)[:, None, None]
            stamps[:, 0] *= factor
            stamps[:, 1:] /= factor[:, None] ** 2
        return stamps

    def count_valid(self, stamps: np.ndarray, whole: bool = False) -> np.ndarray:
        """Return how many pixels of each stamp have data.

        Parameters
        ----------
        stamps : ndarray
            (K, P, S, S); the last plane is zero where there are no data.
        whole : bool
            Whether the caller knows that all pixels have data.

        Returns
        -------
        ndarray of int
            (K,).
        """
        if whole:
            return np.full(len(stamps), self.size**2)
        return np.array([np.count_nonzero(plane) for plane in stamps[:, -1]], dtype=np.int64)

    def keep(self, sources: np.ndarray, band: int, stamps: np.ndarray, valid: np.ndarray, psf_fwhm: np.ndarray) -> None:
        """Write one band of some stamps and remember the properties of their pixels.

        Parameters
        ----------
        sources : ndarray of int
            (K,).
        band : int
            Index of the band.
        stamps : ndarray
            float32 (K, P, S, S).
        valid : ndarray of int
            How many pixels of each have data, (K,).
        psf_fwhm : ndarray
            Full width at half maximum of the PSF (arcsec), (K,).
        """
        state = self.state
        state.valid[sources, band], state.psf_fwhm[sources, band] = valid / self.size**2, psf_fwhm
        if self.planes > 1:
            self._describe(sources, band, stamps)
        filled = valid > 0
        written, state.written[sources, band] = state.written[sources, band], filled
        for source, stamp, write in zip(sources.tolist(), stamps, (filled | written).tolist(), strict=True):
            if write:
                self.store.write(source, band, stamp)

    def _describe(self, sources: np.ndarray, band: int, stamps: np.ndarray) -> None:
        state, (flux, weight) = self.state, np.moveaxis(stamps, 1, 0)
        state.noise[sources, band] = noise = quality.sky_noise(weight)
        if band == self.reference:
            scale = state.scale[sources]
            state.signal[sources] = quality.has_signal(flux, weight, noise, scale, state.psf_fwhm[sources, band])
            state.masked[sources] = False
            incomplete = np.flatnonzero(state.valid[sources, band] < 1)
            if incomplete.size:
                state.masked[sources[incomplete]] = quality.masked_at_centre(weight[incomplete], scale[incomplete])

    def clear(self, sources: np.ndarray, bands: list[int]) -> None:
        """Write zeros into some bands of some stamps, where the store holds anything else.

        Parameters
        ----------
        sources : ndarray of int
            (K,).
        bands : list of int
            Indices of the bands.
        """
        zeros = np.zeros((self.planes, self.size, self.size), np.float32)
        for band in bands:
            for source in sources[self.state.written[sources, band]].tolist():
                self.store.write(source, band, zeros)
            self.state.written[sources, band] = False

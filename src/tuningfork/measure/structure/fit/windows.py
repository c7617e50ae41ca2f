"""Windows of the fits: galaxies that need the same part of a stamp and the same frequencies are fitted together."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tuningfork.measure.structure.fit.psf import Psf
from tuningfork.measure.structure.fit.settings import FitSettings

WINDOW_WIDTHS = (64, 96, 128, 160, 192, 256, 320, 384, 512)
"""Widths (pixel) for which the FFT is fast."""
MIN_ALIASED_AMPLITUDE = 1e-2
"""Amplitude of the PSF at Nyquist's frequency above which aliases are drawn; smaller amplitudes bias every parameter by
less than 0.02 %."""


def groups(
    start: np.ndarray, psf: Psf, size: int, usable: np.ndarray, settings: FitSettings
) -> list[tuple[tuple[int, float], np.ndarray]]:
    """Return the pairs of window (pixel) and reach, each with the rows of the galaxies that share it.

    Parameters
    ----------
    start : ndarray
        (N, 5), see :func:`~tuningfork.measure.structure.fit.profiles.fit_profiles`.
    psf : Moffat or PsfImages
    size : int
        Width of the stamps (pixel).
    usable : ndarray
        bool (N,); all other galaxies are in no group.
    settings : FitSettings

    Returns
    -------
    list of tuple
        Each is (window, reach) and the rows of its galaxies.
    """
    width = np.full(len(start), size + size % 2)
    if settings.crop:
        width = np.array([_next(needed, size) for needed in np.where(usable, widths_needed(start, psf), 0)])
    keys = np.stack([width, reach_of(psf)], axis=1)
    pairs = np.unique(keys[usable], axis=0)
    return [((int(w), float(r)), np.flatnonzero(usable & (keys == (w, r)).all(axis=1))) for w, r in pairs]


def widths_needed(start: np.ndarray, psf: Psf) -> np.ndarray:
    """Return the widths (pixel) of the windows that the galaxies need.

    Parameters
    ----------
    start : ndarray
        (N, 5), see :func:`~tuningfork.measure.structure.fit.profiles.fit_profiles`.
    psf : Moffat or PsfImages

    Returns
    -------
    ndarray
        (N,)
    """
    return np.asarray(16 * np.exp(start[:, 1]) + 6 * psf.fwhm())


def reach_of(psf: Psf) -> np.ndarray:
    """Return the highest frequency that each PSF transmits, in units of Nyquist's: 1, or 2 with aliases.

    Returns
    -------
    ndarray
        (N,)
    """
    return np.where(psf.reach(MIN_ALIASED_AMPLITUDE) > np.pi, 2.0, 1.0)


def cut(images: np.ndarray, rows: np.ndarray, width: int, device: torch.device) -> Tensor:
    """Return the central windows of stamps; they are zero beyond the stamp.

    Parameters
    ----------
    images : ndarray
        (N, S, S)
    rows : ndarray
        (M,) rows of the images that are cut.
    width : int
        Width of the windows (pixel).
    device : torch.device

    Returns
    -------
    Tensor
        (M, width, width)
    """
    size = images.shape[-1]
    first = size // 2 - width // 2
    inside = slice(max(first, 0), min(first + width, size))
    part = np.ascontiguousarray(images[rows, inside, inside])
    if part.shape[-1] < width:
        before = max(-first, 0)
        margin = (before, width - part.shape[-1] - before)
        part = np.pad(part, ((0, 0), margin, margin))
    return torch.from_numpy(part).to(device)


def _next(needed: float, size: int, choices: Sequence[int] = WINDOW_WIDTHS) -> int:
    """Return the smallest window that is wide enough, or the whole stamp."""
    return next((width for width in choices if needed <= width < size), size + size % 2)

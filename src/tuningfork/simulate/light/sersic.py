"""The Fourier amplitude of the Sersic (1968) profile for any index, by one logarithmic Hankel transform.

GalSim takes a tenth of a second for each new index; the transform of Hamilton (2000, MNRAS 312, 257) takes half a
millisecond and agrees with GalSim within some parts in a million, so indices need not be rounded.
"""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from scipy import special
from scipy.fft import fht, fhtoffset

from tuningfork.simulate.light.interpolation import interpolate_evenly

N_RANGE = (0.2, 8.0)
"""Sersic indices that can be drawn."""
LOG_RADIUS = (-14.0, 12.0)
RADIUS_POINTS = 4096
TRANSFORM_BIAS = -0.4
"""Of the transform; it keeps the cusp of a high index from leaking round the ends of the logarithmic grid."""
LOG_K_RANGE = (-7.5, 8.0)
LOG_N_STEP = 0.02


@dataclass(frozen=True)
class SersicTable:
    """Fourier amplitudes of round Sersic profiles of unit flux and unit half-light radius, on an even grid.

    Attributes
    ----------
    log_n : ndarray
        ln(n), shape (N,), evenly spaced.
    log_k : ndarray
        ln(k r_eff), shape (K,), evenly spaced.
    values : ndarray
        float32 (N, K).
    """

    log_n: np.ndarray
    log_k: np.ndarray
    values: np.ndarray

    def amplitude(self, n: float, squared: np.ndarray) -> np.ndarray:
        """Return the Fourier amplitude of a profile.

        Parameters
        ----------
        n : float
            Sersic index.
        squared : ndarray
            Squares of k r_eff, float32, any shape.

        Returns
        -------
        ndarray
            float32, of the shape of `squared`.

        Raises
        ------
        ValueError
            The index lies outside `N_RANGE`.
        """
        low, high = N_RANGE
        if not low * (1 - 1e-6) <= n <= high * (1 + 1e-6):
            raise ValueError(f"a Sersic index of {n}: expected {low} to {high}")
        index_position = np.clip((np.log(n) - self.log_n[0]) / (self.log_n[1] - self.log_n[0]), 0, len(self.log_n) - 1)
        below = min(int(index_position), len(self.log_n) - 2)
        row = self.values[below] + np.float32(index_position - below) * (self.values[below + 1] - self.values[below])
        step = self.log_k[1] - self.log_k[0]
        position = np.log(np.maximum(squared, np.float32(1e-30)))
        position *= np.float32(0.5 / step)
        position -= np.float32(self.log_k[0] / step)
        return interpolate_evenly(row, position)


def sersic_b(n: float | np.ndarray) -> np.ndarray:
    """Return b(n) of the Sersic profile, for which r_eff holds half of the light.

    Parameters
    ----------
    n : float or ndarray
        Sersic index.

    Returns
    -------
    ndarray
        Of the shape of `n`.
    """
    return np.asarray(special.gammaincinv(2 * np.asarray(n, dtype=float), 0.5))


def sersic_beyond(n: float | np.ndarray, radius: float | np.ndarray) -> np.ndarray:
    """Return the fraction of the light of a Sersic profile beyond a radius.

    Parameters
    ----------
    n : float or ndarray
        Sersic index.
    radius : float or ndarray
        In units of r_eff.

    Returns
    -------
    ndarray
    """
    n = np.asarray(n, dtype=float)
    return np.asarray(special.gammaincc(2 * n, sersic_b(n) * np.asarray(radius) ** (1 / n)))


@lru_cache(maxsize=512)
def sersic_amplitude(n: float) -> np.ndarray:
    """Return the Fourier amplitude at the wave numbers of :func:`log_wave_numbers`.

    Parameters
    ----------
    n : float
        Sersic index.

    Returns
    -------
    ndarray
        float64 (K,).
    """
    b = float(sersic_b(n))
    step = (LOG_RADIUS[1] - LOG_RADIUS[0]) / (RADIUS_POINTS - 1)
    radius = np.exp(LOG_RADIUS[0] + step * np.arange(RADIUS_POINTS))
    centre = b ** (2 * n) / (2 * np.pi * n * special.gamma(2 * n))
    ring = radius * centre * np.exp(-b * radius ** (1 / n))
    transform = fht(ring, step, 0, offset=fhtoffset(step, mu=0, bias=TRANSFORM_BIAS), bias=TRANSFORM_BIAS)
    wave, kept = _grid()
    return np.asarray(2 * np.pi * transform[kept] / np.exp(wave))


def log_wave_numbers() -> np.ndarray:
    """Return the wave numbers at which amplitudes are known.

    Returns
    -------
    ndarray
        ln(k r_eff), evenly spaced, (K,).
    """
    return _grid()[0]


@cache
def _grid() -> tuple[np.ndarray, slice]:
    step = (LOG_RADIUS[1] - LOG_RADIUS[0]) / (RADIUS_POINTS - 1)
    wave = fhtoffset(step, mu=0, bias=TRANSFORM_BIAS) - LOG_RADIUS[1] + step * np.arange(RADIUS_POINTS)
    first, last = np.searchsorted(wave, LOG_K_RANGE)
    return wave[first:last], slice(int(first), int(last))


@cache
def sersic_table() -> SersicTable:
    """Return the amplitudes of all indices in `N_RANGE`, in steps small enough for linear interpolation."""
    low, high = np.log(N_RANGE)
    log_n = np.linspace(low, high, int(np.ceil((high - low) / LOG_N_STEP)) + 1)
    values = np.stack([sersic_amplitude(float(n)) for n in np.exp(log_n)]).astype(np.float32)
    return SersicTable(log_n, log_wave_numbers(), values)

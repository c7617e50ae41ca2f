"""Colours of stellar populations: the flux of each band relative to the reference band."""

from collections.abc import Sequence

import numpy as np

WAVELENGTHS = {
    "u": 355.0,
    "b": 440.0,
    "g": 475.0,
    "v": 550.0,
    "r": 622.0,
    "i": 763.0,
    "z": 905.0,
    "y": 1020.0,
    "j": 1250.0,
    "h": 1650.0,
    "k": 2150.0,
    "vis": 715.0,
}
"""Effective wavelength (nm) of the band of this name, or of the bands whose name begins with the letter."""

SPECTRUM_WAVELENGTHS = np.array([355.0, 475.0, 622.0, 763.0, 905.0, 1250.0, 2150.0])
# AB magnitude relative to r, after the galaxy colours of Fukugita+ (1995): E, Sbc, Im.
SPECTRA = {
    "old": np.array([2.50, 0.77, 0.0, -0.39, -0.70, -1.15, -1.35]),
    "disc": np.array([1.95, 0.60, 0.0, -0.32, -0.55, -0.90, -1.00]),
    "young": np.array([1.20, 0.32, 0.0, -0.14, -0.22, -0.40, -0.35]),
    "dust": np.array([1.50, 0.40, 0.0, -0.20, -0.33, -0.50, -0.40]),
}
"""Spectral shapes by name; `dust` is the disc light that a dust lane takes away, more in the blue."""


def wavelengths(bands: Sequence[str]) -> np.ndarray:
    """Return the effective wavelength of each band; bands of unknown name are spread evenly from g to z.

    Parameters
    ----------
    bands : sequence of str
        B of them.

    Returns
    -------
    ndarray
        nm, (B,).
    """
    spread = np.linspace(475, 905, len(bands))
    known = [WAVELENGTHS.get(band.lower(), WAVELENGTHS.get(band[:1].lower())) for band in bands]
    return np.array([spread[band] if wave is None else wave for band, wave in enumerate(known)])


def relative_fluxes(population: str, bands: Sequence[str], reference: int, reddening: float = 0.0) -> np.ndarray:
    """Return the flux in each band relative to the reference band.

    Parameters
    ----------
    population : str
        A key of `SPECTRA`.
    bands : sequence of str
    reference : int
        Index of the reference band.
    reddening : float
        Magnitudes by which the colour g - r is redder than the population's.

    Returns
    -------
    ndarray
        (B,).
    """
    wave = wavelengths(bands)
    magnitude = np.interp(wave, SPECTRUM_WAVELENGTHS, SPECTRA[population]) + reddening * np.log(622 / wave) / np.log(
        622 / 475
    )
    return 10 ** (-0.4 * (magnitude - magnitude[reference]))

"""Read a corrected frame of SDSS, Data Release 8 or later.

The file holds the sky-subtracted image in nanomaggies, the calibration vector (nanomaggies per count and column)
and a coarse image of the sky in counts with the places at which to interpolate it. From these follow the counts
that the detector saw, and from the counts the noise, as the data model of the frame files explains
(https://data.sdss.org/datamodel/files/BOSS_PHOTOOBJ/frames/RERUN/RUN/CAMCOL/frame.html).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.surveys.background import sky_level_and_noise

GAIN = {
    1: {"u": 1.62, "g": 3.32, "r": 4.71, "i": 5.165, "z": 4.745},
    2: {"u": 1.595, "g": 3.855, "r": 4.6, "i": 6.565, "z": 5.155},
    3: {"u": 1.59, "g": 3.845, "r": 4.72, "i": 4.86, "z": 4.885},
    4: {"u": 1.6, "g": 3.995, "r": 4.76, "i": 4.885, "z": 4.775},
    5: {"u": 1.47, "g": 4.05, "r": 4.725, "i": 4.64, "z": 3.48},
    6: {"u": 2.17, "g": 4.035, "r": 4.895, "i": 4.76, "z": 4.69},
}
"""Photo-electrons per count, by camera column and band (data model of the frame files)."""
DARK_VARIANCE = {
    1: {"u": 9.61, "g": 15.6025, "r": 1.8225, "i": 7.84, "z": 0.81},
    2: {"u": 12.6025, "g": 1.44, "r": 1.0, "i": 5.76, "z": 1.0},
    3: {"u": 8.7025, "g": 1.3225, "r": 1.3225, "i": 4.6225, "z": 1.0},
    4: {"u": 12.6025, "g": 1.96, "r": 1.3225, "i": 6.25, "z": 9.61},
    5: {"u": 9.3025, "g": 1.1025, "r": 0.81, "i": 7.84, "z": 1.8225},
    6: {"u": 7.0225, "g": 1.8225, "r": 0.9025, "i": 5.0625, "z": 1.21},
}
"""Variance of read-out noise and dark current (counts^2); the small changes of run 1500 are left out."""
SATURATION = 20_000.0
"""Counts above which a pixel may be saturated: below the lowest full well of the CCDs (23,650 in i of column 4)."""
WCS_KEYS = (
    "CTYPE1",
    "CTYPE2",
    "CUNIT1",
    "CUNIT2",
    "CRPIX1",
    "CRPIX2",
    "CRVAL1",
    "CRVAL2",
    "CD1_1",
    "CD1_2",
    "CD2_1",
    "CD2_2",
)


def read_frame(path: Path, band: str, camcol: int) -> tuple[np.ndarray, np.ndarray, WCS]:
    """Return image (nanomaggies), inverse variance and WCS of the frame file `path`.

    Raises
    ------
    InputError
        The file cannot be read or is no frame of this band.
    """
    try:
        with fitsio.FITS(str(path)) as file:
            header = file[0].read_header()
            pixels = file[0].read()
            calibration = file[1].read() if len(file) > 2 else None
            sky = file[2].read(lower=True) if len(file) > 2 else None
    except OSError as error:
        raise InputError(
            f"{path}: no readable FITS file ({' '.join(str(error).split())}); delete it and run again"
        ) from None
    if pixels is None or pixels.ndim != 2 or str(header.get("FILTER", band)).strip() != band:
        raise InputError(
            f"{path}: expected an SDSS frame of the band {band}, found another FITS file; delete it and run again"
        )
    missing = [key for key in WCS_KEYS if key not in header]
    if missing:
        raise InputError(f"{path}: the header has no {missing[0]}; delete the file and run again")
    wcs = WCS({key: header[key] for key in WCS_KEYS})
    pixels = pixels.astype(np.float32)
    return pixels, inverse_variance(pixels, calibration, sky, GAIN[camcol][band], DARK_VARIANCE[camcol][band]), wcs


def inverse_variance(
    pixels: np.ndarray,
    calibration: np.ndarray | None,
    sky: Mapping[str, Any] | np.ndarray | None,
    gain: float,
    dark: float,
) -> np.ndarray:
    """Return the inverse variance (1/nanomaggies^2) of a frame.

    Parameters
    ----------
    pixels : ndarray
        Image (H, W) in nanomaggies.
    calibration : ndarray or None
        Nanomaggies per count in each column (W,).
    sky : record array or None
        One row with `allsky` (counts), `xinterp` (W,) and `yinterp` (H,).
    gain : float
        Photo-electrons per count.
    dark : float
        Read-out and dark variance (counts^2).

    Returns
    -------
    ndarray
        float32 (H, W), zero where a pixel is saturated or not finite. Without calibration or sky the noise is that
        which the image shows.
    """
    good = np.isfinite(pixels)
    if calibration is None or sky is None or calibration.shape != pixels.shape[1:]:
        _, noise = sky_level_and_noise(pixels[good])
        return np.where(good, np.float32(1 / noise**2), np.float32(0))
    factor = calibration[None, :].astype(np.float32)
    counts = pixels / factor + _interpolate(sky, pixels.shape)
    variance = (np.clip(counts, 0, None) / gain + dark) * factor**2
    good &= (counts < SATURATION) & np.isfinite(variance) & (variance > 0)
    return np.divide(1, variance, out=np.zeros_like(pixels), where=good)


def _interpolate(sky: Mapping[str, Any] | np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    coarse = np.asarray(sky["allsky"], dtype=np.float32)
    coarse = coarse.reshape(coarse.shape[-2:])
    columns, rows = np.ravel(sky["xinterp"]), np.ravel(sky["yinterp"])
    if (len(rows), len(columns)) != shape:
        # A frame that was cut keeps the places of the whole frame; the sky hardly varies.
        return np.full(shape, np.median(coarse), dtype=np.float32)
    return _linear(_linear(coarse, columns, 1), rows, 0)


def _linear(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Interpolate along one axis; beyond the ends the value of the end is kept."""
    places = np.clip(places, 0, values.shape[axis] - 1)
    low = np.minimum(places.astype(int), values.shape[axis] - 2)
    part = (places - low).astype(np.float32)
    part = part[:, None] if axis == 0 else part
    return np.asarray(np.take(values, low, axis) * (1 - part) + np.take(values, low + 1, axis) * part)

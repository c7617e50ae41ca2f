"""Read a coadded tile of the Dark Energy Survey: image (SCI), mask (MSK) and inverse variance (WGT) in one packed file.

The mask is set where no exposure had a good pixel and the image was interpolated (Morganson et al. 2018, PASP 130,
074501).
"""

from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.surveys.base import Image

LARGEST = 2**28
"""Pixels of the largest image that is accepted; tiles have 10,000 x 10,000."""
EXTENSIONS = ("SCI", "MSK", "WGT")
NUMBERS = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")


def open_coadd(path: Path, band: str, psf_fwhm: float) -> Image:
    """Open one band of a tile.

    Parameters
    ----------
    path : Path
    band : str
        The band that it should be of.
    psf_fwhm : float
        Full width at half maximum of the PSF (arcsec).

    Raises
    ------
    InputError
        The file cannot be read, is of another band, or lacks what the format demands.
    """

    def fault(reason: object) -> InputError:
        return InputError(f"{path}: not a coadded tile of DES ({reason}); delete it and run again")

    try:
        file = fitsio.FITS(str(path))
        planes = {name: file[name] for name in EXTENSIONS}
        header = planes["SCI"].read_header()
        shapes = {tuple(plane.get_dims()) for plane in planes.values()}
        numbers = {key: float(header[key]) for key in (*NUMBERS, "MAGZERO")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise fault(error) from None
    if len(shapes) != 1 or len(shape := shapes.pop()) != 2 or shape[0] * shape[1] > LARGEST:
        raise fault(f"shapes of {', '.join(EXTENSIONS)}: {[tuple(plane.get_dims()) for plane in planes.values()]}")
    if str(header.get("BAND", band)).strip() != band:
        raise fault(f"expected the band {band}, found {header['BAND']!r}")

    def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        try:
            pixels, mask, weight = (planes[name][start:stop, :] for name in EXTENSIONS)
        except (OSError, ValueError) as error:
            raise fault(error) from None
        good = np.isfinite(pixels) & (mask == 0) & np.isfinite(weight) & (weight > 0)
        zero = np.float32(0)
        return np.where(good, pixels, zero).astype(np.float32), np.where(good, weight, zero).astype(np.float32)

    wcs = _wcs(header, numbers)
    if wcs is None:
        raise fault("no coordinates of the sky")
    size = int(shape[0]), int(shape[1])
    return Image(size, rows, wcs, lambda x, y: np.full(np.shape(x), psf_fwhm), numbers["MAGZERO"])


def _wcs(header: Any, numbers: dict[str, float]) -> WCS | None:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [str(header.get(f"CTYPE{axis}", "")).strip() for axis in (1, 2)]
    wcs.wcs.crval = [numbers["CRVAL1"], numbers["CRVAL2"]]
    wcs.wcs.crpix = [numbers["CRPIX1"], numbers["CRPIX2"]]
    wcs.wcs.cd = [[numbers[f"CD{i}_{j}"] for j in (1, 2)] for i in (1, 2)]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys = "ICRS"
    try:
        wcs.wcs.set()
    except ValueError:
        return None
    return wcs if wcs.has_celestial else None

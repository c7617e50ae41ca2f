"""Reading of a coadded tile of the Dark Energy Survey: image (SCI), mask (MSK) and inverse variance (WGT) in one file.

The mask is set where no exposure had a good pixel and the image was interpolated (Morganson et al. 2018, PASP 130,
074501). The file is compressed by fpack.
"""

from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.surveys.base import Image, everywhere

MAX_TILE_PIXELS = 2**28
"""Pixels of the largest image that is accepted; tiles have 10,000 x 10,000."""
EXTENSIONS = ("SCI", "MSK", "WGT")


def open_coadd(path: Path, band: str, psf_fwhm: float) -> Image:
    """Open one band of a tile.

    Parameters
    ----------
    path : Path
    band : str
        The band that the file should be of.
    psf_fwhm : float
        Full width at half maximum of the PSF (arcsec).

    Returns
    -------
    Image

    Raises
    ------
    InputError
        If the file cannot be read, is of another band, or lacks what the format requires.
    """

    planes = _planes(path)
    header = planes["SCI"].read_header()
    shapes = [tuple(plane.get_dims()) for plane in planes.values()]
    height, width = shape = shapes[0] if len(set(shapes)) == 1 and len(shapes[0]) == 2 else (0, 0)
    if not 0 < height * width <= MAX_TILE_PIXELS:
        raise coadd_fault(path, f"shapes of {', '.join(EXTENSIONS)}: {shapes}")
    if str(header.get("BAND", band)).strip() != band:
        raise coadd_fault(path, f"expected the band {band}, found {header['BAND']!r}")
    try:
        wcs, zero_point = _wcs(header), float(header["MAGZERO"])
    except (KeyError, TypeError, ValueError) as error:
        raise coadd_fault(path, f"header: {' '.join(str(error).split())}") from None

    def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        try:
            pixels, mask, weight = (planes[name][start:stop, :] for name in EXTENSIONS)
        except (OSError, ValueError) as error:
            raise coadd_fault(path, error) from None
        good = np.isfinite(pixels) & (mask == 0) & np.isfinite(weight) & (weight > 0)
        zero = np.float32(0)
        return np.where(good, pixels, zero).astype(np.float32), np.where(good, weight, zero).astype(np.float32)

    return Image(shape, rows, wcs, everywhere(psf_fwhm), zero_point)


def coadd_fault(path: Path, reason: object) -> InputError:
    """Return the error that names a file and says what is wrong with it."""
    return InputError(f"{path}: not a coadded tile of DES ({reason}); delete it and run again")


def _planes(path: Path) -> dict[str, Any]:
    """Return the extensions, whose pixels are read when they are needed."""
    try:
        file = fitsio.FITS(str(path))
        planes = {name: file[name] for name in EXTENSIONS}
    except (OSError, ValueError) as error:
        raise coadd_fault(path, error) from None
    if not all(hasattr(plane, "get_dims") for plane in planes.values()):
        raise coadd_fault(path, "an extension is not an image")
    return planes


def _wcs(header: Any) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [str(header[f"CTYPE{axis}"]).strip() for axis in (1, 2)]
    wcs.wcs.crval, wcs.wcs.crpix = ([float(header[f"{key}{axis}"]) for axis in (1, 2)] for key in ("CRVAL", "CRPIX"))
    wcs.wcs.cd = [[float(header[f"CD{i}_{j}"]) for j in (1, 2)] for i in (1, 2)]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    if not wcs.has_celestial:
        raise ValueError("no celestial coordinates")
    return wcs

"""The coordinates of a user's images: their WCS, or the one that is assumed for an image without."""

import logging
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from astropy.io import fits
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.core.files import as_text
from tuningfork.sky.wcs_header import image_axes, read_wcs
from tuningfork.surveys.folder.zero_point import pixel_scale_of

logger = logging.getLogger(__name__)


class Footprint(NamedTuple):
    """Where an image lies on the sky, from its header alone.

    Attributes
    ----------
    wcs : astropy.wcs.WCS or None
        Celestial WCS; None if there is none, or none that can be used.
    shape : tuple of int
        Height and width.
    fault : str
        Why the WCS cannot be used; empty without a fault, and without a WCS.
    scale : float or None
        Width of a pixel (arcsec) by a keyword such as PIXSCALE.
    """

    wcs: WCS | None
    shape: tuple[int, int]
    fault: str = ""
    scale: float | None = None


def footprint_of(hdu: Any, hdus: fits.HDUList, path: Path) -> Footprint:
    """Return WCS and shape of an image in an open file. A fault of the WCS is logged once.

    An extension whose own header has no WCS takes that of a first header without an image, which can be meant for
    nothing else.

    Parameters
    ----------
    hdu : HDU
    hdus : astropy.io.fits.HDUList
        The file.
    path : Path
        Its path, for the log.

    Returns
    -------
    Footprint
    """
    width, height = (int(hdu.header.get(f"NAXIS{axis}", 1)) for axis in image_axes(hdu.header))
    first = hdus[0].header
    scale = pixel_scale_of(hdu.header) or pixel_scale_of(first)
    try:
        wcs = read_wcs(hdu.header, hdus)
        if wcs is None and hdu is not hdus[0] and first.get("NAXIS", 0) == 0:
            header = first.copy()
            header.update({name: hdu.header[name] for name in hdu.header if name.startswith("NAXIS")})
            wcs = read_wcs(header, hdus)
    except InputError as error:
        _warn(f"{as_text(path)}: its coordinates are not used: {error}")
        return Footprint(None, (height, width), str(error), scale)
    return Footprint(wcs, (height, width), "", scale)


@cache
def _warn(message: str) -> None:
    """Log a warning; the same one comes for every band, and whenever the image is opened."""
    logger.warning("%s", message)


def upright_wcs(pixel_scale: float, shape: tuple[int, int]) -> WCS:
    """Return the WCS that is assumed for an image without one: north up, east left, at an arbitrary position on the sky."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [180.0, 0.0]
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.cdelt = [-pixel_scale / 3600, pixel_scale / 3600]
    return wcs

"""The zero point and the pixel scale that the header of an image states, where they can be read without a guess."""

import logging

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyError
from astropy.wcs import WCS

from tuningfork.surveys.folder.flux_unit import PIVOT, ab_magnitude, flux_at_pivot, flux_unit_of

logger = logging.getLogger(__name__)

MAGNITUDE_KEYS = ("MAGZERO", "MAGZPT", "MAGZP", "PHOTZP", "ZP", "ABMAGZP", "MAGZEROPOINT", "ZEROPNT")
"""Keywords whose value is the magnitude of one flux unit."""
FLUX_KEY = "FLUXMAG0"
"""Keyword whose value is the flux of magnitude zero, in flux units."""
COUNTS_TO_NANOMAGGIES = "NMGY"
COUNTS = {"adu", "count", "counts", "dn"}
HST_FLUX = "PHOTFLAM"
"""Keyword of HST: the flux per wavelength (erg/s/cm2/Angstrom) of one electron or count per second."""
TOTALS = {*COUNTS, "e", "e-", "electron", "electrons"}
RATES = {"cps"} | {f"{word}/{time}" for word in TOTALS for time in ("s", "sec", "second")}
SYSTEM_KEYS = ("MAGSYS", "PHOTSYS")
RANGE = (0.0, 40.0)
SAME = 0.005
"""Difference below which two statements agree (mag)."""


SCALE_KEYS = ("PIXSCALE", "PIXSCAL1", "PIXSCAL2", "SECPIX", "SECPIX1", "SECPIX2")
"""Keywords whose value is the width of a pixel (arcsec)."""
MAX_SCALE, SAME_SCALE = 10.0, 0.01
"""Largest width of a pixel (arcsec), and the relative difference below which two statements agree."""


def pixel_scale_of(header: fits.Header) -> float | None:
    """Return the width of a pixel (arcsec) that a header without a WCS states, or None.

    Statements that are no number from 0 to 10, or that contradict each other, are ignored.

    Parameters
    ----------
    header : astropy.io.fits.Header
    """
    values = np.array([_number(_value(header, key)) for key in SCALE_KEYS if key in header])
    usable = (
        len(values) > 0 and np.all((values > 0) & (values <= MAX_SCALE)) and np.ptp(values) <= SAME_SCALE * values[0]
    )
    return float(values.mean()) if usable else None


def zero_point_of(header: fits.Header, name: str, wcs: WCS | None = None) -> float | None:
    """Return the AB magnitude of one flux unit that a header states, or None.

    A statement that is no number from 0 to 40, contradicts another, or is not of the AB system is ignored, with a
    sentence in the log; so is a BUNIT of flux that cannot be used. SDSS's NMGY counts only if BUNIT says that the pixels are
    counts: the frames of SDSS have the keyword, too, and are in nanomaggies. HST's PHOTFLAM counts for electrons and
    counts, per second or in EXPTIME.

    Parameters
    ----------
    header : astropy.io.fits.Header
    name : str
        Name of the image, for the log.
    wcs : astropy.wcs.WCS, optional
        Celestial WCS of the image, for fluxes per solid angle.

    Returns
    -------
    float or None
    """
    unit = str(_value(header, "BUNIT", "")).strip().lower()
    stated = {key: _number(_value(header, key)) for key in MAGNITUDE_KEYS if key in header}
    if FLUX_KEY in header:
        stated[FLUX_KEY] = 2.5 * _log10(_value(header, FLUX_KEY))
    by_unit = flux_unit_of(header, wcs, pixel_scale_of(header))
    if by_unit.zero_point is not None:
        stated["BUNIT"] = by_unit.zero_point
    if COUNTS_TO_NANOMAGGIES in header and unit in COUNTS:
        stated[COUNTS_TO_NANOMAGGIES] = 22.5 - 2.5 * _log10(_value(header, COUNTS_TO_NANOMAGGIES))
    fault = by_unit.fault
    if by_unit.zero_point is None and _number(_value(header, HST_FLUX)) > 0:
        of_hst, fault = _of_hst(header, unit)
        stated |= {} if of_hst is None else {HST_FLUX: of_hst}
    if fault:
        logger.warning("%s: the header does not give the zero point by its flux unit: %s", name, fault)
    return _agreed(header, stated, name)


def _of_hst(header: fits.Header, unit: str) -> tuple[float | None, str]:
    """Return the zero point that HST's PHOTFLAM and PHOTPLAM give, from the system ST to AB, or why they do not."""
    value = _number(_value(header, HST_FLUX))
    flux = flux_at_pivot(header, value)
    exposure = 1.0 if unit in RATES else _number(_value(header, "EXPTIME")) if unit in TOTALS else float("nan")
    if flux is None:
        return None, f"{HST_FLUX} is {value:g}; expected {PIVOT} (Angstrom) beside it"
    if not exposure > 0:
        return None, f"{HST_FLUX} is {value:g} and BUNIT {unit!r}; expected electrons/s, or electrons and EXPTIME"
    return ab_magnitude(flux) + 2.5 * float(np.log10(exposure)), ""


def _agreed(header: fits.Header, stated: dict[str, float], name: str) -> float | None:
    """Return the zero point on which all statements (keyword -> magnitude) agree, or None with a sentence in the log."""
    if not stated:
        return None
    values = np.array(list(stated.values()))
    said = ", ".join(f"{key} {value:g}" for key, value in stated.items())
    system = next((str(_value(header, key)).strip() for key in SYSTEM_KEYS if key in header), "AB")
    if not np.all((values > RANGE[0]) & (values <= RANGE[1])):
        reason = f"expected magnitudes from {RANGE[0]:g} to {RANGE[1]:g}"
    elif np.ptp(values) > SAME:
        reason = "they contradict each other"
    elif not system.upper().startswith("AB"):
        reason = f"they are in the system {system!r}; expected AB"
    else:
        return float(values[0])
    logger.warning("%s: the zero point of the header (%s) is ignored: %s", name, said, reason)
    return None


def _value(header: fits.Header, key: str, default: object = None) -> object:
    """Return the value of a keyword; a card that breaks the rules of FITS, such as 25.0.1, has the text "unreadable"."""
    try:
        return header.get(key, default)
    except VerifyError:
        return "unreadable"


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")


def _log10(value: object) -> float:
    number = _number(value)
    return float(np.log10(number)) if number > 0 else float("nan")

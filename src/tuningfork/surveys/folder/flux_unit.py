"""The flux unit of an image by BUNIT: the AB magnitude of one unit, or why its pixels are no flux that can be summed."""

import re
import warnings
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area

JANSKY_ZERO_POINT = 8.9
"""AB magnitude of one jansky."""
NANOMAGGIES = {"nanomaggy", "nanomaggies", "nmgy"}
SPELLINGS = {"njy": "nJy", "ujy": "uJy", "jy": "Jy"}
"""Units of which a letter of the other case changes nothing; MJy and mJy are not among them."""
WORDS = {r"\bpixel\b|\bpx\b": "pix", r"\bAng\b|\bA\b": "Angstrom", r"\bmicroJy\b|\bµJy\b|\bμJy\b": "uJy"}
MAGNITUDE = re.compile(r"(?<![a-z])(ab|st|vega|m)?mag(s|nitudes?)?(?![a-z])", re.IGNORECASE)
"""A magnitude in BUNIT; nanomaggies are none."""
FLUX = re.compile(r"jy(?![a-z])|jansky|\berg|\bW/m", re.IGNORECASE)
"""What makes a unit that is not understood one of flux."""
PER_WAVELENGTH = u.erg / u.s / u.cm**2 / u.AA
PIVOT = "PHOTPLAM"
"""Keyword with the pivot wavelength of the band (Angstrom)."""


class FluxUnit(NamedTuple):
    """What BUNIT says: the AB magnitude of one unit (None if it says nothing of use), and why it cannot be used."""

    zero_point: float | None
    fault: str = ""


def require_linear(header: fits.Header) -> None:
    """Check that the pixels of an image are no magnitudes or other logarithms.

    Raises
    ------
    ValueError
        If BUNIT says that they are.
    """
    text = _text(header)
    if MAGNITUDE.search(text) or isinstance(_parsed(text), u.function.FunctionUnitBase):
        raise ValueError(
            f"its keyword BUNIT is {text!r}, and magnitudes and other logarithms cannot be summed; expected a linear flux: "
            "convert the pixels, such as to nJy"
        )


def flux_unit_of(header: fits.Header, wcs: WCS | None, pixel_scale: float | None) -> FluxUnit:
    """Return what BUNIT says about the flux of a pixel.

    Fluxes per solid angle, such as MJy/sr, are multiplied by the area of a pixel: PIXAR_SR (sr), PIXAR_A2 (arcsec^2), that
    of the WCS, or that of the stated pixel scale. Fluxes per wavelength are those at the wavelength PHOTPLAM.

    Parameters
    ----------
    header : astropy.io.fits.Header
    wcs : astropy.wcs.WCS or None
        Celestial WCS of the image.
    pixel_scale : float or None
        Width of a pixel (arcsec), if the header states one.

    Returns
    -------
    FluxUnit
        The zero point is None without a fault if BUNIT is no unit of flux, such as counts.
    """
    text = _text(header)
    if text.lower() in NANOMAGGIES:
        return FluxUnit(22.5)
    unit = _parsed(text)
    if unit is None:
        return FluxUnit(None, _unknown(text))
    for per_pixel in (unit, unit * u.pix):
        if per_pixel.is_equivalent(u.Jy):
            return FluxUnit(ab_magnitude(float(per_pixel.to(u.Jy))))
        if (per_pixel * u.sr).is_equivalent(u.Jy):
            area = _pixel_area(header, wcs, pixel_scale)
            if area is None:
                return FluxUnit(None, f"BUNIT is {text!r}; expected PIXAR_SR or a WCS, which say how large a pixel is")
            return FluxUnit(ab_magnitude(float((per_pixel * u.sr).to(u.Jy)) * area))
        if per_pixel.is_equivalent(PER_WAVELENGTH):
            flux = flux_at_pivot(header, float(per_pixel.to(PER_WAVELENGTH)))
            fault = f"BUNIT is {text!r}; expected {PIVOT}, the wavelength at which it is to be read (Angstrom)"
            return FluxUnit(None, fault) if flux is None else FluxUnit(ab_magnitude(flux))
    return FluxUnit(None, _unknown(text) if FLUX.search(text) else "")


def flux_at_pivot(header: fits.Header, value: float) -> float | None:
    """Return the flux (Jy) of a flux per wavelength (erg/s/cm2/Angstrom) at PHOTPLAM, or None without that wavelength."""
    pivot = _positive(header, PIVOT)
    return None if pivot is None else float((value * PER_WAVELENGTH).to(u.Jy, u.spectral_density(pivot * u.AA)).value)


def ab_magnitude(flux: float) -> float:
    """Return the AB magnitude of a positive flux (Jy)."""
    return JANSKY_ZERO_POINT - 2.5 * float(np.log10(flux))


def _text(header: fits.Header) -> str:
    try:
        return str(header.get("BUNIT", "")).strip()
    except fits.VerifyError:
        return ""


def _parsed(text: str) -> u.UnitBase | None:
    """Return a unit; one without a dimension for a word that is none, None if a flux is spelt in an unknown way."""
    text = SPELLINGS.get(text.lower(), text)
    for pattern, word in WORDS.items():
        text = re.sub(pattern, word, text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)
        try:
            return u.Unit(text)
        except (ValueError, TypeError):
            return None if FLUX.search(text) else u.dimensionless_unscaled


def _unknown(text: str) -> str:
    return f"BUNIT is {text!r}, which is not understood; expected such as nJy, MJy/sr or nanomaggy"


def _pixel_area(header: fits.Header, wcs: WCS | None, pixel_scale: float | None) -> float | None:
    """Return the solid angle of a pixel (sr), or None."""
    area = _positive(header, "PIXAR_SR")
    if area is not None:
        return area
    square = _positive(header, "PIXAR_A2")
    if square is None and wcs is not None:
        square = float(proj_plane_pixel_area(wcs)) * 3600**2
    if square is None and pixel_scale is not None:
        square = pixel_scale**2
    return None if square is None else square * float((u.arcsec**2).to(u.sr))


def _positive(header: fits.Header, key: str) -> float | None:
    """Return a keyword's value if it is a positive number."""
    try:
        value = float(header.get(key, "nan"))
    except (fits.VerifyError, TypeError, ValueError):
        return None
    return value if np.isfinite(value) and value > 0 else None

"""A server like STScI's for Pan-STARRS1: stacks of sky cells in the survey's packing, and the catalogue by TAP."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.io import fits

from helpers.servers.base import NOT_FOUND, Answer, Request, Service
from helpers.servers.tap import Tap

BLANK = -32768
TAP = "/PS1DR2/tapservice.aspx"


class Panstarrs(Service):
    """Answers for the image server and for the TAP service.

    Attributes
    ----------
    files : dict
        Path -> content.
    tap : Tap
    """

    def __init__(self, objects: Mapping[str, Any]) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.tap = Tap({"dbo.StackObjectView": objects}, path=TAP)

    @property
    def settings(self) -> dict[str, str]:
        """The section survey.panstarrs of a configuration that uses this server."""
        return {"image_url": self.url, "tap_url": self.url + TAP}

    def answer(self, request: Request) -> Answer:
        """Return a file or the TAP service's answer."""
        if request.path.startswith(TAP):
            return self.tap.answer(request)
        content = self.files.get(request.path)
        return Answer(content, headers={"Content-Type": "image/fits"}) if content is not None else NOT_FOUND

    def add(
        self, name: str, band: str, counts: np.ndarray, variance: np.ndarray, mask: np.ndarray, header: fits.Header
    ) -> None:
        """Serve one band of a sky cell; `counts` and `variance` are linear, NaN where there is nothing."""
        for suffix, content in (
            ("", packed(counts, header)),
            (".wt", packed(variance, header)),
            (".mask", pack(mask.astype(np.int16), header)),
        ):
            self.files[path(name, band, suffix)] = content


def path(name: str, band: str, suffix: str = "") -> str:
    """Return where a file lies; `suffix` is nothing, .wt or .mask."""
    projection, cell = name.split(".")
    return f"/rings.v3.skycell/{projection}/{cell}/rings.v3.skycell.{name}.stk.{band}.unconv{suffix}.fits"


def header_of(crval: tuple[float, float], crpix: tuple[float, float], band: str, exposure: float) -> fits.Header:
    """Return what matters of a stack's header, with the old form of the PC matrix."""
    header = fits.Header()
    for axis, (value, pixel) in enumerate(zip(crval, crpix, strict=True), start=1):
        header[f"CTYPE{axis}"] = ("RA---TAN", "DEC--TAN")[axis - 1]
        header[f"CRVAL{axis}"], header[f"CRPIX{axis}"] = value, pixel
        header[f"CDELT{axis}"] = 6.94444461259988e-05
        for other in (1, 2):
            header[f"PC{axis:03d}{other:03d}"] = {(1, 1): -1.0, (2, 2): 1.0}.get((axis, other), 0.0)
    header["HIERARCH FPA.FILTER"] = f"{band}.00000"
    header["HIERARCH FPA.ZP"] = 25.0
    header["HIERARCH CHIP.SEEING"] = "NaN"
    header["EXPTIME"] = exposure
    return header


def packed(values: np.ndarray, header: fits.Header) -> bytes:
    """Return a packed file of values compressed as http://svn.pan-starrs.ifa.hawaii.edu/trac/ipp tells of the stacks."""
    alpha = 2.5 / np.log(10)
    known = np.isfinite(values)
    offset, soft = float(values[known].mean()), float(np.sqrt(alpha) * values[known].std()) or 1.0
    compressed = alpha * np.arcsinh((values.astype(float) - offset) / (2 * soft))
    low, high = compressed[known].min(), compressed[known].max()
    scale, zero = max(float(high - low), 1e-6) / 65000, float(low + high) / 2
    stored = np.where(known, np.rint((compressed - zero) / scale), BLANK).astype(np.int16)
    header = header.copy()
    header["BSOFTEN"], header["BOFFSET"], header["BLANK"] = soft, offset, BLANK
    return pack(stored, header, {"BSCALE": scale, "BZERO": zero})


def pack(stored: np.ndarray, header: fits.Header, scaling: Mapping[str, float] | None = None) -> bytes:
    """Return a FITS file whose first extension is `stored`, packed by Rice's algorithm."""
    image = fits.CompImageHDU(stored, header, compression_type="RICE_1")
    image.header.update(scaling or {})
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(content)
    return content.getvalue()

"""IRSA's services for Euclid, for tests: SIA2, TAP and files, with small mosaics instead of 19,200 x 19,200 pixels.

The columns of the list of mosaics, with their types, and the names of the files are those of the real service.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.io import fits, votable
from astropy.table import Table
from astropy.wcs import WCS

from helpers.servers.base import NOT_FOUND, Answer, Request, Service
from helpers.servers.tap import VOTABLE, Tap

ZERO_POINTS = {"VIS": 24.6, "Y": 29.8, "J": 30.0, "H": 29.9}
FILTERS = {"VIS": "VIS", "Y": "NIR-Y", "J": "NIR-J", "H": "NIR-H"}
RESOLUTION = {"VIS": 0.16, "Y": 0.0878, "J": 0.094, "H": 0.1026}
CAPABILITIES = """<?xml version="1.0" encoding="UTF-8"?>
<vosi:capabilities xmlns:vosi="http://www.ivoa.net/xml/VOSICapabilities/v1.0"
 xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<capability standardID="ivo://ivoa.net/std/SIA#query-2.0"><interface xsi:type="vs:ParamHTTP" role="std" version="2.0">
<accessURL use="base">{url}/SIA</accessURL></interface></capability></vosi:capabilities>"""


@dataclass
class Mosaic:
    """A tile with the pixels of each band, in microjansky.

    Attributes
    ----------
    tile : str
    wcs : astropy.wcs.WCS
    flux : dict
        Band -> pixels (H, W).
    noise : dict
        Band -> standard deviation (H, W).
    flags : dict
        Band -> bits (H, W).
    fwhm : dict
        Band -> width of the PSF (arcsec) at x: callable of an array.
    zero_points : dict
        Band -> AB magnitude of one unit of the file.
    """

    tile: str
    wcs: WCS
    flux: Mapping[str, np.ndarray]
    noise: Mapping[str, np.ndarray]
    flags: Mapping[str, np.ndarray]
    fwhm: Mapping[str, Any]
    zero_points: Mapping[str, float] = field(default_factory=lambda: ZERO_POINTS)

    def corners(self) -> str:
        """Return the region in STC-S as IRSA gives it, the first corner repeated."""
        height, width = next(iter(self.flux.values())).shape
        x, y = np.array([0, width, width, 0, 0]) - 0.5, np.array([height, height, 0, 0, height]) - 0.5
        ra, dec = self.wcs.pixel_to_world_values(x, y)
        return "POLYGON ICRS " + " ".join(f"{a:.12f} {b:.12f}" for a, b in zip(np.mod(ra, 360), dec, strict=True))

    def files(self) -> dict[str, tuple[str, str, bytes]]:
        """Return name of the file -> band, subtype and content."""
        found = {}
        for number, (band, flux) in enumerate(self.flux.items()):
            header = self.wcs.to_header()
            header["MAGZERO"], header["MERTILE"], header["FILTER"] = self.zero_points[band], self.tile, FILTERS[band]
            scale = 10 ** (0.4 * (self.zero_points[band] - 23.9))
            planes = {
                "BGSUB-MOSAIC-{}": ("science", [fits.PrimaryHDU((flux * scale).astype(np.float32), header)]),
                "MOSAIC-{}-RMS": ("noise", [fits.PrimaryHDU((self.noise[band] * scale).astype(np.float32), header)]),
                "MOSAIC-{}-FLAG": ("auxiliary", [fits.PrimaryHDU(self.flags[band].astype(np.int32), header)]),
                "GRID-PSF-{}": ("psf", self._psf(band)),
                "BGMOD-{}": ("auxiliary", [fits.PrimaryHDU(np.zeros((2, 2), np.float32))]),
            }
            for place, (kind, (subtype, hdus)) in enumerate(planes.items()):
                version = f"{16 * number + place + 0xA0000:06X}_20241025T1248{place:02d}.358980Z_00.00"
                content = io.BytesIO()
                fits.HDUList(hdus).writeto(content)
                name = f"EUC_MER_{kind.format(FILTERS[band])}_TILE{self.tile}-{version}.fits"
                found[name] = (band, subtype, content.getvalue())
        return found

    def _psf(self, band: str) -> list[Any]:
        height, width = self.flux[band].shape
        x, y = (axis.ravel() for axis in np.meshgrid(np.arange(60.0, width, 120), np.arange(60.0, height, 120)))
        canvas = fits.ImageHDU(np.zeros((height, width), np.float32), name="PSF image")
        canvas.header["STMPSIZE"] = 21
        table = [fits.Column("x", "D", array=x + 1), fits.Column("y", "D", array=y + 1)]
        table.append(fits.Column("FWHM", "D", "arcsec", array=self.fwhm[band](x)))
        return [fits.PrimaryHDU(), canvas, fits.BinTableHDU.from_columns(table, name="Stamps information")]


def draw(
    tile: str, centre: tuple[float, float], shape: tuple[int, int], sources: Mapping[str, Any], bands: Sequence[str]
) -> Mosaic:
    """Return a tile on which sources (ra, dec, flux in microjansky, sigma in arcsec) are round Gaussian profiles.

    Each band is twice as bright as the one before it. The noise maps say 0.002 microjansky; no noise is drawn.
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.cdelt = list(centre), [-0.1 / 3600, 0.1 / 3600]
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for ra, dec, flux, sigma in zip(*(sources[key] for key in ("ra", "dec", "flux", "sigma")), strict=True):
        at_x, at_y = wcs.world_to_pixel_values(ra, dec)
        width = sigma / 0.1
        image += flux / (2 * np.pi * width**2) * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * width**2))
    return Mosaic(
        tile,
        wcs,
        flux={band: image * 2**place for place, band in enumerate(bands)},
        noise={band: np.full(shape, 0.002) for band in bands},
        flags={band: np.zeros(shape, dtype=int) for band in bands},
        fwhm={band: (lambda x, place=place: 0.2 + 0.1 * place + 1e-5 * x) for place, band in enumerate(bands)},
    )


class EuclidServer(Service):
    """IRSA with some mosaics and the MER catalogue.

    Parameters
    ----------
    mosaics : sequence of Mosaic
    sources : mapping
        Columns of euclid_q1_mer_catalogue, and sersic_sersic_vis_radius.
    most : int
        Rows at which the list of mosaics is cut.
    """

    def __init__(self, mosaics: Sequence[Mosaic], sources: Mapping[str, Any], most: int = 10_000) -> None:
        super().__init__()
        self.mosaics = mosaics
        self.contents = {mosaic.tile: mosaic.files() for mosaic in mosaics}
        self.host = self.url
        self.most = most
        catalogue = {name: values for name, values in sources.items() if not name.startswith("sersic")}
        morphology = {name: sources[name] for name in ("object_id", "sersic_sersic_vis_radius")}
        centres = [mosaic.wcs.wcs.crval for mosaic in mosaics]
        obscore = {
            "obs_id": np.array([f"{mosaic.tile}_VIS" for mosaic in mosaics]),
            "obs_collection": np.array(["euclid_DpdMerBksMosaic"] * len(mosaics)),
            "s_ra": np.array([ra for ra, _ in centres]),
            "s_dec": np.array([dec for _, dec in centres]),
        }
        self.tap = Tap(
            {
                "euclid_q1_mer_catalogue": catalogue,
                "euclid_q1_mer_morphology": morphology,
                "ivoa.obscore": obscore,
            },
            path="/TAP",
        )

    @property
    def settings(self) -> dict[str, str]:
        """The section survey.euclid that leads here."""
        return {"irsa_url": self.url}

    def answer(self, request: Request) -> Answer:
        """Answer SIA, TAP and requests for files."""
        if request.path == "/SIA/capabilities":
            return Answer(CAPABILITIES.format(url=self.url).encode(), headers={"Content-Type": "text/xml"})
        if request.path == "/SIA":
            return self._sia(request)
        if request.path.startswith("/TAP"):
            return self.tap.answer(request)
        match = re.fullmatch(r"/ibe/data/euclid/q1/MER/(\d{9})/(VIS|NISP)/(.+)", request.path)
        found = self.contents.get(match[1], {}).get(match[3]) if match else None
        return Answer(found[2], headers={"Content-Type": "image/fits"}) if found else NOT_FOUND

    def _sia(self, request: Request) -> Answer:
        shape, *numbers = request.query.get("pos", "").split()
        if shape.upper() != "CIRCLE" or len(numbers) != 3:
            return Answer(b"UsageFault: Invalid POS parameter", 400, {"Content-Type": "text/plain"})
        rows = []
        if request.query.get("collection") == "euclid_DpdMerBksMosaic":
            ra, dec, radius = map(float, numbers)
            rows = [row for mosaic in self.mosaics if _near(mosaic, ra, dec, radius) for row in self._rows(mosaic)]
        cut = len(rows) > self.most
        text = io.BytesIO()
        votable.from_table(_listing(rows[: self.most])).to_xml(text)
        status = "OVERFLOW" if cut else "OK"
        body = text.getvalue().replace(b"</TABLE>", f'</TABLE><INFO name="QUERY_STATUS" value="{status}"/>'.encode())
        return Answer(body, headers=VOTABLE)

    def _rows(self, mosaic: Mosaic) -> list[dict[str, Any]]:
        rows = []
        ra, dec = map(float, mosaic.wcs.wcs.crval)
        for name, (band, subtype, content) in self.contents[mosaic.tile].items():
            instrument = "VIS" if band == "VIS" else "NISP"
            rows.append(
                {
                    "s_ra": ra, "s_dec": dec, "facility_name": "Euclid", "instrument_name": instrument,
                    "dataproduct_subtype": subtype, "calib_level": np.int16(3), "dataproduct_type": "image",
                    "energy_bandpassname": band, "energy_emband": "Optical" if band == "VIS" else "Infrared",
                    "obs_id": f"{mosaic.tile}_{instrument}", "s_resolution": RESOLUTION[band],
                    "access_url": f"{self.host}/ibe/data/euclid/q1/MER/{mosaic.tile}/{instrument}/{name}",
                    "access_format": "image/fits", "access_estsize": len(content) // 1000,
                    "s_region": mosaic.corners(), "obs_collection": "euclid_DpdMerBksMosaic",
                    "s_pixel_scale": 0.100000000000008,
                }
            )  # fmt: skip
        return rows


def _near(mosaic: Mosaic, ra: float, dec: float, radius: float) -> bool:
    """Return whether a tile touches a circle: its pixels do."""
    height, width = next(iter(mosaic.flux.values())).shape
    x, y = mosaic.wcs.world_to_pixel_values(ra, dec)
    if not (np.isfinite(x) and np.isfinite(y)):
        return False
    away = np.hypot(max(-x, x - width, 0), max(-y, y - height, 0)) * 0.1 / 3600
    return bool(away <= radius)


def _listing(rows: list[dict[str, Any]]) -> Table:
    if rows:
        return Table(rows)
    text = {name: np.empty(0, "U1") for name in ("access_url", "s_region", "obs_id")}
    return Table({"s_ra": np.empty(0), "s_dec": np.empty(0)} | text)

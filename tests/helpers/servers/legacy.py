"""The DESI Legacy Surveys on loopback: the bricks and catalogues of NERSC's portal, and Data Lab's TAP service.

Coadds have the true geometry and the true compression (tile-compressed in squares of 100 pixels: RICE_1 with
SUBTRACTIVE_DITHER_2 for image and inverse variance, GZIP_1 for the PSF size, HCOMPRESS_1 for the mask). They are made
when they are asked for; noise lies only around the galaxies, so that the empty sky costs nothing.
"""

import gzip
import hashlib
import io
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import fitsio
import numpy as np
from astropy.table import Table
from astropy.wcs import WCS

from helpers.servers.base import NOT_FOUND, Answer, Request, Service
from helpers.servers.tap import Tap
from tuningfork.surveys.legacy.bricks import Brick, brick_named

SIZE, SCALE = 3600, 0.262
BANDS = "griz"
PSF = {"g": 1.3, "r": 1.2, "i": 1.1, "z": 1.1}
NOISE = {"g": 0.003, "r": 0.004, "i": 0.006, "z": 0.01}
PACKING = {"image": "R 100,100; qz -1e-4", "invvar": "R 100,100; qz 16", "psfsize": "G 100,100; qz 0"}
PACKING |= {"maskbits": "H 100,100"}
BOX = 128
"""Half of the width (px) of the square around a galaxy that has noise."""


@dataclass(frozen=True)
class Source:
    """A round Gaussian source: position (deg), flux in each band (nanomaggies), half-light radius (arcsec)."""

    ra: float
    dec: float
    flux: Mapping[str, float]
    radius: float
    kind: str = "SER"


@dataclass(frozen=True)
class Patch:
    """Bits of MASKBITS in a circle of the sky."""

    ra: float
    dec: float
    radius: float
    bits: int


@dataclass(frozen=True)
class Given:
    """Pixels of one band that are served as they are."""

    image: np.ndarray
    invvar: np.ndarray
    header: Mapping[str, Any]

    def layers(self, fwhm: float) -> dict[str, np.ndarray]:
        return {"image": self.image, "invvar": self.invvar, "psfsize": np.full(self.image.shape, fwhm)}


@dataclass
class Sky:
    """What the server shows.

    Attributes
    ----------
    bricks : sequence of str
    sources : sequence of Source
    patches : sequence of Patch
    lacking : set of (str, str)
        Brick and band without imaging.
    given : dict
        (brick, band) -> pixels to serve instead of the sources.
    bands : str
    shown : tuple or None
        ra, dec (deg) and a distance (px): only the pixels so near to the position are served, to be quick.
    """

    bricks: Sequence[str]
    sources: Sequence[Source] = ()
    patches: Sequence[Patch] = ()
    lacking: set[tuple[str, str]] = field(default_factory=set)
    given: dict[tuple[str, str], Given] = field(default_factory=dict)
    bands: str = "grz"
    shown: tuple[float, float, int] | None = None

    def bands_of(self, brick: str) -> list[str]:
        return [band for band in self.bands if (brick, band) not in self.lacking]

    def window(self, brick: Brick) -> tuple[slice, slice]:
        """Return the columns and rows of the coadd that are served, in whole squares of tiles."""
        if self.shown is None:
            return slice(0, SIZE), slice(0, SIZE)
        ra, dec, half = self.shown
        low, high = (np.asarray(wcs_of(brick).all_world2pix(ra, dec, 0)) / 100 + side * half / 100 for side in (-1, 1))
        first, last = (np.clip(edge, 0, SIZE / 100).astype(int) * 100 for edge in (np.floor(low), np.ceil(high)))
        return slice(int(first[0]), int(last[0])), slice(int(first[1]), int(last[1]))

    def image(self, brick: Brick, band: str) -> np.ndarray:
        """Return the noisy image (nanomaggies) of the whole brick, or of its window."""
        columns, rows = self.window(brick)
        pixels = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=np.float32)
        rng = np.random.default_rng([brick.number, BANDS.index(band)])
        noisy = np.zeros(pixels.shape, dtype=bool)
        for source in self.sources:
            x, y = (float(value) for value in wcs_of(brick).all_world2pix(source.ra, source.dec, 0))
            across = np.arange(max(columns.start, round(x) - BOX), min(columns.stop, round(x) + BOX))
            along = np.arange(max(rows.start, round(y) - BOX), min(rows.stop, round(y) + BOX))
            if across.size and along.size:
                here = np.ix_(along - rows.start, across - columns.start)
                fwhm = float(psf_fwhm(brick, band, x, y))
                pixels[here] += gaussian(source, band, fwhm, across[None] - x, along[:, None] - y)
                noisy[here] = True
        pixels[noisy] += rng.normal(0, NOISE[band], int(noisy.sum())).astype(np.float32)
        return pixels

    def maskbits(self, brick: Brick) -> np.ndarray:
        """Return the mask: NPRIMARY at the edges, and the patches."""
        columns, rows = (np.arange(part.start, part.stop) for part in self.window(brick))
        off = np.maximum(np.abs(rows[:, None] - SIZE / 2), np.abs(columns[None] - SIZE / 2))
        bits = (off > 450 / SCALE).astype(np.int32)
        for patch in self.patches:
            x, y = wcs_of(brick).all_world2pix(patch.ra, patch.dec, 0)
            bits[np.hypot(rows[:, None] - y, columns[None] - x) < patch.radius / SCALE] |= patch.bits
        return bits

    @cached_property
    def rows(self) -> Table:
        """The tractor catalogue: a row for every brick whose image shows a source, primary in one of them."""
        rows = []
        for name in self.bricks:
            brick = brick_named(name)
            ra_min, ra_max, dec_min, dec_max = brick.unique
            for number, source in enumerate(self.sources):
                x, y = wcs_of(brick).all_world2pix(source.ra, source.dec, 0)
                if not (0 <= x < SIZE and 0 <= y < SIZE):
                    continue
                primary = ra_min <= source.ra < ra_max and dec_min <= source.dec < dec_max
                identity = (10000 + number % 2, brick.number, number, name, primary, source.kind)
                place = (source.ra, source.dec, source.radius if source.kind not in ("PSF", "DUP") else 0.0)
                rows.append((*identity, *place, *(source.flux.get(band, 0.0) for band in BANDS)))
        names = ["release", "brickid", "objid", "brickname", "brick_primary", "type", "ra", "dec", "shape_r"]
        kinds = ["i2", "i4", "i4", "U8", "?", "U3", "f8", "f8", "f4"]
        columns = [f"flux_{band}" for band in BANDS]
        return Table(rows=rows or None, names=names + columns, dtype=kinds + ["f4"] * len(columns))


def gaussian(source: Source, band: str, fwhm: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the light of a source in a pixel at the offset (x, y) in pixels."""
    variance = ((fwhm / 2.35482) ** 2 + (source.radius / 1.17741) ** 2) / SCALE**2
    return source.flux.get(band, 0.0) / (2 * np.pi * variance) * np.exp(-(x**2 + y**2) / (2 * variance))


def wcs_of(brick: Brick) -> WCS:
    """Return the projection of a brick's images."""
    return WCS(_header(brick))


def psf_fwhm(brick: Brick, band: str, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
    """Return the PSF's size (arcsec) at pixels: another one in every square of tiles, zero (no data) in a corner."""
    column, row = (np.rint(value).astype(int) // 100 for value in (x, y))
    size = PSF[band] + 0.002 * row + 0.001 * column + 1e-7 * brick.number
    return np.where((row == 0) & (column == 0), 0.0, size)


def _header(brick: Brick) -> dict[str, Any]:
    scale, middle = SCALE / 3600, (SIZE + 1) / 2
    header = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": brick.ra, "CRVAL2": brick.dec}
    header |= {"CRPIX1": middle, "CRPIX2": middle, "CD1_1": -scale, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": scale}
    return header | {"EQUINOX": 2000.0, "BRICKNAM": brick.name, "BRICKID": brick.number}


def pack(pixels: np.ndarray, packing: str, header: Mapping[str, Any]) -> bytes:
    """Return the bytes of a .fits.fz file with checksums."""
    with fitsio.FITS(f"mem://[compress {packing}]", "rw") as file:
        file.write(pixels, header=dict(header), dither_seed=1)
        file[-1].write_checksum()
        return bytes(file.read_raw())


class LegacyServer(Service):
    """The server; a context manager.

    Parameters
    ----------
    sky : Sky
    release : int
    """

    def __init__(self, sky: Sky, release: int = 10) -> None:
        super().__init__()
        self.sky, self.release = sky, f"dr{release}"
        rows = sky.rows.copy()
        rows["brick_primary"] = rows["brick_primary"].astype("i2")
        packed = [rows[name].astype(np.int64) for name in ("release", "brickid", "objid")]
        columns = {"ls_id": packed[0] << 40 | packed[1] << 16 | packed[2]} | {
            name: rows[name] for name in rows.colnames
        }
        self.tap = Tap({f"ls_{self.release}.tractor_s": columns})
        self._files: dict[str, bytes] = {}
        self._making = threading.Lock()

    @property
    def settings(self) -> dict[str, Any]:
        """The section survey.legacy that points here."""
        return {"data_url": self.url, "tap_url": f"{self.url}/tap"}

    def answer(self, request: Request) -> Answer:
        if request.path.startswith(self.tap.path):
            return self.tap.answer(request)
        path = request.path.removeprefix(f"/{self.release}/south/")
        body = self._file(path) if path != request.path else None
        return NOT_FOUND if body is None else Answer(body, 200, {"Content-Type": "application/octet-stream"})

    def _file(self, path: str) -> bytes | None:
        with self._making:
            return self._made(path)

    def _made(self, path: str) -> bytes | None:
        if path not in self._files:
            parts = path.split("/")
            if path == f"survey-bricks-{self.release}-south.fits.gz":
                self._files[path] = gzip.compress(_fits(self._bricks()), 1)
            elif parts[0] == "tractor" and len(parts) == 3:
                self._make_tractors(parts[1])
            elif parts[0] == "coadd" and len(parts) == 4 and parts[2] in self.sky.bricks and parts[1] == parts[2][:3]:
                self._make_brick(parts[2])
        return self._files.get(path)

    def _bricks(self) -> Table:
        bricks = [brick_named(name) for name in self.sky.bricks]
        table = Table({"brickname": self.sky.bricks, "ra": [b.ra for b in bricks], "dec": [b.dec for b in bricks]})
        for band in BANDS:
            seen = [int(band in self.sky.bands_of(brick.name)) for brick in bricks]
            table[f"nexp_{band}"] = np.array(seen, dtype="i2")
            histogram = np.zeros((len(bricks), 11), dtype="i4")
            histogram[np.arange(len(bricks)), seen] = 11_800_000
            table[f"nexphist_{band}"] = histogram
        table["brickid"] = np.array([brick.number for brick in bricks], dtype="i4")
        table["area"] = np.full(len(bricks), 0.0625, dtype="f4")
        table["survey_primary"] = np.ones(len(bricks), dtype=bool)
        return table

    def _make_tractors(self, group: str) -> None:
        rows = self.sky.rows
        names = [name for name in self.sky.bricks if name[:3] == group]
        files = {f"tractor-{name}.fits": _fits(rows[rows["brickname"] == name]) for name in names}
        self._publish(f"tractor/{group}", files, f"legacysurvey_{self.release}_south_tractor_{group}.sha256sum")

    def _make_brick(self, name: str) -> None:
        brick, begin = brick_named(name), f"legacysurvey-{name}"
        columns, rows = self.sky.window(brick)
        header = _header(brick)
        header |= {"CRPIX1": header["CRPIX1"] - columns.start, "CRPIX2": header["CRPIX2"] - rows.start}
        bits = self.sky.maskbits(brick)
        files = {}
        for band in self.sky.bands_of(name):
            given = self.sky.given.get((name, band))
            if given:
                layers, here, bits = given.layers(PSF[band]), dict(given.header), np.zeros_like(given.image, dtype="i4")
            else:
                x, y = np.meshgrid(np.arange(columns.start, columns.stop), np.arange(rows.start, rows.stop))
                sizes = psf_fwhm(brick, band, x, y)
                layers = {"image": self.sky.image(brick, band), "psfsize": sizes}
                layers["invvar"] = np.where(sizes > 0, 1 / NOISE[band] ** 2, 0)
                here = header | {"FILTER": band, "MAGZERO": 22.5}
            for kind, pixels in layers.items():
                files[f"{begin}-{kind}-{band}.fits.fz"] = pack(pixels.astype(np.float32), PACKING[kind], here)
        files[f"{begin}-maskbits.fits.fz"] = pack(bits, PACKING["maskbits"], header)
        listed = f"legacysurvey_{self.release}_south_coadd_{name[:3]}_{name}.sha256sum"
        self._publish(f"coadd/{name[:3]}/{name}", files, listed)

    def _publish(self, folder: str, files: Mapping[str, bytes], listed: str) -> None:
        lines = [f"{hashlib.sha256(body).hexdigest()} *{file}" for file, body in files.items()]
        self._files |= {f"{folder}/{file}": body for file, body in files.items()}
        self._files[f"{folder}/{listed}"] = ("\n".join(lines) + "\n").encode()


def _fits(table: Table) -> bytes:
    buffer = io.BytesIO()
    table.write(buffer, format="fits")
    return buffer.getvalue()

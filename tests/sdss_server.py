"""A loopback server that answers like SkyServer and the SDSS Science Archive Server.

It serves one real field: run 6377, camcol 4, field 399 of Stripe 82. The frames are made on the fly from the DR7
`fpC` images, in the layout of DR8 and later (image in nanomaggies, calibration vector, sky, astrometry). The
catalogue holds the sources that an independent pipeline measured on the r image, and the three galaxies of the
field with Galaxy Zoo 2 votes under their own objids. Queries are run by SQLite, so the WHERE clause is obeyed.
"""

import bz2
import csv
import gzip
import sqlite3
import threading
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from astropy.io import ascii as text_tables
from astropy.io import fits

RUN, RERUN, CAMCOL, FIELD = 6377, 301, 4, 399
EXPOSURE = 53.907456
SOFT_BIAS = 1000.0
BANDS = "ugriz"
LIST_OF_BAND = {"g": 99642818, "r": 99644381, "i": 99645943}
"""First half of the ids of the sources that were measured on each image of run 6377."""
GALAXY_ZOO = (8647474691941400840, 8647474691941401085, 8647474691941466152)


@dataclass
class Source:
    """A row of the independent source list."""

    objid: int
    ra: float
    dec: float
    x: float
    y: float
    mag: float
    aperture_mag: float
    radius: float
    galaxy: bool


@dataclass
class Field:
    """The real field and its independent source list, in the folder of the real data."""

    real_data: Path
    frames: dict[str, bytes] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.real_data / "sdss_dr7_field" / str(RUN) / "40"

    @cached_property
    def calibration(self) -> np.recarray:
        path = self.folder / "calibChunks" / str(CAMCOL) / f"tsField-{RUN:06d}-{CAMCOL}-40-{FIELD:04d}.fit"
        return fits.getdata(path, 1)

    def nanomaggies_per_count(self, band: str) -> float:
        place = BANDS.index(band)
        zero, slope, air = (float(self.calibration[key][0][place]) for key in ("aa", "kk", "airmass"))
        return float(1e9 * 10 ** (0.4 * (zero + slope * air)) / EXPOSURE)

    def psf_width(self, band: str) -> float:
        return float(self.calibration["psf_width"][0][BANDS.index(band)])

    def counts(self, band: str) -> tuple[np.ndarray, fits.Header]:
        path = self.folder / "corr" / str(CAMCOL) / f"fpC-{RUN:06d}-{band}{CAMCOL}-{FIELD:04d}.fit.gz"
        with fits.open(path) as hdus:
            return hdus[0].data.astype(np.float64) - SOFT_BIAS, hdus[0].header

    def frame(self, band: str) -> bytes:
        """Return the bytes of frame-<band>-006377-4-0399.fits.bz2."""
        if band not in self.frames:
            counts, header = self.counts(band)
            factor, sky = self.nanomaggies_per_count(band), float(header["SKY"])
            image = fits.PrimaryHDU(float_compress((counts - sky) * factor), _frame_header(header, band, factor))
            vector = fits.ImageHDU(np.full(counts.shape[1], factor, dtype=np.float32))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                hdus = fits.HDUList([image, vector, _sky_table(sky, counts.shape), fits.BinTableHDU()])
                self.frames[band] = bz2.compress(_bytes(hdus), 1)
        return self.frames[band]

    @cached_property
    def detections(self) -> list[dict[str, Any]]:
        """The rows of the independent list that were measured on the r image of run 6377."""
        path = self.real_data / "sdss_dr7_field" / "detected-sources.txt"
        table = text_tables.read(path, format="commented_header", delimiter=" ", guess=False)
        return [dict(row) for row in table if int(row["id"]) >> 32 == LIST_OF_BAND["r"]]

    @cached_property
    def zero_point(self) -> float:
        """Magnitude of one count in the list, from the stars of the reference catalogue."""
        stars = fits.getdata(self.real_data / "sdss_dr7_field" / "ref_cat" / "stars.fits.gz", 1)
        stars = stars[
            (np.abs((stars["ra"] - 351.64 + 180) % 360 - 180) < 0.3) & (stars["r"] < 19.5) & (stars["r"] > 15)
        ]
        offsets = []
        for row in self.detections:
            flux = float(row["base_PsfFlux_instFlux"])
            if (
                str(row["base_ClassificationExtendedness_value"]) != "0"
                and float(row["base_ClassificationExtendedness_value"]) != 0
            ):
                continue
            apart = (
                np.hypot(((stars["ra"] - row["coord_ra"] + 180) % 360 - 180), stars["dec"] - row["coord_dec"]) * 3600
            )
            if flux > 2000 and row["base_PixelFlags_flag_saturatedCenter"] == "False" and apart.min() < 1:
                offsets.append(float(stars["r"][apart.argmin()]) + 2.5 * np.log10(flux))
        return float(np.median(offsets))

    @cached_property
    def sources(self) -> list[Source]:
        """The catalogue: every measured source of the list, and the three galaxies of Galaxy Zoo."""
        sources = [self._source(number, row) for number, row in enumerate(self.detections)]
        kept = [source for source in sources if source is not None]
        with gzip.open(self.real_data / "tables" / "gz2_stripe82_table5.csv.gz", "rt") as file:
            for row in csv.DictReader(file):
                if int(row["objid"]) in GALAXY_ZOO:
                    self._adopt(kept, int(row["objid"]), float(row["ra"]), float(row["dec"]))
        return kept

    def _source(self, number: int, row: dict[str, Any]) -> Source | None:
        flux, aperture = float(row["base_GaussianFlux_instFlux"]), float(row["base_CircularApertureFlux_6_0_instFlux"])
        flux = flux if flux > 0 else aperture
        if row["flags_negative"] == "True" or not flux > 0:
            return None
        xx, yy, xy = (float(row[f"base_SdssShape_{key}"]) for key in ("xx", "yy", "xy"))
        sigma = max(xx * yy - xy**2, 0) ** 0.25
        objid = (2 << 59) | (RERUN << 48) | (RUN << 32) | (CAMCOL << 29) | (FIELD << 16) | (number + 1)
        return Source(
            objid,
            float(row["coord_ra"]),
            float(row["coord_dec"]),
            float(row["base_SdssCentroid_x"]),
            float(row["base_SdssCentroid_y"]),
            self.zero_point - 2.5 * np.log10(flux),
            self.zero_point - 2.5 * np.log10(aperture) if aperture > 0 else np.nan,
            1.1774 * 0.396 * sigma,
            float(row["base_ClassificationExtendedness_value"]) == 1,
        )

    def _adopt(self, sources: list[Source], objid: int, ra: float, dec: float) -> None:
        """Give the source at a Galaxy Zoo galaxy its objid, or add the galaxy where the list has none."""
        apart = [np.hypot(source.ra - ra, source.dec - dec) * 3600 for source in sources]
        nearest = int(np.argmin(apart))
        if apart[nearest] < 2:
            sources[nearest].objid, sources[nearest].galaxy = objid, True
        else:
            sources.append(Source(objid, ra, dec, np.nan, np.nan, 17.0, np.nan, 3.0, True))


def float_compress(values: np.ndarray, digits: int = 10) -> np.ndarray:
    """Keep `digits` binary digits of each value, as SDSS does to make frames compressible."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.rint(mantissa * 2**digits) / 2**digits, exponent).astype(np.float32)


def _frame_header(fpc: fits.Header, band: str, factor: float) -> fits.Header:
    header = fits.Header()
    for key in (
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
    ):
        header[key] = fpc[key]
    header["RUN"], header["CAMCOL"], header["FRAME"], header["FILTER"] = RUN, CAMCOL, FIELD, band
    header["RERUN"], header["NMGY"], header["EXPTIME"] = str(RERUN), factor, str(EXPOSURE)
    return header


def _sky_table(sky: float, shape: tuple[int, int]) -> fits.BinTableHDU:
    height, width = shape
    coarse = np.full((1, 192, 256), sky, dtype=np.float32)
    columns = (np.arange(width, dtype=np.float32)[None] - 3.5) / 8
    rows = (np.arange(height, dtype=np.float32)[None] - 3.5) * 191 / height
    return fits.BinTableHDU.from_columns(
        [
            fits.Column("ALLSKY", "49152E", dim="(256,192)", array=coarse),
            fits.Column("XINTERP", f"{width}E", array=columns),
            fits.Column("YINTERP", f"{height}E", array=rows),
        ]
    )


def _bytes(hdus: fits.HDUList) -> bytes:
    import io

    buffer = io.BytesIO()
    hdus.writeto(buffer)
    return buffer.getvalue()


class SdssServer:
    """The server; a context manager. `faults` maps a part of a path to what goes wrong there.

    Faults: an HTTP status ("503", "404"), "truncated", "html", "short" (a whole answer that is no whole FITS file),
    "empty". `times` limits how often a fault strikes.
    """

    def __init__(self, real_data: Path, shared: Field | None = None) -> None:
        self.field = shared or Field(real_data)
        self.faults: dict[str, str] = {}
        self.times: dict[str, int] = {}
        self.requests: list[str] = []
        self.queries: list[str] = []
        self._lock = threading.Lock()
        self._database = self._catalogue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The address of both services; frames lie under `url`/sas."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def settings(self) -> dict[str, Any]:
        """The section survey.sdss that points here."""
        return {"skyserver_url": self.url, "sas_url": f"{self.url}/sas"}

    def __enter__(self) -> "SdssServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _catalogue(self) -> sqlite3.Connection:
        database = sqlite3.connect(":memory:", check_same_thread=False)
        database.execute(
            "CREATE TABLE PhotoPrimary (objID INTEGER, ra REAL, dec REAL, type INTEGER, petroMag_r REAL, petroR50_r REAL,"
            " run INTEGER, rerun INTEGER, camcol INTEGER, field INTEGER, fieldID INTEGER)"
        )
        rows = [
            (s.objid, s.ra, s.dec, 3 if s.galaxy else 6, s.mag, s.radius, RUN, RERUN, CAMCOL, FIELD, 1)
            for s in self.field.sources
        ]
        database.executemany(f"INSERT INTO PhotoPrimary VALUES ({','.join('?' * 11)})", rows)
        database.execute("CREATE VIEW Galaxy AS SELECT * FROM PhotoPrimary WHERE type = 3")
        database.execute("CREATE TABLE SpecObj (bestObjID INTEGER, z REAL, zWarning INTEGER)")
        database.execute("INSERT INTO SpecObj VALUES (?, 0.1, 0)", (GALAXY_ZOO[0],))
        widths = [self.field.psf_width(band) for band in BANDS]
        database.execute(
            f"CREATE TABLE Field (fieldID INTEGER, {', '.join(f'psfWidth_{band} REAL' for band in BANDS)})"
        )
        database.execute("INSERT INTO Field VALUES (1, ?, ?, ?, ?, ?)", widths)
        return database

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, str, bytes]:
        """Return status, content type and body for a request."""
        fault = self._fault(path)
        if fault.isdigit():
            return int(fault), "text/html", b"<html><body>Service unavailable</body></html>"
        if fault == "html":
            return 200, "text/html", b"<!DOCTYPE html><html><body>Down for maintenance</body></html>"
        if fault == "empty":
            return 200, "application/x-bzip2", b""
        if path.endswith("x_results.aspx") and query.get("searchtool") == ["SQL"] and query.get("format") == ["csv"]:
            return 200, "text/plain", self._run(query["cmd"][0]).encode()
        folder = f"/sas/dr17/eboss/photoObj/frames/{RERUN}/{RUN}/{CAMCOL}/"
        for band in LIST_OF_BAND:
            if path == f"{folder}frame-{band}-{RUN:06d}-{CAMCOL}-{FIELD:04d}.fits.bz2":
                body = self.field.frame(band)
                return 200, "application/x-bzip2", body[: len(body) // 2] if fault == "short" else body
        return 404, "text/html", b"<html>Not Found</html>"

    def _run(self, sql: str) -> str:
        self.queries.append(sql)
        try:
            with self._lock:
                cursor = self._database.execute(sql)
                rows = cursor.fetchall()
        except sqlite3.Error as error:
            return f"error_message\n{error}\n"
        lines = [",".join(column[0] for column in cursor.description)]
        lines += [",".join("null" if value is None or value != value else str(value) for value in row) for row in rows]
        return "#Table1\n" + "\n".join(lines) + "\n"

    def _fault(self, path: str) -> str:
        for part, fault in self.faults.items():
            if part in path and self.times.get(part, 1) > 0:
                if part in self.times:
                    self.times[part] -= 1
                return fault
        return ""


def _handler(server: SdssServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            server.requests.append(parts.path)
            cut = "truncated" in {fault for part, fault in server.faults.items() if part in parts.path}
            status, kind, body = server.answer(parts.path, parse_qs(parts.query))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)

        def log_message(self, *_: object) -> None:
            """Say nothing on standard error."""

    return Handler


def main() -> None:
    """Serve until interrupted; the address is printed."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("real_data", type=Path, help="folder with the real observations")
    with SdssServer(parser.parse_args().real_data) as server:
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()

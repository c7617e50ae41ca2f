"""One real field of SDSS, in the files of the data releases since DR8.

Run 6377, camcol 4, field 399 of Stripe 82. The frames are made from the DR7 `fpC` images, in the layout of DR8 and
later (image in nanomaggies, calibration vector, sky, astrometry); the psField file is the real one. The catalogue
holds the sources that an independent pipeline measured on the r image, and the three galaxies of the field with
Galaxy Zoo 2 votes under their own objids. Two more fields are listed: the next one of the run, which is primary
nowhere, and one far away.
"""

import bz2
import csv
import gzip
import io
import warnings
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import ascii as text_tables
from astropy.io import fits
from astropy.wcs import WCS

RUN, RERUN, CAMCOL, FIELD = 6377, 301, 4, 399
EXPOSURE = 53.907456
SOFT_BIAS = 1000.0
NODE, INCL = 95.0, 0.0
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


@dataclass(frozen=True)
class Listed:
    """A row of the lists of fields: run, camcol and field, centre (deg), whether it is primary anywhere."""

    numbers: tuple[int, int, int]
    ra: float
    dec: float
    primary: bool


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
    def listed(self) -> list["Listed"]:
        """The fields that the lists of fields have."""
        centre = WCS(_frame_header(self.counts("r")[1], "r", 1.0)).pixel_to_world_values(1023.5, 744.0)
        ra, dec = (float(value) for value in centre)
        return [
            Listed((RUN, CAMCOL, FIELD), ra, dec, True),
            Listed((RUN, CAMCOL, FIELD + 1), ra + 1361 * 0.396 / 3600, dec, False),
            Listed((RUN, CAMCOL, 99), 10.0, 0.1, True),
        ]

    def psf_field(self) -> bytes:
        """Return the bytes of psField-006377-4-0399.fit."""
        name = f"psField-{RUN:06d}-{CAMCOL}-{FIELD:04d}.fit.gz"
        return gzip.decompress((self.folder / "objcs" / str(CAMCOL) / name).read_bytes())

    def mask(self, band: str) -> bytes:
        """Return the bytes of fpM-006377-<band>4-0399.fit.gz."""
        return (self.folder / "objcs" / str(CAMCOL) / f"fpM-{RUN:06d}-{band}{CAMCOL}-{FIELD:04d}.fit.gz").read_bytes()

    def photo_obj(self) -> bytes:
        """Return the bytes of photoObj-006377-4-0399.fits: every source, and each galaxy once more as secondary."""
        sources = [(source, 1) for source in self.sources] + [(source, 2) for source in self.sources if source.galaxy]
        nothing = np.full((len(sources), 5), -9999.0)
        mag, radius = nothing.copy(), nothing.copy()
        mag[:, 2], radius[:, 2] = ([getattr(source, key) for source, _ in sources] for key in ("mag", "radius"))
        objid = [str(source.objid + (mode - 1) * 10_000) for source, mode in sources]
        columns = [
            fits.Column("OBJID", "19A", array=np.array(objid)),
            fits.Column("MODE", "B", array=[mode for _, mode in sources]),
            fits.Column("OBJC_TYPE", "J", array=[3 if source.galaxy else 6 for source, _ in sources]),
            fits.Column("PETROTH50", "5E", array=radius),
            fits.Column("RA", "D", array=[source.ra for source, _ in sources]),
            fits.Column("DEC", "D", array=[source.dec for source, _ in sources]),
            fits.Column("PETROMAG", "5E", array=mag),
        ]
        return _bytes(fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]))

    def window_flist(self) -> bytes:
        """Return the bytes of window_flist.fits."""
        run, camcol, number = np.array([place.numbers for place in self.listed]).T
        count = len(run)
        columns = [
            fits.Column("RUN", "J", array=run),
            fits.Column("RERUN", "3A", array=np.array([str(RERUN)] * count)),
            fits.Column("CAMCOL", "I", array=camcol),
            fits.Column("FIELD", "I", array=number),
            fits.Column("RA", "D", array=[place.ra for place in self.listed]),
            fits.Column("DEC", "D", array=[place.dec for place in self.listed]),
            fits.Column("NODE", "D", array=np.full(count, NODE)),
            fits.Column("INCL", "D", array=np.full(count, INCL)),
            fits.Column("PSF_FWHM", "5E", array=[list(map(self.psf_width, BANDS))] * count),
        ]
        return _bytes(fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]))

    def window_blist(self) -> bytes:
        """Return the bytes of window_blist.fits: two pieces of the sky for each primary field, one without a field."""
        primary = [number for number, place in enumerate(self.listed) if place.primary]
        columns = [fits.Column("IPRIMARY", "J", array=[*primary, *primary, -1])]
        return _bytes(fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]))

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
    buffer = io.BytesIO()
    hdus.writeto(buffer)
    return buffer.getvalue()


@cache
def shared_field(real_data: Path) -> Field:
    """Return the field, whose frames are made once for all tests of a process."""
    return Field(real_data)

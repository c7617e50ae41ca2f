"""SDSS imaging: galaxies from SkyServer by SQL, corrected frames from the Science Archive Server."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import requests
from astroquery.sdss import SDSS, conf

from tuningfork.core.config.stages import Sources
from tuningfork.core.config.stages import Tiles as Transfer
from tuningfork.core.config.survey import Sdss
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError, TransferError
from tuningfork.core.files import read_json, write_json
from tuningfork.core.tables import numpy_column, shard_table
from tuningfork.sky.shards import Shard
from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.base import FetchedTile, Image, Tile
from tuningfork.surveys.sdss_frame import read_frame
from tuningfork.surveys.transfer import AttemptError, attempt, check_status, download, verify_fits

FRAMES = b"tuningfork.sdss_frames"
ROW_LIMIT = 500_000
"""Rows that SkyServer returns at most."""
MARGIN = 60 / 3600
"""Frames are fetched if a source lies this close (deg) to the part of the sky for which they are primary."""
NAME = re.compile(r"(?P<rerun>\d{1,4})-(?P<run>\d{6})-(?P<camcol>[1-6])-(?P<field>\d{4})")
BANDS = set("ugriz")
GALAXIES = """
SELECT p.objID AS objid, p.ra AS ra, p.dec AS dec, p.petroMag_{band} AS mag, p.petroR50_{band} AS radius, s.z AS redshift
FROM Galaxy AS p LEFT OUTER JOIN SpecObj AS s ON s.bestObjID = p.objID AND s.zWarning = 0
WHERE {box} AND (p.petroMag_{band} BETWEEN {mag_min} AND {mag_max})"""
FIELDS = """
SELECT p.rerun AS rerun, p.run AS run, p.camcol AS camcol, p.field AS field,
MIN({ra}) AS ra_min, MAX({ra}) AS ra_max, MIN(p.dec) AS dec_min, MAX(p.dec) AS dec_max, {psf}
FROM PhotoPrimary AS p JOIN Field AS f ON f.fieldID = p.fieldID
WHERE {box}
GROUP BY p.rerun, p.run, p.camcol, p.field"""


class SdssSurvey:
    """SDSS behind the protocol of `tuningfork.surveys.base`.

    Parameters
    ----------
    settings : Sdss
    description : Description
        Its bands must be among u, g, r, i, z.
    queries : Tiles, optional
        Time limit and retries of catalogue queries.

    Raises
    ------
    InputError
        The description names a band that SDSS does not have.
    """

    def __init__(self, settings: Sdss, description: Description, queries: Transfer | None = None) -> None:
        if not BANDS.issuperset(description.bands):
            raise InputError(f"bands {description.bands} of the survey sdss: expected some of u, g, r, i, z")
        self._settings = settings
        self._description = description
        self._queries = queries or Transfer(timeout=300.0)

    def sources(self, shard: Shard, selection: Sources) -> pa.Table:
        """Return the primary galaxies of the shard within the limits of magnitude, in order of source_id.

        The frames that cover the shard are asked for as well and stand in the table's metadata.

        Raises
        ------
        TransferError
            SkyServer does not answer, or with an error.
        """
        band = self._description.reference_band
        box = Surroundings.around(shard)
        found: dict[int, list[float]] = {}
        for row in self._rows(GALAXIES, box, band=band, mag_min=selection.mag_min, mag_max=selection.mag_max):
            found.setdefault(
                int(row["objid"]), [_number(row[key]) for key in ("ra", "dec", "redshift", "mag", "radius")]
            )
        ids = np.array(sorted(found), dtype=np.int64)
        values = np.array([found[number] for number in sorted(found)], dtype=float).reshape(-1, 5)
        here = shard.contains(values[:, 0], values[:, 1])
        table = shard_table(
            "sources",
            {
                "source_id": ids[here],
                "flags": np.zeros(here.sum(), dtype=np.int64),
                **dict(zip(("ra", "dec", "redshift", "survey_mag", "survey_radius"), values[here].T, strict=True)),
            },
        )
        frames = self._frames(box) if table.num_rows else []
        return table.replace_schema_metadata((table.schema.metadata or {}) | {FRAMES: json.dumps(frames)})

    def _frames(self, box: Surroundings) -> list[dict[str, float]]:
        """Return the frames that are primary somewhere in the box, with the limits (deg) of that part."""
        psf = ", ".join(f"f.psfWidth_{band} AS psf_width_{band}" for band in self._description.bands)
        group = "".join(f", f.psfWidth_{band}" for band in self._description.bands)
        # Right ascension is counted from the box's centre's far side, so that no frame is torn apart at zero.
        ra = "CASE WHEN p.ra > 180 THEN p.ra - 360 ELSE p.ra END" if box.wraps else "p.ra"
        rows = self._rows(FIELDS + group, box.enlarged(MARGIN), psf=psf, ra=ra)
        merged: dict[str, dict[str, float]] = {}
        for row in rows:
            frame = {key: _number(value) for key, value in row.items()}
            name = "{rerun:.0f}-{run:06.0f}-{camcol:.0f}-{field:04.0f}".format(**frame)
            before = merged.setdefault(name, frame)
            for key, pick in (("ra_min", min), ("ra_max", max), ("dec_min", min), ("dec_max", max)):
                before[key] = pick(before[key], frame[key])
        return [merged[name] for name in sorted(merged)]

    def _rows(self, template: str, box: Surroundings, **values: Any) -> list[dict[str, str]]:
        """Ask SkyServer; split the box where the answer would be longer than SkyServer allows."""
        rows = self._ask(" ".join(template.format(box=box.condition("p.ra", "p.dec"), **values).split()))
        if len(rows) < ROW_LIMIT:
            return rows
        return [row for half in box.halves() for row in self._rows(template, half, **values)]

    def _ask(self, query: str) -> list[dict[str, str]]:
        url = self._settings.skyserver_url

        def once() -> list[dict[str, str]]:
            with conf.set_temp("skyserver_baseurl", url):
                response = SDSS.query_sql_async(
                    query, timeout=self._queries.timeout, data_release=self._settings.data_release, cache=False
                )
            return _parse(response)

        try:
            return attempt(once, f"SkyServer at {url}", self._queries)
        except TransferError as error:
            raise TransferError(f"{error}; check survey.sdss.skyserver_url and the network, then run again") from None

    def tiles(self, shard: Shard, sources: pa.Table) -> list[Tile]:
        """Return the frames near the sources, in order of their names."""
        frames = json.loads((sources.schema.metadata or {}).get(FRAMES, b"[]"))
        ra, dec = numpy_column(sources, "ra"), numpy_column(sources, "dec")
        tiles = []
        for frame in frames:
            stretch = MARGIN / max(np.cos(np.deg2rad(max(abs(frame["dec_min"]), abs(frame["dec_max"])))), 1e-3)
            middle, half = (frame["ra_min"] + frame["ra_max"]) / 2, (frame["ra_max"] - frame["ra_min"]) / 2
            near = np.abs((ra - middle + 180) % 360 - 180) <= half + stretch
            near &= (dec >= frame["dec_min"] - MARGIN) & (dec <= frame["dec_max"] + MARGIN)
            if near.any():
                name = "{rerun:.0f}-{run:06.0f}-{camcol:.0f}-{field:04.0f}".format(**frame)
                facts = {key: value for key, value in frame.items() if key.startswith("psf_width_")}
                tiles.append(Tile(name, middle % 360, (frame["dec_min"] + frame["dec_max"]) / 2, facts))
        return sorted(tiles, key=lambda tile: tile.name)

    def fetch(self, tile: Tile, cache: Path, transfer: Transfer) -> FetchedTile:
        """Bring the frames of a field in all bands into the cache; those that are there are not fetched again."""
        fetched = FetchedTile(tile.name, {}, {})
        match = NAME.fullmatch(tile.name)
        if match is None:
            raise InputError(f"SDSS tile {tile.name!r}: expected rerun-run-camcol-field such as 301-006377-4-0399")
        numbers = {key: int(value) for key, value in match.groupdict().items()}
        for band in self._description.bands:
            path = self._path(band, numbers)
            try:
                if not (cache / path).is_file():
                    download(self._url(band, numbers), cache / path, transfer, verify_fits)
                fetched.files[band] = str(path)
            except TransferError as error:
                fetched.faults[band] = str(error)
        if tile.facts:
            write_json(cache / self._folder / f"{tile.name}.json", dict(tile.facts))
        return fetched

    @property
    def _folder(self) -> str:
        return f"sdss-dr{self._settings.data_release}"

    def _path(self, band: str, numbers: dict[str, int]) -> Path:
        return Path(self._folder) / "frame-{band}-{run:06d}-{camcol}-{field:04d}.fits.bz2".format(band=band, **numbers)

    def _url(self, band: str, numbers: dict[str, int]) -> str:
        """Return the address that `SDSS.get_images` of astroquery would read, on the configured server."""
        release = self._settings.data_release
        instrument = "eboss" if release > 12 else "boss"
        return SDSS.IMAGING_URL_SUFFIX.format(
            base=self._settings.sas_url.rstrip("/"), dr=release, instrument=instrument, band=band, **numbers
        )

    def open(self, tile: FetchedTile, band: str, cache: Path) -> Image:
        """Read one band of a field.

        Raises
        ------
        InputError
            The file cannot be read or is not what it should be.
        """
        camcol = int(tile.name.split("-")[2])
        pixels, inverse_variance, wcs = read_frame(cache / tile.files[band], band, camcol)
        return Image(
            pixels, inverse_variance, wcs, self._psf_fwhm(tile.name, band, cache), self._description.zero_point
        )

    def _psf_fwhm(self, name: str, band: str, cache: Path) -> float:
        """Return the width of the field's PSF, or the survey's median where it is not known."""
        facts = cache / self._folder / f"{name}.json"
        width = read_json(facts).get(f"psf_width_{band}", np.nan) if facts.is_file() else np.nan
        if width > 0:
            return float(width) / width_to_fwhm(self._description.psf_beta)
        return self._description.psf_fwhm[self._description.bands.index(band)]


def width_to_fwhm(beta: float) -> float:
    """Return how many times wider SDSS's `psfWidth` is than the full width at half maximum of the PSF.

    `psfWidth` is 0.67 times the square root of the PSF's effective area, which is the FWHM of a Gaussian; real PSFs
    have wings. For a Moffat profile of exponent `beta` both follow from its integrals. (Measured on the stars of
    run 6377, camcol 4, field 399: 1.23 in g, 1.24 in r, 1.29 in i.)
    """
    area = np.pi * (2 * beta - 1) / (beta - 1) ** 2
    fwhm = 2 * np.sqrt(2 ** (1 / beta) - 1)
    return float(0.67 * np.sqrt(area) / fwhm)


def _parse(response: requests.Response) -> list[dict[str, str]]:
    """Return the rows of SkyServer's answer, which tells of errors in the text, with status 200."""
    check_status(response)
    text = response.text
    if "error_message" in text:
        message = " ".join(text.split("error_message", 1)[1].split())[:300]
        raise AttemptError(f"the query failed: {message}", final=True)
    if not text.startswith("#Table"):
        raise AttemptError(f"expected a table in CSV, got {' '.join(text[:80].split())!r}")
    return list(csv.DictReader(io.StringIO(text.split("\n", 1)[1])))


def _number(text: str) -> float:
    return float("nan") if text.strip().lower() in {"", "null"} else float(text)

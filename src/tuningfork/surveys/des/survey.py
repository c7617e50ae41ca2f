"""Dark Energy Survey Data Release 2: coadded tiles from NCSA; catalogue and list of tiles from the Data Lab, by TAP."""

import logging
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.table import Table

from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import Des
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError, TransferError
from tuningfork.core.flags import Flag
from tuningfork.sky.coordinates import unit_vectors
from tuningfork.sky.shards import Shard
from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.base import IMAGE, STAMP_MARGIN, FetchedTile, Image, Tile, require_bands
from tuningfork.surveys.catalogue_answers import PSF, box_of, keep_widths, kept_width, sources_of, with_widths
from tuningfork.surveys.des.coadd import open_coadd
from tuningfork.surveys.tap import DATA_LAB_LIMIT, ask_around, ask_tap
from tuningfork.surveys.transfer.network import Limit, Network

logger = logging.getLogger(__name__)

DES_BANDS = "grizY"
NCSA_LIMIT = Limit(rate=4.0, connections=4)
"""Our own limit for the server of the tiles, which publishes none."""
DES_TILE_NAME = re.compile(r"DES\d{4}[+-]\d{4}")
TILE_SIZE = 0.7306
"""Width and height of a tile (deg): 10,000 pixels of 0.263 arcsec."""
PIXEL_SCALE = 0.263
"""Width of a pixel (arcsec), the unit of radii and widths in the catalogue."""
CACHE_FOLDER = "des-dr2"
"""Folder of the cache."""
PSF_FWHM_LIMITS = 0.4, 3.0
"""Smallest and largest plausible PSF width (arcsec)."""
# The selection that the release paper recommends (Abbott et al. 2021, ApJS 255, 20): galaxies according to the spread
# model of the coadd, without sources that are truncated or have bad pixels. The table has each object once.
GALAXY_QUERY = """
SELECT coadd_object_id AS source_id, ra, dec, mag_auto_{band} AS mag, {pixel} * flux_radius_{band} AS radius,
flags_{band} AS extraction
FROM des_dr2.main
WHERE {box} AND (mag_auto_{band} BETWEEN {mag_min} AND {mag_max})
AND extended_class_coadd >= 2 AND flags_{band} < 4 AND imaflags_iso_{band} = 0"""
# The image of each band is the first extension of its file. The list also has these files without background
# subtraction.
TILE_QUERY = """
SELECT object AS tile, filter AS band, fileref AS file, ra1, dec1, ra2, dec2, ra3, dec3, ra4, dec4
FROM ivoa_des_dr2.siav1
WHERE {which} AND obs_pub_did LIKE '%#1' AND fileref NOT LIKE '%nobkg%' AND filter IN ({bands})"""
STAR_QUERY = """
SELECT {widths} FROM des_dr2.main
WHERE {box} AND extended_class_coadd = 0 AND (mag_auto_{band} BETWEEN 17 AND 20.5) AND {clean}"""
DEBLENDED_BIT = 2
"""Bit of SExtractor's flags: the source was deblended from a neighbour."""


class DesSurvey:
    """The survey `des`; see :class:`tuningfork.surveys.base.Survey`.

    Parameters
    ----------
    settings : Des
    description : Description
        Its bands must be among g, r, i, z, Y.
    network : Network

    Raises
    ------
    InputError
        If the description names a band that the survey does not have.
    """

    def __init__(self, settings: Des, description: Description, network: Network) -> None:
        require_bands("des", description.bands, DES_BANDS)
        self._settings = settings
        self._description = description
        self._network = network

    def catalogue(self, shard: Shard, selection: Sources) -> pa.Table:
        """Return the galaxies of the shard, selected as the release paper recommends.

        Parameters
        ----------
        shard : Shard
        selection : Sources
            Limits of the magnitude.

        Returns
        -------
        pyarrow.Table
            Table of the stage `sources`.

        Raises
        ------
        TransferError
            If the service does not answer, or answers with an error.
        """
        values = {"band": self._description.reference_band.lower(), "pixel": PIXEL_SCALE}
        values |= {"mag_min": selection.mag_min, "mag_max": selection.mag_max}
        url, around = self._settings.tap_url, Surroundings.around(shard)
        answer = ask_around(
            self._network, url, lambda box: GALAXY_QUERY.format(box=box.condition(), **values), around, DATA_LAB_LIMIT
        )
        extraction = np.ma.filled(np.ma.asarray(answer["extraction"]), 0).astype(np.int64)
        answer["flags"] = np.where(extraction & DEBLENDED_BIT, int(Flag.BLENDED), 0)
        return sources_of(answer, shard)

    def tiles(self, shard: Shard, margin: float = STAMP_MARGIN) -> list[Tile]:
        """Return the tiles that touch the shard or come within `margin` (deg) of it, in order of name."""
        box = Surroundings.around(shard).enlarged(margin + TILE_SIZE)
        answer = ask_around(
            self._network,
            self._settings.tap_url,
            lambda part: self._list(part.condition("ra1", "dec1")),
            box,
            DATA_LAB_LIMIT,
        )
        return self._tiles(answer)

    def locate(self, names: Sequence[str]) -> list[Tile]:
        """Return the tiles called `names`, such as DES0151+0001.

        Raises
        ------
        InputError
            If the survey has no such tile.
        """
        for name in names:
            if not DES_TILE_NAME.fullmatch(name):
                raise InputError(f"tile {name!r} of DES: expected a name such as DES0151+0001")
        listed = ", ".join(f"'{name}'" for name in names)
        answer = ask_tap(self._network, self._settings.tap_url, self._list(f"object IN ({listed})"), DATA_LAB_LIMIT)
        tiles = {tile.name: tile for tile in self._tiles(answer)}
        for name in names:
            if name not in tiles:
                raise InputError(f"tile {name!r}: Data Release 2 of DES has no such tile")
        return [tiles[name] for name in names]

    def _list(self, which: str) -> str:
        return TILE_QUERY.format(which=f"({which})", bands=", ".join(f"'{band}'" for band in self._description.bands))

    def _tiles(self, answer: Table) -> list[Tile]:
        """Return the tiles of the service's list, in order of name; each row of the list is one band of a tile."""
        files: dict[str, dict[str, str]] = {}
        corners: dict[str, tuple[tuple[float, float], ...]] = {}
        for row in answer:
            name, band = str(row["tile"]), str(row["band"])
            if not DES_TILE_NAME.fullmatch(name):
                logger.warning("leaving out a tile of the DES list with the unexpected name %r", name)
                continue
            files.setdefault(name, {})[band] = str(row["file"])
            corners[name] = tuple((float(row[f"ra{k}"]) % 360, float(row[f"dec{k}"])) for k in (1, 2, 3, 4))
        return [
            Tile(name, *_centre(corners[name]), corners[name], facts={"files": files[name]}) for name in sorted(files)
        ]

    def fetch(self, tile: Tile) -> FetchedTile:
        """Fetch the file of every band, and the PSF widths, into the cache."""
        files: dict[str, dict[str, str]] = {}
        faults: dict[str, str] = {}
        listed: dict[str, Any] = tile.facts.get("files", {})
        for band in self._description.bands:
            if band not in listed:
                faults[band] = "the survey does not list this band of the tile"
                continue
            try:
                files[band] = {IMAGE: self._file(tile.name, band, str(listed[band]))}
            except TransferError as error:
                faults[band] = str(error)
        return with_widths(FetchedTile(tile, files, faults), self._description.bands, self._widths)

    def _file(self, name: str, band: str, file: str) -> str:
        if not DES_TILE_NAME.fullmatch(name) or not re.fullmatch(
            rf"{re.escape(name)}_r\d{{4}}p\d{{2}}_{band}\.fits\.fz", file
        ):
            raise TransferError(
                f"the list of tiles names the file {file!r}: expected one such as {name}_r4907p01_{band}.fits.fz"
            )
        url = f"{self._settings.data_url.rstrip('/')}/dr2_tiles/{name}/{file}"
        return self._network.file(url, f"{CACHE_FOLDER}/{file}", limit=NCSA_LIMIT)

    def _widths(self, tile: Tile) -> str | None:
        bands = self._description.bands
        query = STAR_QUERY.format(
            widths=", ".join(f"AVG(fwhm_image_{band.lower()}) AS width_{band}" for band in bands),
            box=box_of(tile).condition(),
            band=self._description.reference_band.lower(),
            clean=" AND ".join(f"flags_{b.lower()} = 0 AND imaflags_iso_{b.lower()} = 0" for b in bands),
        )
        file = f"{CACHE_FOLDER}/psf-{tile.name}-{''.join(bands)}.json"
        return keep_widths(self._network, file, self._settings.tap_url, query, bands, DATA_LAB_LIMIT)

    def open(self, tile: FetchedTile, band: str) -> Image:
        """Open one band of a tile."""
        files = tile.files[band]
        limits = PSF_FWHM_LIMITS[0] / PIXEL_SCALE, PSF_FWHM_LIMITS[1] / PIXEL_SCALE
        width = kept_width(self._network.path(files[PSF]), band, limits) if PSF in files else None
        known = self._description.psf_fwhm[self._description.bands.index(band)]
        return open_coadd(self._network.path(files[IMAGE]), band, known if width is None else width * PIXEL_SCALE)


def _centre(corners: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the centre of corners (deg), which may lie on both sides of right ascension zero."""
    middle = unit_vectors(*np.array(corners).T).sum(axis=0)
    lon, lat = np.arctan2(middle[1], middle[0]), np.arctan2(middle[2], np.hypot(*middle[:2]))
    return float(np.rad2deg(lon)) % 360, float(np.rad2deg(lat))

"""Pan-STARRS1 Data Release 2: stack images of sky cells, and the stack catalogue by TAP, both from STScI."""

from collections.abc import Sequence

import pyarrow as pa

from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import Panstarrs
from tuningfork.core.description import Description
from tuningfork.core.errors import TransferError
from tuningfork.sky.shards import Shard
from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.base import IMAGE, STAMP_MARGIN, FetchedTile, Image, Tile, require_bands
from tuningfork.surveys.catalogue_answers import PSF, box_of, keep_widths, kept_width, sources_of, with_widths
from tuningfork.surveys.panstarrs.cells import cell, cells_around
from tuningfork.surveys.panstarrs.stack import open_stack
from tuningfork.surveys.tap import ask_around
from tuningfork.surveys.transfer.network import Limit, Network

PANSTARRS_BANDS = "grizy"
STSCI_LIMIT = Limit(rate=4.0, connections=4)
"""Our own limit: STScI publishes none, and this is far below the load that has troubled its servers."""
MAX_ROWS = 100_000
"""Rows requested at a time: queries of STScI's TAP service must finish within minutes."""
WEIGHT, MASK = "weight", "mask"
FILE_SUFFIXES = {IMAGE: "", WEIGHT: ".wt", MASK: ".mask"}
"""Role -> suffix in the name of a file."""
CACHE_FOLDER = "panstarrs-dr2"
"""Folder of the cache."""
KRON_TO_HALF_LIGHT = 0.336
"""Half-light radius of an exponential disc in Kron radii. The survey's Kron radius is 2.5 first radial moments; the first
moment of an exponential disc is 2 scale lengths, and its half-light radius 1.678."""
PSF_FWHM_LIMITS = 0.4, 5.0
"""Smallest and largest plausible PSF width (arcsec)."""
# The PSF and Kron magnitudes of stars in i agree within 0.05 (Farrow et al. 2014). Primary detections are those in the
# sky cell that is primary at the position. Positions measured on stacks (raStack, decStack) have larger systematic errors
# than mean positions, as the archive's list of known issues warns.
GALAXY_QUERY = """
SELECT objID AS source_id, raMean AS ra, decMean AS dec, {band}KronMag AS mag, {half} * {band}KronRad AS radius
FROM dbo.StackObjectView
WHERE {box} AND primaryDetection = 1 AND ({band}KronMag BETWEEN {mag_min} AND {mag_max})
AND iPSFMag > 0 AND iKronMag > 0 AND iPSFMag - iKronMag > 0.05"""
STAR_QUERY = """
SELECT {widths} FROM dbo.StackObjectView
WHERE {box} AND primaryDetection = 1 AND (iPSFMag BETWEEN 15 AND 19) AND (iPSFMag - iKronMag BETWEEN -0.2 AND 0.05)
AND {known}"""


class PanstarrsSurvey:
    """The survey `panstarrs`; see :class:`tuningfork.surveys.base.Survey`. A tile is a sky cell.

    Parameters
    ----------
    settings : Panstarrs
    description : Description
        Its bands must be among g, r, i, z, y.
    network : Network

    Raises
    ------
    InputError
        If the description names a band that the survey does not have.
    """

    def __init__(self, settings: Panstarrs, description: Description, network: Network) -> None:
        require_bands("panstarrs", description.bands, PANSTARRS_BANDS)
        self._settings = settings
        self._description = description
        self._network = network

    def catalogue(self, shard: Shard, selection: Sources) -> pa.Table:
        """Return the galaxies of the shard: primary stack detections that are wider than the PSF in i.

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
        band = self._description.reference_band

        def query(box: Surroundings) -> str:
            return GALAXY_QUERY.format(
                band=band,
                half=KRON_TO_HALF_LIGHT,
                box=box.condition("raMean", "decMean"),
                mag_min=selection.mag_min,
                mag_max=selection.mag_max,
            )

        answer = ask_around(
            self._network, self._settings.tap_url, query, Surroundings.around(shard), STSCI_LIMIT, MAX_ROWS
        )
        return sources_of(answer, shard)

    def tiles(self, shard: Shard, margin: float = STAMP_MARGIN) -> list[Tile]:
        """Return the sky cells that touch the shard or come within `margin` (deg) of it; unobserved ones have no files."""
        return cells_around(shard, margin)

    def locate(self, names: Sequence[str]) -> list[Tile]:
        """Return the sky cells called `names`, such as 1329.005.

        Raises
        ------
        InputError
            If the survey has no such sky cell.
        """
        return [cell(name) for name in names]

    def fetch(self, tile: Tile) -> FetchedTile:
        """Fetch the stack image, variance and mask of every band, and the PSF widths, into the cache."""
        cell(tile.name)
        files: dict[str, dict[str, str]] = {}
        faults: dict[str, str] = {}
        for band in self._description.bands:
            try:
                files[band] = {role: self._file(tile.name, band, role) for role in FILE_SUFFIXES}
            except TransferError as error:
                faults[band] = str(error)
        return with_widths(FetchedTile(tile, files, faults), self._description.bands, self._widths)

    def _file(self, name: str, band: str, role: str) -> str:
        projection, number = name.split(".")
        file = f"rings.v3.skycell.{name}.stk.{band}.unconv{FILE_SUFFIXES[role]}.fits"
        url = f"{self._settings.image_url.rstrip('/')}/rings.v3.skycell/{projection}/{number}/{file}"
        return self._network.file(url, f"{CACHE_FOLDER}/{file}", limit=STSCI_LIMIT)

    def _widths(self, tile: Tile) -> str | None:
        bands = self._description.bands
        query = STAR_QUERY.format(
            widths=", ".join(f"(AVG({b}psfMajorFWHM) + AVG({b}psfMinorFWHM)) / 2 AS width_{b}" for b in bands),
            box=box_of(tile).condition("raMean", "decMean"),
            known=" AND ".join(f"{b}psfMajorFWHM > 0 AND {b}psfMinorFWHM > 0" for b in bands),
        )
        name = f"{CACHE_FOLDER}/psf-{tile.name}-{''.join(bands)}.json"
        return keep_widths(self._network, name, self._settings.tap_url, query, bands, STSCI_LIMIT)

    def open(self, tile: FetchedTile, band: str) -> Image:
        """Open one band of a sky cell, in counts per second."""
        paths = {role: self._network.path(name) for role, name in tile.files[band].items()}
        width = kept_width(paths[PSF], band, PSF_FWHM_LIMITS) if PSF in paths else None
        if width is None:
            width = self._description.psf_fwhm[self._description.bands.index(band)]
        return open_stack(paths[IMAGE], paths[WEIGHT], paths[MASK], band, width)

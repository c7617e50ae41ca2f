"""SDSS imaging: galaxies and fields from SkyServer or flat files, corrected frames and PSFs from the archive."""

import logging
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tuningfork.core.columns.table import shard_table
from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import Sdss
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError, TransferError
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import (
    IMAGE,
    STAMP_MARGIN,
    FetchedTile,
    FullWidths,
    Image,
    Tile,
    everywhere,
    require_bands,
)
from tuningfork.surveys.sdss.archive import SDSS_BANDS, Archive, FieldName
from tuningfork.surveys.sdss.camera import gain_and_dark_variance
from tuningfork.surveys.sdss.files import FlatFiles
from tuningfork.surveys.sdss.frame import Frame
from tuningfork.surveys.sdss.mask import read_saturated
from tuningfork.surveys.sdss.psf import FieldPsf, verify_psf
from tuningfork.surveys.sdss.skyserver import SkyServer
from tuningfork.surveys.transfer.network import Network

logger = logging.getLogger(__name__)

PSF = "psf"
"""Role of the psField file."""
MASK = "mask"
"""Role of the fpM file."""


class SdssSurvey:
    """The survey `sdss`; see :class:`tuningfork.surveys.base.Survey`. A tile is a field.

    Parameters
    ----------
    settings : Sdss
    description : Description
        Its bands must be among u, g, r, i, z.
    network : Network

    Raises
    ------
    InputError
        If the description names a band that SDSS does not have.
    """

    def __init__(self, settings: Sdss, description: Description, network: Network) -> None:
        require_bands("sdss", description.bands, SDSS_BANDS)
        self._description, self._network = description, network
        self._archive = Archive(settings.sas_url, settings.data_release)
        self._lists: SkyServer | FlatFiles
        if settings.catalogue == "files":
            self._lists = FlatFiles(self._archive, description.bands, network)
        else:
            self._lists = SkyServer(settings.skyserver_url, settings.data_release, description.bands, network)

    def catalogue(self, shard: Shard, selection: Sources) -> pa.Table:
        """Return the primary galaxies of the shard within the limits of the Petrosian magnitude, in order of source_id.

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
            If a service does not answer, or answers with an error.
        """
        band = self._description.reference_band
        galaxies = self._lists.galaxies(shard, band, selection.mag_min, selection.mag_max)
        ids = np.array(sorted(galaxies), dtype=np.int64)
        values = np.array([galaxies[number] for number in sorted(galaxies)], dtype=float).reshape(-1, 5)
        inside = shard.contains(values[:, 0], values[:, 1])
        ra, dec, redshift, mag, radius = values[inside].T
        columns = {"ra": ra, "dec": dec, "redshift": redshift, "survey_mag": mag}
        # SDSS marks a missing radius by -9999.
        columns["survey_radius"] = np.where(radius > 0, radius, np.nan)
        return shard_table(
            "sources", {"source_id": ids[inside], "flags": np.zeros(inside.sum(), dtype=np.int64), **columns}
        )

    def tiles(self, shard: Shard, margin: float = STAMP_MARGIN) -> list[Tile]:
        """Return the fields that are primary somewhere within `margin` (deg) of the shard, in order of name."""
        return self._lists.fields(shard, margin)

    def locate(self, names: Sequence[str]) -> list[Tile]:
        """Return the fields called `names`, such as 301-006377-4-0399.

        Raises
        ------
        InputError
            If the data release has no such field.
        """
        return self._lists.locate([FieldName.parse(name) for name in names])

    def fetch(self, tile: Tile) -> FetchedTile:
        """Fetch the frames of a field in all bands, their fpM files and the field's psField file, into the cache.

        If there is no psField file, the PSF widths of the list of fields are used, and a warning is logged. Without an
        fpM file, saturated pixels are not known as such.
        """
        field = FieldName.parse(tile.name)
        fetched = FetchedTile(tile, {}, {})
        common: dict[str, str] = {}
        url, name = self._archive.psf(field)
        try:
            common[PSF] = self._network.file(url, name, verify=verify_psf)
        except TransferError as error:
            if self._network.settings.offline:
                return FetchedTile(tile, {}, dict.fromkeys(self._description.bands, str(error)))
            logger.warning("tile %s: no psField file, using the PSF widths of the list of fields: %s", tile.name, error)
        for band in self._description.bands:
            url, name = self._archive.frame(field, band)
            try:
                fetched.files[band] = {IMAGE: self._network.file(url, name), **common, **self._mask(field, band)}
            except TransferError as error:
                fetched.faults[band] = str(error)
        return fetched

    def _mask(self, field: FieldName, band: str) -> dict[str, str]:
        """Fetch the fpM file of a frame; return its role and name in the cache, or nothing if there is none."""
        url, name = self._archive.mask(field, band)
        try:
            return {MASK: self._network.file(url, name)}
        except TransferError as error:
            logger.warning("tile %s, band %s: no fpM file, saturated pixels are not known: %s", field, band, error)
            return {}

    def open(self, tile: FetchedTile, band: str) -> Image:
        """Open one band of a field.

        Raises
        ------
        InputError
            If the file cannot be read or is not what it should be.
        """
        field = FieldName.parse(tile.name)
        frame = Frame.read(self._network.path(tile.files[band][IMAGE]), band)
        height, width = frame.pixels.shape
        saturated = self._saturated(tile, band, (height, width))
        fwhm, psf_images = self._listed_width(tile.tile, band), None
        gain, dark_variance = gain_and_dark_variance(field.run, field.camcol, band)
        if PSF in tile.files[band]:
            try:
                psf = FieldPsf.read(self._network.path(tile.files[band][PSF]), band)
                fwhm, gain, dark_variance = self._fwhm(psf, (height, width)), psf.gain, psf.dark_variance
                psf_images = psf.images
            except InputError as error:
                logger.warning(
                    "tile %s, band %s: using the PSF width of the list of fields: %s", tile.name, band, error
                )
        rows = frame.rows(gain, dark_variance, saturated)
        known = None if saturated is None else lambda start, stop: saturated[start:stop]
        zero_point = self._description.zero_point
        return Image((height, width), rows, frame.wcs, fwhm, zero_point, known, psf_images=psf_images)

    def _saturated(self, tile: FetchedTile, band: str, shape: tuple[int, int]) -> np.ndarray | None:
        """Return the saturated pixels of a frame, or None without a usable fpM file."""
        if MASK not in tile.files[band]:
            return None
        try:
            return read_saturated(self._network.path(tile.files[band][MASK]), shape)
        except InputError as error:
            logger.warning("tile %s, band %s: saturated pixels are not known: %s", tile.name, band, error)
            return None

    def _fwhm(self, psf: FieldPsf, shape: tuple[int, int]) -> FullWidths:
        width = psf.fwhm(shape)
        return lambda x, y: width(x, y) * self._description.pixel_scale

    def _listed_width(self, tile: Tile, band: str) -> FullWidths:
        """Return the width in the list of fields, or the survey's median if it is unknown."""
        listed = float(tile.facts.get(f"psf_width_{band}", np.nan))
        width = self._description.psf_fwhm[self._description.bands.index(band)]
        if listed > 0:
            width = listed / width_to_fwhm(self._description.psf_beta)
        return everywhere(width)


def width_to_fwhm(beta: float) -> float:
    """Return the ratio of SDSS's `psfWidth` to the full width at half maximum of the PSF.

    `psfWidth` is 0.67 times the square root of the PSF's effective area, which is the FWHM of a Gaussian; real PSFs
    have wings. For a Moffat profile of exponent `beta`, both follow from its integrals. (The ratios measured on the stars
    of run 6377, camcol 4, field 399 are 1.23 in g, 1.24 in r and 1.29 in i.)
    """
    area = np.pi * (2 * beta - 1) / (beta - 1) ** 2
    fwhm = 2 * np.sqrt(2 ** (1 / beta) - 1)
    return float(0.67 * np.sqrt(area) / fwhm)

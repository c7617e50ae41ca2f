"""Euclid Quick Release 1: mosaics and catalogue of the MER pipeline, from IRSA through astroquery."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tuningfork.core.columns.table import shard_table
from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import Euclid
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError, TransferError
from tuningfork.sky.shards import Shard
from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.base import IMAGE, STAMP_MARGIN, FetchedTile, Image, Tile
from tuningfork.surveys.catalogue_answers import floats
from tuningfork.surveys.euclid.irsa import COLLECTION, IRSA_LIMIT, Irsa
from tuningfork.surveys.euclid.mosaic import SATURATED_BITS, open_mosaic
from tuningfork.surveys.euclid.products import (
    FILTER_OF_BAND,
    MASK,
    NOISE,
    PSF,
    TILE_NUMBER,
    Product,
    checked_url,
    tiles_of_rows,
)
from tuningfork.surveys.euclid.psf import have_widths
from tuningfork.surveys.tap import TooManyRowsError
from tuningfork.surveys.transfer.network import Network

MICROJANSKY_ZERO_POINT = 23.9
"""AB magnitude of the catalogue's flux unit."""
STAR_PROBABILITY = 0.5
"""Probability above which a source counts as a star."""
GALAXY_QUERY = """
SELECT m.object_id, m.ra, m.dec, m.flux_detection_total, s.sersic_sersic_vis_radius
FROM euclid_q1_mer_catalogue AS m LEFT JOIN euclid_q1_mer_morphology AS s ON s.object_id = m.object_id
WHERE {box} AND m.vis_det = 1 AND m.spurious_flag = 0
AND (m.point_like_prob IS NULL OR m.point_like_prob < {point_like})
AND m.flux_detection_total BETWEEN {faintest:.8g} AND {brightest:.8g}"""
IRSA_DATA_PATH = "/ibe/data/euclid/"
"""Path that precedes the folders that IRSA and copies of it have in common."""
FINEST_SPLIT_ORDER = 12
"""Order of shards from which a list of mosaics is not split further."""


class EuclidSurvey:
    """The survey `euclid`; see :class:`tuningfork.surveys.base.Survey`.

    Parameters
    ----------
    settings : Euclid
    description : Description
        Its bands must be among VIS, Y, J, H, with VIS as the reference band.
    network : Network

    Raises
    ------
    InputError
        If the description names another band.
    """

    def __init__(self, settings: Euclid, description: Description, network: Network) -> None:
        if not set(FILTER_OF_BAND).issuperset(description.bands) or description.reference_band != "VIS":
            raise InputError(
                f"bands {description.bands} with the reference band {description.reference_band!r} of the survey "
                "euclid: expected some of VIS, Y, J, H, with VIS as the reference band"
            )
        self._description = description
        self._network = network
        self._service = settings.irsa_url.rstrip("/")
        self._copy = settings.copy_url.rstrip("/")
        self._irsa = Irsa(network, self._service)

    def catalogue(self, shard: Shard, selection: Sources) -> pa.Table:
        """Return the galaxies of the MER catalogue, which lists each one once although the tiles overlap.

        The magnitude is that of the total (Kron) flux in VIS, the radius that of the Sersic fit in VIS.

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
            If IRSA does not answer, or answers with an error.
        """
        brightest, faintest = (
            10 ** (-0.4 * (mag - MICROJANSKY_ZERO_POINT)) for mag in (selection.mag_min, selection.mag_max)
        )

        def query(box: Surroundings) -> str:
            area = box.condition("m.ra", "m.dec")
            return GALAXY_QUERY.format(box=area, point_like=STAR_PROBABILITY, faintest=faintest, brightest=brightest)

        rows = self._irsa.catalogue_around(query, Surroundings.around(shard))
        ids, first = np.unique(np.asarray(rows["object_id"], dtype=np.int64), return_index=True)
        ra, dec, flux, radius = (
            floats(rows, name)[first] for name in ("ra", "dec", "flux_detection_total", "sersic_sersic_vis_radius")
        )
        inside = shard.contains(ra, dec)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = {
                "ra": ra,
                "dec": dec,
                "survey_mag": MICROJANSKY_ZERO_POINT - 2.5 * np.log10(flux),
                "survey_radius": radius,
            }
        values |= {"source_id": ids, "flags": np.zeros(len(ids), dtype=np.int64)}
        return shard_table("sources", {name: column[inside] for name, column in values.items()})

    def tiles(self, shard: Shard, margin: float = STAMP_MARGIN) -> list[Tile]:
        """Return the tiles near the shard, in order of name.

        Raises
        ------
        TransferError
            If IRSA does not answer, or answers with an error.
        """
        centre_ra, centre_dec = shard.centre
        radius = shard.radius * 1.02 + margin
        try:
            rows = self._irsa.mosaics(centre_ra, centre_dec, radius)
        except TooManyRowsError:
            if shard.order >= FINEST_SPLIT_ORDER:
                raise
            quarters = [Shard(shard.order + 1, 4 * shard.pixel + number) for number in range(4)]
            tiles = {tile.name: tile for quarter in quarters for tile in self.tiles(quarter, margin)}
            return [tiles[name] for name in sorted(tiles)]
        return list(tiles_of_rows(rows, self._description.bands, self._service).values())

    def locate(self, names: Sequence[str]) -> list[Tile]:
        """Return the tiles with these numbers of nine digits.

        Raises
        ------
        InputError
            If Q1 has no such tile.
        TransferError
            If IRSA does not answer, or answers with an error.
        """
        for name in names:
            if not TILE_NUMBER.fullmatch(name):
                raise InputError(f"tile {name!r} of the survey euclid: expected nine digits, such as 102158277")
        wanted = ", ".join(f"'{name}_VIS'" for name in names)
        rows = self._irsa.catalogue(
            f"SELECT obs_id, s_ra, s_dec FROM ivoa.obscore WHERE obs_collection = '{COLLECTION}' AND obs_id IN ({wanted})"
        )
        positions = {str(row["obs_id"])[:9]: (float(row["s_ra"]), float(row["s_dec"])) for row in rows}
        return [self._tile(name, positions.get(name)) for name in names]

    def _tile(self, name: str, position: tuple[float, float] | None) -> Tile:
        tiles: dict[str, Tile] = {}
        if position is not None:
            tiles = tiles_of_rows(self._irsa.mosaics(*position, STAMP_MARGIN), self._description.bands, self._service)
        if name not in tiles:
            raise InputError(f"tile {name!r}: Euclid Q1 has no such tile; check its number")
        return tiles[name]

    def fetch(self, tile: Tile) -> FetchedTile:
        """Fetch mosaics, noise maps, flag maps and PSF widths into the cache."""
        files: dict[str, dict[str, str]] = {}
        faults: dict[str, str] = {}
        for band in self._description.bands:
            urls = tile.facts.get("files", {}).get(band, {})
            if not {IMAGE, NOISE} <= set(urls):
                faults[band] = "Euclid Q1 has no mosaic with a noise map in this band here"
                continue
            try:
                files[band] = {role: self._have(url, role) for role, url in sorted(urls.items())}
            except (InputError, TransferError) as error:
                faults[band] = str(error)
        return FetchedTile(tile, files, faults)

    def _have(self, url: str, role: str) -> str:
        name = f"euclid-q1/{checked_url(url, self._service).rpartition('/')[2]}"
        if self._copy:
            url = f"{self._copy}/{url.partition(IRSA_DATA_PATH)[2]}"
        if role == PSF:
            return have_widths(self._network, url, name.replace("GRID-PSF", "PSF-WIDTHS"), IRSA_LIMIT)
        return self._network.file(url, name, limit=IRSA_LIMIT)

    def open(self, tile: FetchedTile, band: str) -> Image:
        """Open one band of a tile; its pixels are in the flux unit of the description.

        Raises
        ------
        InputError
            If a file is damaged, or is not of this tile and band.
        """
        files = tile.files[band]
        product = Product.parse(files[IMAGE].rpartition("/")[2])
        if product is None or (product.tile, product.band, product.role) != (tile.name, band, IMAGE):
            raise InputError(f"{files[IMAGE]}: expected the mosaic of the tile {tile.name} in the band {band}")
        paths = {role: self._network.path(name) for role, name in files.items()}
        return open_mosaic(
            paths[IMAGE],
            paths[NOISE],
            paths.get(MASK),
            paths.get(PSF),
            self._description.zero_point,
            self._description.psf_fwhm[self._description.bands.index(band)],
            SATURATED_BITS.get(band),
        )

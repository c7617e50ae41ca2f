"""DESI Legacy Imaging Surveys: the coadded bricks of a data release, and its catalogue."""

import logging
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import Legacy
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError, TransferError
from tuningfork.core.files import map_array
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import IMAGE, STAMP_MARGIN, FetchedTile, Image, Tile, require_bands
from tuningfork.surveys.legacy.bricks import (
    LEGACY_BANDS,
    Brick,
    bands_of,
    brick_named,
    bricks_around,
    bricks_per_row,
    write_index,
)
from tuningfork.surveys.legacy.catalogue import from_files, from_tap
from tuningfork.surveys.legacy.image import INVVAR, MASKBITS, PSFSIZE, open_brick
from tuningfork.surveys.transfer.attempts import AttemptError
from tuningfork.surveys.transfer.network import Limit, Network

logger = logging.getLogger(__name__)

NERSC_LIMIT = Limit(connections=8)
"""Our own limit for the portal of NERSC, which publishes none; the configured rate applies as well."""
CHECKSUM_LINE = re.compile(r"([0-9a-f]{64}) [ *](\S+)")
"""A line of a list of checksums."""
MAX_CHECKSUM_LIST_BYTES = 1 << 22
"""Size of the largest list of checksums that is accepted; that of a brick has 58 lines."""


class LegacySurvey:
    """The survey `legacy`; see :class:`tuningfork.surveys.base.Survey`. A tile is a brick.

    Parameters
    ----------
    settings : Legacy
    description : Description
        Its bands must be among g, r, i, z; Data Release 9 has no i.
    network : Network

    Raises
    ------
    InputError
        If the description names a band that the release does not have.
    """

    def __init__(self, settings: Legacy, description: Description, network: Network) -> None:
        self.settings, self.description, self.network = settings, description, network
        self.release = f"dr{settings.data_release}"
        self.base = f"{settings.data_url.rstrip('/')}/{self.release}/south"
        self.folder = f"legacy-{self.release}"
        known = LEGACY_BANDS if settings.data_release >= 10 else LEGACY_BANDS.replace("i", "")
        require_bands("legacy", description.bands, known)

    @cached_property
    def _index(self) -> np.ndarray:
        """Bricks and bands of the release; see `write_index`."""
        name = f"{self.folder}/bricks.npy"
        if not self.network.path(name).is_file():
            table = f"survey-bricks-{self.release}-south.fits.gz"
            self.network.file(f"{self.base}/{table}", f"{self.folder}/{table}", limit=NERSC_LIMIT)
            self.network.make(name, lambda path: write_index(self.network.path(f"{self.folder}/{table}"), path))
        path = self.network.path(name)
        try:
            index = map_array(path)
        except ValueError as error:
            raise InputError(f"{path}: not a readable index of bricks ({error}); delete it and run again") from None
        if index.shape != (bricks_per_row().sum() + 1,) or index.dtype != np.uint8:
            raise InputError(f"{path}: not an index of bricks; delete it and run again")
        return np.asarray(index)

    def catalogue(self, shard: Shard, selection: Sources) -> pa.Table:
        """Return the primary galaxies of the shard within the magnitude limits.

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
        InputError
            If a file is damaged.
        """
        release, band = self.settings.data_release, self.description.reference_band
        if self.settings.catalogue == "tap":
            return from_tap(self.network, self.settings.tap_url, release, band, shard, selection)
        bricks = (brick for brick in bricks_around(shard, 0) if bands_of(self._index, brick, LEGACY_BANDS) is not None)
        return from_files((self._tractor(brick) for brick in bricks), band, shard, selection)

    def _tractor(self, brick: Brick) -> Path:
        group, file = brick.name[:3], f"tractor-{brick.name}.fits"
        name, url = f"{self.folder}/{group}/{file}", f"{self.base}/tractor/{group}"
        listed = f"legacysurvey_{self.release}_south_tractor_{group}.sha256sum"
        sums = self._checksums(f"{url}/{listed}", f"{self.folder}/{group}/{listed}", [name])
        return self.network.path(self.network.file(f"{url}/{file}", name, sha256=sums.get(file), limit=NERSC_LIMIT))

    def tiles(self, shard: Shard, margin: float = STAMP_MARGIN) -> list[Tile]:
        """Return the bricks of the release that touch the shard or come within `margin` (deg) of it, in order of name."""
        tiles = [self._tile(brick) for brick in bricks_around(shard, margin)]
        return sorted((tile for tile in tiles if tile is not None), key=lambda tile: tile.name)

    def locate(self, names: Sequence[str]) -> list[Tile]:
        """Return the bricks called `names`, such as 1126p222.

        Raises
        ------
        InputError
            If the release has no images of such a brick.
        """
        tiles = []
        for name in names:
            tile = self._tile(brick_named(name))
            if tile is None:
                raise InputError(f"brick {name}: {self.release} of the Legacy Surveys (south) has no images of it")
            tiles.append(tile)
        return tiles

    def _tile(self, brick: Brick) -> Tile | None:
        bands = bands_of(self._index, brick, self.description.bands)
        if bands is None:
            return None
        return Tile(brick.name, brick.ra, brick.dec, brick.corners, brick.unique, {"bands": bands})

    def fetch(self, tile: Tile) -> FetchedTile:
        """Fetch the brick's image, inverse variance, PSF size and mask into the cache."""
        brick = brick_named(tile.name).name
        bands = tile.facts.get("bands", self.description.bands)
        wanted = {band: _names(brick, band) for band in self.description.bands if band in bands}
        faults = {
            band: f"{self.release} has no images of brick {brick} in {band}"
            for band in self.description.bands
            if band not in bands
        }
        url = f"{self.base}/coadd/{brick[:3]}/{brick}"
        folder = f"{self.folder}/{brick[:3]}"
        listed = f"legacysurvey_{self.release}_south_coadd_{brick[:3]}_{brick}.sha256sum"
        names_in_cache = [f"{folder}/{file}" for names in wanted.values() for file in names.values()]
        sums = self._checksums(f"{url}/{listed}", f"{folder}/{listed}", names_in_cache)
        files: dict[str, dict[str, str]] = {}
        for band, names in wanted.items():
            try:
                files[band] = {
                    role: self.network.file(
                        f"{url}/{file}", f"{folder}/{file}", sha256=sums.get(file), limit=NERSC_LIMIT
                    )
                    for role, file in names.items()
                }
            except TransferError as error:
                faults[band] = str(error)
        return FetchedTile(tile, files, faults)

    def _checksums(self, url: str, name: str, wanted: Sequence[str]) -> dict[str, str]:
        """Return file -> SHA-256 from a list that the survey publishes, unless all files are in the cache."""
        if all(self.network.path(file).is_file() for file in wanted):
            return {}
        try:
            path = self.network.path(self.network.file(url, name, verify=_verify_list, limit=NERSC_LIMIT))
        except TransferError as error:
            logger.warning("no published checksums (%s); using only those within the files", error)
            return {}
        return {file: digest for digest, file in CHECKSUM_LINE.findall(path.read_text(encoding="ascii"))}

    def open(self, tile: FetchedTile, band: str) -> Image:
        """Open one band of a brick.

        Raises
        ------
        InputError
            If a file is missing or damaged.
        """
        files = {role: self.network.path(name) for role, name in tile.files[band].items()}
        return open_brick(files, tile.name, band, self.description.zero_point)


def _names(brick: str, band: str) -> dict[str, str]:
    """Return the files of one band of a brick, by role; all bands share the mask."""
    begin = f"legacysurvey-{brick}"
    files = {MASKBITS: f"{begin}-maskbits.fits.fz"}
    return files | {role: f"{begin}-{role}-{band}.fits.fz" for role in (IMAGE, INVVAR, PSFSIZE)}


def _verify_list(path: Path) -> None:
    """Check that a file is a list as written by `sha256sum`."""
    if path.stat().st_size > MAX_CHECKSUM_LIST_BYTES:
        raise AttemptError(
            f"more bytes than the limit of {MAX_CHECKSUM_LIST_BYTES} for a list of checksums", final=True
        )
    text = path.read_bytes().decode("ascii", errors="replace")
    lines = text.splitlines()
    # Without a final newline, the list may be truncated within a name.
    if not text.endswith("\n") or not all(CHECKSUM_LINE.fullmatch(line) for line in lines):
        raise AttemptError("expected a list of checksums, received something else")

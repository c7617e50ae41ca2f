"""What every survey offers to the pipeline."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from astropy.wcs import WCS

from tuningfork.core.config.stages import Sources
from tuningfork.core.config.stages import Tiles as Transfer
from tuningfork.sky.shards import Shard


@dataclass(frozen=True)
class Tile:
    """A tile that a shard needs, before it is fetched.

    Attributes
    ----------
    name : str
        Unique within the survey; letters, digits, '.', '_', '+' and '-' only.
    ra, dec : float
        Centre (deg).
    facts : mapping
        What the survey's catalogue says about the tile and its files do not.
    """

    name: str
    ra: float
    dec: float
    facts: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class FetchedTile:
    """A tile whose files are in the cache; a band whose file could not be had is absent.

    Attributes
    ----------
    name : str
    files : dict
        Band -> path relative to the cache. Several bands may share a file.
    faults : dict
        Band -> why it is missing, in words.
    """

    name: str
    files: dict[str, str]
    faults: dict[str, str]


@dataclass
class Image:
    """One band of an open tile.

    Attributes
    ----------
    pixels : ndarray
        float32 (H, W), sky-subtracted surface brightness in linear flux units; row 0 is the FITS row 1.
    inverse_variance : ndarray
        float32 (H, W); zero where there are no data.
    wcs : astropy.wcs.WCS
        Celestial WCS of the image; pixel (0, 0) is the centre of the first pixel.
    psf_fwhm : float
        Full width at half maximum of the PSF (arcsec).
    zero_point : float
        AB magnitude of one flux unit.
    """

    pixels: np.ndarray
    inverse_variance: np.ndarray
    wcs: WCS
    psf_fwhm: float
    zero_point: float


class Survey(Protocol):
    """A survey: one module that implements this, one YAML file that describes it."""

    def sources(self, shard: Shard, selection: Sources) -> pa.Table:
        """Return the sources of the shard, whole, as a table of the stage `sources`, in order of source_id."""
        ...

    def tiles(self, shard: Shard, sources: pa.Table) -> list[Tile]:
        """Return the tiles that the stamps of the shard's sources need, in order of their names."""
        ...

    def fetch(self, tile: Tile, cache: Path, transfer: Transfer) -> FetchedTile:
        """Bring the tile's files into the cache; a fault of one band is recorded, not raised."""
        ...

    def open(self, tile: FetchedTile, band: str, cache: Path) -> Image:
        """Read one band of a tile.

        Raises
        ------
        InputError
            The file cannot be read or is not what it should be.
        """
        ...


OWN_IMAGES = b"tuningfork.own_images"


@dataclass(frozen=True)
class OwnImages:
    """Which sources have an image of their own, as stamps of single galaxies do.

    Attributes
    ----------
    tiles : list
        For each source the name of the tile that is its image, or None: any tile that covers it will do.
    centred : list of bool
        Whether the galaxy is at the centre of that image, for images that cannot say where on the sky they are.
    """

    tiles: Sequence[str | None]
    centred: Sequence[bool]

    def attach(self, sources: pa.Table) -> pa.Table:
        """Return the table of sources with this knowledge in its metadata."""
        value = json.dumps({"tiles": list(self.tiles), "centred": list(self.centred)})
        return sources.replace_schema_metadata((sources.schema.metadata or {}) | {OWN_IMAGES: value})

    @classmethod
    def of(cls, sources: pa.Table) -> "OwnImages":
        """Return what :meth:`attach` put into a table of sources; nothing is known of other tables."""
        value = (sources.schema.metadata or {}).get(OWN_IMAGES)
        if value is None:
            return cls([None] * sources.num_rows, [False] * sources.num_rows)
        return cls(**json.loads(value))

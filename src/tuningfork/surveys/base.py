"""The protocol that every survey implements, and the tiles and images that it returns."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from astropy.wcs import WCS

from tuningfork.core.config.sources import Sources
from tuningfork.core.errors import InputError
from tuningfork.sky.shards import Shard

IMAGE = "image"
"""Role of the file with the pixels; a survey names the roles of its other files (weight, mask, psf, ...) itself."""


@dataclass(frozen=True)
class Tile:
    """A tile of a survey, before it is fetched.

    Attributes
    ----------
    name : str
        Unique within the survey; letters, digits, '.', '_', '+' and '-' only.
    ra, dec : float
        Centre (deg); NaN if unknown.
    corners : tuple of (ra, dec)
        Corners of the imaging (deg), in order around the tile, convex. Empty if unknown: any source may lie on it.
    unique : tuple of four floats or None
        ra_min, ra_max, dec_min, dec_max (deg) of the region in which the survey declares this tile primary; ra_min >
        ra_max if the region crosses right ascension zero. Without it, a source belongs to the tile in which it lies
        farthest from the edges.
    facts : mapping
        What the survey's lists say about the tile and its files do not, such as addresses or PSF widths; JSON values.
    """

    name: str
    ra: float
    dec: float
    corners: tuple[tuple[float, float], ...] = ()
    unique: tuple[float, float, float, float] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class FetchedTile:
    """A tile whose files have been fetched; a band whose files could not be fetched is absent from `files`.

    Attributes
    ----------
    tile : Tile
    files : dict
        Band -> role -> name of the file in the cache. Several bands and roles may share a file.
    faults : dict
        Band -> why it is missing, in words.
    """

    tile: Tile
    files: dict[str, dict[str, str]]
    faults: dict[str, str]

    @property
    def name(self) -> str:
        """Name of the tile."""
        return self.tile.name


STAMP_MARGIN = 60 / 3600
"""Distance (deg) beyond the edge of a shard that the stamps of its sources reach, unless they are larger."""
Rows = Callable[[int, int], tuple[np.ndarray, np.ndarray]]
"""(start, stop) -> pixels and inverse variances of the rows [start, stop); see :class:`Image`."""
FullWidths = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(x, y), pixel positions (N,) -> full width at half maximum of the PSF there (arcsec), (N,); NaN if unknown."""
PsfImages = Callable[[np.ndarray, np.ndarray], list[np.ndarray | None]]
"""(x, y), pixel positions (N,) -> N images of the PSF there, or None where there is none: float32 (P, P), P odd, of sum
one, on the pixels of the image, whose response they contain, with the star at the centre of the pixel [P // 2, P // 2]."""
Saturated = Callable[[int, int], np.ndarray]
"""(start, stop) -> which pixels of the rows [start, stop) are saturated, bool (stop - start, W); see :class:`Image`."""


@dataclass
class Image:
    """One band of an open tile, read a few rows at a time.

    Attributes
    ----------
    shape : tuple of int
        Height H and width W.
    rows : callable
        (start, stop) -> two float32 arrays (stop - start, W): sky-subtracted surface brightness in linear flux
        units, and inverse variance, which is zero where there are no data or the pixel is masked. A single inverse
        variance may be broadcast to all pixels. Row 0 is the FITS row 1. The caller may change the first array.
        Raises InputError if the file turns out to be damaged.
    wcs : astropy.wcs.WCS
        Celestial WCS of the image, in any frame of :mod:`tuningfork.sky.frames`; pixel (0, 0) is the centre of the first pixel.
    psf_fwhm : callable
        See `FullWidths`.
    zero_point : float
        AB magnitude of one flux unit.
    saturated : callable, optional
        (start, stop) -> bool (stop - start, W), the pixels that the survey's own mask calls saturated; their inverse
        variance is zero. None if the survey's masks do not tell. Raises InputError like `rows`.
    psf_beta : callable, optional
        Like `psf_fwhm`: exponent of the PSF's Moffat profile; that of the survey's description without it.
    psf_images : callable, optional
        See `PsfImages`; None if the survey knows only the width.
    on_sky : bool
        Whether `wcs` says where the image lies on the sky; if not, it tells no more than scale and orientation, and only
        sources at the image's centre are cut from it.
    """

    shape: tuple[int, int]
    rows: Rows
    wcs: WCS
    psf_fwhm: FullWidths
    zero_point: float
    saturated: Saturated | None = None
    psf_beta: FullWidths | None = None
    psf_images: PsfImages | None = None
    on_sky: bool = True

    @classmethod
    def of_arrays(
        cls, pixels: np.ndarray, inverse_variance: np.ndarray, wcs: WCS, psf_fwhm: float, zero_point: float
    ) -> "Image":
        """Return an image that is in memory, with the same PSF width everywhere.

        Parameters
        ----------
        pixels : ndarray
            float32 (H, W), sky-subtracted surface brightness in linear flux units.
        inverse_variance : ndarray
            float32 (H, W), zero where there are no data.
        wcs : astropy.wcs.WCS
        psf_fwhm : float
            Full width at half maximum of the PSF (arcsec).
        zero_point : float
            AB magnitude of one flux unit.

        Returns
        -------
        Image
        """

        def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
            return pixels[start:stop], inverse_variance[start:stop]

        height, width = pixels.shape
        return cls((height, width), rows, wcs, everywhere(psf_fwhm), zero_point)


def everywhere(width: float) -> FullWidths:
    """Return a function that gives the same PSF width (arcsec) for every position of an image."""
    return lambda x, y: np.full(np.shape(x), width)


def require_bands(survey: str, bands: Sequence[str], known: Sequence[str]) -> None:
    """Check that a survey has the bands that its description names.

    Parameters
    ----------
    survey : str
        Name of the survey, for the message.
    bands : sequence of str
        Bands of the description.
    known : sequence of str
        Bands that the survey has.

    Raises
    ------
    InputError
        If the survey lacks one of the bands.
    """
    if not set(known).issuperset(bands):
        raise InputError(f"bands {bands} of the survey {survey}: expected some of {', '.join(known)}")


class Survey(Protocol):
    """A survey: one module that implements this protocol, and one YAML file that describes the survey.

    It is made with a :class:`tuningfork.surveys.transfer.network.Network`, through which all its transfers go.
    """

    def catalogue(self, shard: Shard, selection: Sources) -> pa.Table:
        """Return the sources of the survey's own catalogue in the shard, each once according to the survey's rule.

        Parameters
        ----------
        shard : Shard
        selection : Sources
            Limits of the magnitude.

        Returns
        -------
        pyarrow.Table
            Table of the stage `sources`, in order of source_id.

        Raises
        ------
        TransferError
            If the service does not answer, or answers with an error.
        """
        ...

    def tiles(self, shard: Shard, margin: float = STAMP_MARGIN) -> list[Tile]:
        """Return the tiles that touch the shard or come within `margin` (deg) of it, in order of name."""
        ...

    def locate(self, names: Sequence[str]) -> list[Tile]:
        """Return the tiles called `names`, with their corners.

        Raises
        ------
        InputError
            If the survey has no such tile.
        """
        ...

    def fetch(self, tile: Tile) -> FetchedTile:
        """Fetch the tile's files into the cache; a fault of one band is recorded, not raised."""
        ...

    def open(self, tile: FetchedTile, band: str) -> Image:
        """Open one band of a tile.

        Raises
        ------
        InputError
            If the file cannot be read or is not what it should be.
        """
        ...


OWN_IMAGES = b"tuningfork.own_images"


@dataclass(frozen=True)
class OwnImages:
    """Which sources have an image of their own, as stamps of single galaxies do.

    Attributes
    ----------
    tiles : list
        For each source, the name of the tile that is its image, or None if any tile that covers it will do.
    centred : list of bool
        Whether the galaxy is at the centre of that image, for images without a WCS.
    facts : mapping
        Name of a tile -> what the list of sources says about it, for :attr:`Tile.facts`.
    """

    tiles: Sequence[str | None]
    centred: Sequence[bool]
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def attach(self, sources: pa.Table) -> pa.Table:
        """Return the table of sources with this information in its metadata.

        Parameters
        ----------
        sources : pyarrow.Table
            Table of N sources.

        Returns
        -------
        pyarrow.Table
            The same rows.
        """
        value = json.dumps({"tiles": list(self.tiles), "centred": list(self.centred), "facts": dict(self.facts)})
        return sources.replace_schema_metadata((sources.schema.metadata or {}) | {OWN_IMAGES: value})

    @classmethod
    def of(cls, sources: pa.Table) -> "OwnImages":
        """Return the information that :meth:`attach` put into a table of sources.

        Parameters
        ----------
        sources : pyarrow.Table
            Table of N sources.

        Returns
        -------
        OwnImages
            Of length N; without any images if the table has no such metadata.
        """
        value = (sources.schema.metadata or {}).get(OWN_IMAGES)
        if value is None:
            return cls([None] * sources.num_rows, [False] * sources.num_rows)
        return cls(**json.loads(value))

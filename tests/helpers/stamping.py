"""Small images of a galaxy, and stamps cut from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.wcs import WCS

from tuningfork.core.columns.table import shard_table
from tuningfork.core.config.stages import Stamps
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError
from tuningfork.core.flags import decode
from tuningfork.stamps.mosaic import Mosaic
from tuningfork.stamps.positions import Positions
from tuningfork.stamps.scaling import Scaling
from tuningfork.stamps.shard import describe_stamps
from tuningfork.stamps.store import new_stamps
from tuningfork.surveys.base import FetchedTile, Image, OwnImages, Tile

SCALE = 0.4
SIZE = 32
DESCRIPTION = Description(
    title="test", bands=["g", "r"], reference_band="r", pixel_scale=SCALE, zero_point=22.5, flux_unit="nanomaggy",
    psf_fwhm=[1.4, 1.2], psf_fwhm_scatter=0.1, psf_beta=3.0, sky_noise=[0.1, 0.1], sky_noise_scatter=0.1,
)  # fmt: skip


def wcs_at(x: float, y: float, turn: float = 0.0) -> WCS:
    """Return the WCS of an image in which (ra, dec) = (10, 0) lies at pixel (x, y), turned by `turn` deg."""
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [10.0, 0.0]
    wcs.wcs.crpix = [x + 1, y + 1]
    wcs.wcs.cd = np.array([[-SCALE * c, SCALE * s], [SCALE * s, SCALE * c]]) / 3600
    return wcs


def galaxy(shape: tuple[int, int], x: float, y: float, flux: float = 1000.0, sigma: float = 2.5) -> np.ndarray:
    """Return a round Gaussian of total `flux` at pixel (x, y)."""
    rows, columns = np.indices(shape)
    profile = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    return (flux * profile).astype(np.float32)


def image(shape: tuple[int, int], x: float, y: float, turn: float = 0.0, noise: float = 0.1) -> Image:
    """Return an image of a galaxy at (10, 0), which lies at pixel (x, y)."""
    weight = np.full(shape, 1 / noise**2, dtype=np.float32)
    return Image.of_arrays(galaxy(shape, x, y), weight, wcs_at(x, y, turn), 1.2, 22.5)


@dataclass
class Built:
    """What came of some tiles.

    Attributes
    ----------
    mosaic : Mosaic
    stamps : ndarray
        (N, 2, B, S, S).
    table : dict
        The stamps' table, a list a column.
    """

    mosaic: Mosaic
    stamps: np.ndarray
    table: dict[str, list[Any]]

    @property
    def flags(self) -> list[list[str]]:
        return [decode(flags) for flags in self.table["flags"]]


def build(
    path: Path,
    tiles: Mapping[str, Mapping[str, Image]],
    ra: list[float],
    dec: list[float],
    *,
    own: OwnImages | None = None,
    places: Mapping[str, Tile] | None = None,
    flags: list[int] | None = None,
    radius: list[float] | float = np.nan,
    settings: Stamps | None = None,
    contradiction: Callable[[Image, Tile, str], str | None] | None = None,
) -> Built:
    """Cut stamps into the file `path`; tiles are name -> band -> image, and a missing image cannot be opened."""

    def open_band(tile: FetchedTile, band: str) -> Image:
        if band not in tiles[tile.name]:
            raise InputError("cannot be read")
        return tiles[tile.name][band]

    settings = settings or Stamps(size=SIZE, scale="native")
    radii = np.broadcast_to(np.asarray(radius, float), len(ra)).copy()
    values = {"source_id": np.arange(len(ra)), "flags": flags or [0] * len(ra), "ra": ra, "dec": dec,
              "survey_radius": radii}  # fmt: skip
    rows = shard_table("sources", values)
    positions = Positions(np.array(ra), np.array(dec), own or OwnImages([None] * len(ra), [False] * len(ra)))
    files = {band: {"image": "file"} for band in DESCRIPTION.bands}
    fetched = [FetchedTile((places or {}).get(name, Tile(name, np.nan, np.nan)), files, {}) for name in tiles]
    with new_stamps(path, (len(ra), 2, len(DESCRIPTION.bands), settings.size, settings.size)) as store:
        mosaic = Mosaic(store, positions, Scaling(settings, radii), DESCRIPTION, open_band, contradiction)
        mosaic.build(fetched)
        table = shard_table("stamps", describe_stamps(mosaic, rows), DESCRIPTION.bands).to_pydict()
    return Built(mosaic, np.load(path), table)

"""A sky rendered with GalSim, served like any other survey: tiles are FITS files in the cache, read back from there."""

import hashlib
import json
from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
from astropy.io import fits
from astropy.wcs import WCS

from tuningfork.core.config.stages import Sources
from tuningfork.core.config.stages import Tiles as Transfer
from tuningfork.core.config.survey import SimulatedSky
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError
from tuningfork.core.files import replacing
from tuningfork.core.seeds import generator_for
from tuningfork.core.tables import numpy_column, shard_table
from tuningfork.simulate.observe import add_noise, draw_conditions
from tuningfork.simulate.sky import Cell, Sky, cells_of_shard
from tuningfork.sky.coordinates import to_pixels
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import FetchedTile, Image, Tile

LARGEST_TURN = 1.0
"""Tiles are turned by up to this angle (deg), so that nobody can rely on north being up."""
MIRRORED = 0.25
"""Fraction of the tiles with east to the right."""
SMALLEST_MARGIN = 64


class SimulatedSurvey:
    """The survey `simulated`; see :class:`tuningfork.surveys.base.Survey`.

    Parameters
    ----------
    seed : int
        Seed of the sky and of the noise.
    settings : SimulatedSky
    description : Description
    version : str
        Hash of the parameters and the code that render the tiles: another version never finds these in the cache.
    """

    def __init__(self, seed: int, settings: SimulatedSky, description: Description, version: str = "") -> None:
        self.seed = seed
        self.settings = settings
        self.description = description
        self.sky = Sky(seed, settings, description)
        self.grid = TileGrid(seed, settings, description.pixel_scale)
        contents = json.dumps([version, seed, settings.model_dump(), description.model_dump()], sort_keys=True)
        self.folder = f"simulated-{hashlib.sha256(contents.encode()).hexdigest()[:12]}"

    def sources(self, shard: Shard, selection: Sources) -> pa.Table:
        """Return the galaxies of the shard within the limits of the magnitude, with their truth."""
        cells = [self.sky.cell(pixel) for pixel in cells_of_shard(shard)]
        chosen = [
            (cell, int(place))
            for cell in cells
            for place in np.flatnonzero(
                (cell.survey_mag >= selection.mag_min)
                & (cell.survey_mag <= selection.mag_max)
                & shard.contains(cell.ra, cell.dec)
            )
        ]
        return _sources_table(chosen)

    def tiles(self, shard: Shard, sources: pa.Table) -> list[Tile]:
        """Return for each source the tile in which it lies deepest, and the others where that is not deep enough."""
        ra, dec = numpy_column(sources, "ra"), numpy_column(sources, "dec")
        known = np.isfinite(ra) & np.isfinite(dec)
        return self.grid.needed(ra[known], dec[known], max(self.settings.tile_overlap // 2, SMALLEST_MARGIN))

    def fetch(self, tile: Tile, cache: Path, transfer: Transfer) -> FetchedTile:
        """Render the tile, unless the cache has it."""
        files = {band: f"{self.folder}/{tile.name}-{band}.fits" for band in self.description.bands}
        if not all((cache / path).exists() for path in files.values()):
            self._render(tile, cache, files)
        return FetchedTile(tile.name, files, {})

    def _render(self, tile: Tile, cache: Path, files: dict[str, str]) -> None:
        wcs = self.grid.wcs(tile.name)
        rng = generator_for(self.seed, "tile", tile.name)
        conditions = draw_conditions(rng, self.description)
        image = self.sky.render(wcs, self.settings.tile_size, conditions)
        add_noise(rng, image, conditions.sky_noise, self.description)
        for place, (band, path) in enumerate(files.items()):
            header = wcs.to_header()
            header["EXTNAME"] = "SCI"
            header["BAND"] = band
            header["BUNIT"] = self.description.flux_unit
            header["PSFFWHM"] = (float(conditions.psf_fwhm[place]), "full width at half maximum of the PSF [arcsec]")
            header["SKYNOISE"] = (float(conditions.sky_noise[place]), "standard deviation of the sky [BUNIT]")
            header["ZEROPNT"] = (self.description.zero_point, "AB magnitude of one flux unit")
            with replacing(cache / path) as temporary:
                fits.PrimaryHDU(image[place], header).writeto(temporary)

    def open(self, tile: FetchedTile, band: str, cache: Path) -> Image:
        """Read one band of a tile.

        Raises
        ------
        InputError
            The file is missing, is no FITS or lacks what this survey writes into its header.
        """
        path = cache / tile.files[band]
        try:
            pixels = fitsio.read(str(path))
            header = fits.getheader(path)
            wcs, noise = WCS(header), float(header["SKYNOISE"])
            fwhm, zero_point = float(header["PSFFWHM"]), float(header["ZEROPNT"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: not a tile of the simulated sky ({error}); delete it and run again") from None
        if pixels is None or pixels.ndim != 2:
            raise InputError(f"{path}: expected an image of two dimensions; delete it and run again")
        pixels = np.ascontiguousarray(pixels, dtype=np.float32)
        weight = np.full_like(pixels, 1 / noise**2)
        return Image(pixels, weight, wcs, fwhm, zero_point)


class TileGrid:
    """Where the tiles lie: rows of constant declination over the whole sky, each tile with its own projection.

    Parameters
    ----------
    seed : int
    settings : SimulatedSky
    pixel_scale : float
        arcsec.
    """

    def __init__(self, seed: int, settings: SimulatedSky, pixel_scale: float) -> None:
        self.seed = seed
        self.size = settings.tile_size
        self.scale = pixel_scale / 3600
        step = (settings.tile_size - settings.tile_overlap) * self.scale
        self.rows = int(np.ceil(180 / step))
        self.height = 180 / self.rows
        widest = np.maximum(np.abs(-90 + (np.arange(self.rows) + 0.5) * self.height) - self.height / 2, 0)
        self.columns = np.maximum(np.ceil(360 * np.cos(np.deg2rad(widest)) / step), 1).astype(int)

    def tile(self, row: int, column: int) -> Tile:
        """Return the tile in the row (from the south pole) and the column (from right ascension zero)."""
        ra = (column + 0.5) * 360 / self.columns[row]
        return Tile(f"sim-r{row:04d}-c{column:04d}", float(ra), float(-90 + (row + 0.5) * self.height))

    def wcs(self, name: str) -> WCS:
        """Return the projection of the tile called `name`: turned a little, some mirrored."""
        row, column = (int(part[1:]) for part in name.split("-")[1:])
        tile = self.tile(row, column)
        rng = generator_for(self.seed, "tile-orientation", name)
        turn = np.deg2rad(rng.uniform(-LARGEST_TURN, LARGEST_TURN))
        north = np.array([-np.sin(turn), np.cos(turn)])
        east = np.array([-np.cos(turn), -np.sin(turn)]) * (-1 if rng.uniform() < MIRRORED else 1)
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval = [tile.ra, tile.dec]
        wcs.wcs.crpix = [(self.size + 1) / 2] * 2
        wcs.wcs.cd = self.scale * np.array([east, north])
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.radesys = "ICRS"
        wcs.wcs.set()
        return wcs

    def needed(self, ra: np.ndarray, dec: np.ndarray, margin: float) -> list[Tile]:
        """Return the tiles that hold the positions with the margin.

        Parameters
        ----------
        ra, dec : ndarray
            Positions (deg), shape (N,).
        margin : float
            Distance to the edge of a tile (pixel) from which on one tile is enough for a position.

        Returns
        -------
        list of Tile
            In order of their names.
        """
        if len(ra) == 0:
            return []
        tiles = self._near(ra, dec)
        depth = np.full((len(tiles), len(ra)), -np.inf)
        for place, tile in enumerate(tiles):
            x, y = to_pixels(self.wcs(tile.name), ra, dec, (self.size, self.size))
            inside = np.minimum.reduce([x, y, self.size - 1 - x, self.size - 1 - y])
            depth[place] = np.where(np.isfinite(inside), inside, -np.inf)
        deepest = depth.max(axis=0)
        wanted = (depth == deepest) | ((deepest < margin) & (depth > -margin))
        return sorted((tile for tile, row in zip(tiles, wanted, strict=True) if row.any()), key=lambda tile: tile.name)

    def _near(self, ra: np.ndarray, dec: np.ndarray) -> list[Tile]:
        """Return the tiles around each position, its own one in the middle."""
        row = np.clip(((dec + 90) / self.height).astype(int), 0, self.rows - 1)
        found: set[tuple[int, int]] = set()
        for up in (-1, 0, 1):
            rows = np.clip(row + up, 0, self.rows - 1)
            columns = self.columns[rows]
            column = ((ra % 360) / 360 * columns).astype(int)
            for aside in (-1, 0, 1):
                found |= set(zip(rows.tolist(), ((column + aside) % columns).tolist(), strict=True))
        return [self.tile(*place) for place in sorted(found)]


def _sources_table(chosen: list[tuple[Cell, int]]) -> pa.Table:
    """Return the table of the stage sources for galaxies, each a cell and its place therein."""
    galaxies = [cell.galaxies[place] for cell, place in chosen]
    source_id = np.array([cell.source_id[place] for cell, place in chosen], dtype=np.int64)
    values: dict[str, object] = {
        "source_id": source_id,
        "flags": np.zeros(len(chosen), dtype=np.int64),
        "name": [f"sim-{value}" for value in source_id],
        "true_class": [galaxy.kind for galaxy in galaxies],
    }
    for name in ("ra", "dec", "survey_mag", "survey_radius"):
        values[name] = np.array([getattr(cell, name)[place] for cell, place in chosen], dtype=float)
    for name in ("mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "bar_length", "bar_position_angle"):
        values[f"true_{name}"] = np.array([getattr(galaxy, name) for galaxy in galaxies], dtype=float)
    return shard_table("sources", values, truth=True)

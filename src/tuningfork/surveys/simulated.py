"""A sky rendered with GalSim that is read like any other survey: its tiles are FITS files in the cache."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace

import fitsio
import numpy as np
import pyarrow as pa
from astropy.io import fits
from astropy.wcs import WCS

from tuningfork.core.columns.table import shard_table
from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import SimulatedSky
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError
from tuningfork.core.seeds import generator_for
from tuningfork.simulate.imaging.conditions import draw_conditions
from tuningfork.simulate.imaging.noise import add_noise
from tuningfork.simulate.sky import Cell, Sky, cells_of_shard
from tuningfork.sky.coordinates import distance
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import IMAGE, STAMP_MARGIN, FetchedTile, Image, Tile
from tuningfork.surveys.transfer.network import Network

MAX_TILE_TURN = 1.0
"""Largest angle (deg) by which tiles are turned, so that no code can rely on north being up."""
MIRRORED_SHARE = 0.25
"""Share of the tiles that have east to the right."""
WEIGHT_EXTENSION = "IVAR"
"""Extension of a tile's file with the inverse variance of the noise of sky and sources."""
SIMULATED_TILE_NAME = re.compile(r"sim-r(\d{4,6})-c(\d{4,6})")


class SimulatedSurvey:
    """The survey `simulated`; see :class:`tuningfork.surveys.base.Survey`.

    Parameters
    ----------
    seed : int
        Seed of the sky and of the noise.
    settings : SimulatedSky
    description : Description
    network : Network
        Its cache keeps the rendered tiles.
    version : str
        Digest of the parameters and the code that render the tiles: another version does not use these tiles.
    """

    def __init__(
        self, seed: int, settings: SimulatedSky, description: Description, network: Network, version: str = ""
    ) -> None:
        self.seed = seed
        self.network = network
        self.settings = settings
        self.description = description
        self.sky = Sky(seed, settings, description)
        self.grid = TileGrid(seed, settings, description.pixel_scale)
        contents = json.dumps([version, seed, settings.model_dump(), description.model_dump()], sort_keys=True)
        self.folder = f"simulated-{hashlib.sha256(contents.encode()).hexdigest()[:12]}"

    def catalogue(self, shard: Shard, selection: Sources) -> pa.Table:
        """Return the galaxies of the shard within the magnitude limits, with their true parameters.

        Parameters
        ----------
        shard : Shard
        selection : Sources
            Limits of the magnitude.

        Returns
        -------
        pyarrow.Table
            Table of the stage `sources`, with truth.
        """
        cells = [self.sky.cell(pixel) for pixel in cells_of_shard(shard)]
        chosen = [
            (cell, int(row))
            for cell in cells
            for row in np.flatnonzero(
                (cell.survey_mag >= selection.mag_min)
                & (cell.survey_mag <= selection.mag_max)
                & shard.contains(cell.ra, cell.dec)
            )
        ]
        return _sources_table(chosen)

    def tiles(self, shard: Shard, margin: float = STAMP_MARGIN) -> list[Tile]:
        """Return the tiles that touch the shard or come within `margin` (deg) of it."""
        return self.grid.around(shard, margin)

    def locate(self, names: Sequence[str]) -> list[Tile]:
        """Return the tiles called `names`, such as sim-r0225-c0007.

        Raises
        ------
        InputError
            If there is no such tile.
        """
        return [self.grid.named(name) for name in names]

    def fetch(self, tile: Tile) -> FetchedTile:
        """Render the tile unless it is in the cache."""
        files = {band: f"{self.folder}/{tile.name}-{band}.fits" for band in self.description.bands}
        if not all(self.network.path(name).is_file() for name in files.values()):
            self._render(tile, files)
        return FetchedTile(tile, {band: {IMAGE: name} for band, name in files.items()}, {})

    def _render(self, tile: Tile, files: dict[str, str]) -> None:
        wcs = self.grid.wcs(tile.name)
        rng = generator_for(self.seed, "tile", tile.name)
        # The table of stamps has one PSF exponent for the whole survey.
        conditions = replace(draw_conditions(rng, self.description), psf_beta=self.description.psf_beta)
        image = self.sky.render(wcs, self.settings.tile_size, conditions)
        weight = 1 / add_noise(rng, image, conditions.sky_noise, self.description, conditions.correlation)
        for plane, (band, path) in enumerate(files.items()):
            header = wcs.to_header()
            header["EXTNAME"] = "SCI"
            header["BAND"] = band
            header["BUNIT"] = self.description.flux_unit
            header["PSFFWHM"] = (float(conditions.psf_fwhm[plane]), "full width at half maximum of the PSF [arcsec]")
            header["SKYNOISE"] = (float(conditions.sky_noise[plane]), "standard deviation of the sky [BUNIT]")
            header["ZEROPNT"] = (self.description.zero_point, "AB magnitude of one flux unit")
            planes = [fits.PrimaryHDU(image[plane], header), fits.ImageHDU(weight[plane], name=WEIGHT_EXTENSION)]
            self.network.make(path, fits.HDUList(planes).writeto)

    def open(self, tile: FetchedTile, band: str) -> Image:
        """Read one band of a tile.

        Raises
        ------
        InputError
            If the file is missing, is not FITS or lacks what this survey writes into its header.
        """
        path = self.network.path(tile.files[band][IMAGE])
        try:
            pixels, weight = (fitsio.read(str(path), ext=plane) for plane in (0, WEIGHT_EXTENSION))
            header = fits.getheader(path)
            wcs, fwhm, zero_point = WCS(header), float(header["PSFFWHM"]), float(header["ZEROPNT"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: not a tile of the simulated sky ({error}); delete it and run again") from None
        if any(plane is None or plane.ndim != 2 for plane in (pixels, weight)) or pixels.shape != weight.shape:
            raise InputError(f"{path}: expected two images of the same two dimensions; delete it and run again")
        pixels, weight = (np.ascontiguousarray(plane, dtype=np.float32) for plane in (pixels, weight))
        return Image.of_arrays(pixels, weight, wcs, fwhm, zero_point)


class TileGrid:
    """Layout of the tiles: rows of constant declination over the whole sky, each tile with its own projection.

    Parameters
    ----------
    seed : int
        Seed of the orientations.
    settings : SimulatedSky
        Size and overlap of the tiles (px).
    pixel_scale : float
        Width of a pixel (arcsec).
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
        """Return the tile in a row (counted from the south pole) and a column (counted from right ascension zero)."""
        ra, dec = float((column + 0.5) * 360 / self.columns[row]), float(-90 + (row + 0.5) * self.height)
        name = f"sim-r{row:04d}-c{column:04d}"
        last = self.size - 1
        corners = self._wcs(name, ra, dec).all_pix2world([0, last, last, 0], [0, 0, last, last], 0)
        return Tile(name, ra, dec, tuple((float(x), float(y)) for x, y in zip(*corners, strict=True)))

    def wcs(self, name: str) -> WCS:
        """Return the projection of the tile called `name`, which is turned slightly and may be mirrored."""
        tile = self.named(name)
        return self._wcs(name, tile.ra, tile.dec)

    def _wcs(self, name: str, ra: float, dec: float) -> WCS:
        rng = generator_for(self.seed, "tile-orientation", name)
        turn = np.deg2rad(rng.uniform(-MAX_TILE_TURN, MAX_TILE_TURN))
        north = np.array([-np.sin(turn), np.cos(turn)])
        east = np.array([-np.cos(turn), -np.sin(turn)]) * (-1 if rng.uniform() < MIRRORED_SHARE else 1)
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval = [ra, dec]
        wcs.wcs.crpix = [(self.size + 1) / 2] * 2
        wcs.wcs.cd = self.scale * np.array([east, north])
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.radesys = "ICRS"
        wcs.wcs.set()
        return wcs

    def around(self, shard: Shard, margin: float) -> list[Tile]:
        """Return the tiles that touch the shard or come within `margin` (deg) of it, in order of name."""
        centre_ra, centre_dec = shard.centre
        reach = shard.radius + margin + self.size * self.scale
        low, high = (int(np.clip((centre_dec + side * reach + 90) / self.height, 0, self.rows - 1)) for side in (-1, 1))
        tiles = []
        for row in range(low, high + 1):
            tiles += [self.tile(row, int(column)) for column in self._columns(row, centre_ra, centre_dec, reach)]
        return sorted(tiles, key=lambda tile: tile.name)

    def _columns(self, row: int, ra: float, dec: float, reach: float) -> np.ndarray:
        """Return the columns of a row whose tiles have their centre within `reach` (deg) of a position."""
        columns = np.arange(self.columns[row])
        centre = -90 + (row + 0.5) * self.height
        near = distance((columns + 0.5) * 360 / self.columns[row], np.full(len(columns), centre), ra, dec) <= reach
        return np.flatnonzero(near)

    def named(self, name: str) -> Tile:
        """Return the tile called `name`.

        Raises
        ------
        InputError
            If there is no such tile.
        """
        match = SIMULATED_TILE_NAME.fullmatch(name)
        if match and int(match[1]) < self.rows and int(match[2]) < self.columns[int(match[1])]:
            return self.tile(int(match[1]), int(match[2]))
        raise InputError(
            f"tile {name!r} of the simulated sky: expected a name such as {self.tile(self.rows // 2, 0).name}"
        )


def _sources_table(chosen: list[tuple[Cell, int]]) -> pa.Table:
    """Return the table of the stage sources for galaxies, each given as a cell and a row of the cell."""
    galaxies = [cell.galaxies[row] for cell, row in chosen]
    source_id = np.array([cell.source_id[row] for cell, row in chosen], dtype=np.int64)
    values: dict[str, object] = {
        "source_id": source_id,
        "flags": np.zeros(len(chosen), dtype=np.int64),
        "name": [f"sim-{value}" for value in source_id],
        "true_class": [galaxy.kind for galaxy in galaxies],
    }
    for name in ("ra", "dec", "survey_mag", "survey_radius"):
        values[name] = np.array([getattr(cell, name)[row] for cell, row in chosen], dtype=float)
    for name in ("mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "bar_length", "bar_position_angle"):
        values[f"true_{name}"] = np.array([getattr(galaxy, name) for galaxy in galaxies], dtype=float)
    return shard_table("sources", values, truth=True)

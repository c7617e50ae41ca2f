"""A sky of unlimited size: the content of a cell follows from the seed and the cell alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import astropy.units as u
import cdshealpix.nested as healpix
import numpy as np
from astropy.coordinates import Latitude, Longitude
from astropy.wcs import WCS

from tuningfork.core.config.survey import SimulatedSky
from tuningfork.core.description import Description
from tuningfork.core.seeds import generator_for
from tuningfork.simulate.galaxies.draw import Galaxy, draw_galaxy
from tuningfork.simulate.imaging.conditions import Conditions
from tuningfork.simulate.imaging.observe import NEIGHBOUR_MAG_MARGIN, draw_neighbour, draw_star, listed_radius
from tuningfork.simulate.light.canvas import Canvas, Light, canvas_size
from tuningfork.sky.coordinates import jacobian
from tuningfork.sky.shards import Shard

CELL_ORDER = 9
"""HEALPix order of the cells: 0.0131 square degrees, some 26 galaxies at the default density."""
MAX_HEALPIX_ORDER = 29
CELL_AREA = 4 * np.pi * np.rad2deg(1) ** 2 / (12 * 4**CELL_ORDER)
SOURCES_IN_CELL = 10_000
"""Step of the source identifiers from cell to cell."""
CELLS_KEPT = 128
MIN_DRAWN_WIDTH = 64
"""Width of the drawn image of stars and faint galaxies (pixel)."""
DRAWN_RADII, MAX_DRAWN_WIDTH = 12, 256
"""Width of the drawn image of a galaxy in half-light radii, and the largest width (pixel)."""


@dataclass(frozen=True)
class Cell:
    """The content of one cell.

    Attributes
    ----------
    source_id : ndarray
        int64 identifiers of the galaxies, (N,).
    ra, dec : ndarray
        Positions of the galaxies (deg), (N,).
    galaxies : list of Galaxy
        The population's galaxies.
    survey_mag, survey_radius : ndarray
        Magnitude and circularised half-light radius (arcsec) as a survey's catalogue would have them, (N,).
    lights : list of Light
        Stars and galaxies fainter than the population.
    lights_ra, lights_dec : ndarray
        Their positions (deg).
    """

    source_id: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    galaxies: list[Galaxy]
    survey_mag: np.ndarray
    survey_radius: np.ndarray
    lights: list[Light]
    lights_ra: np.ndarray
    lights_dec: np.ndarray


class Sky:
    """The simulated sky.

    Parameters
    ----------
    seed : int
    settings : SimulatedSky
    description : Description
    """

    def __init__(self, seed: int, settings: SimulatedSky, description: Description) -> None:
        self.seed = seed
        self.settings = settings
        self.description = description
        self.cell = lru_cache(maxsize=CELLS_KEPT)(self._draw_cell)

    def _draw_cell(self, pixel: int) -> Cell:
        """Return the content of the cell `pixel` of the order `CELL_ORDER`."""
        rng = generator_for(self.seed, "sky", pixel)
        population, description = self.settings.population, self.description
        number = min(int(rng.poisson(self.settings.galaxy_density * CELL_AREA)), SOURCES_IN_CELL)
        ra, dec = _positions(rng, pixel, number)
        galaxies = [draw_galaxy(generator_for(self.seed, "sky", pixel, index), population) for index in range(number)]
        mag = np.array([galaxy.mag for galaxy in galaxies]) + 0.02 * rng.standard_normal(number)
        r_eff, axis_ratio = (
            np.array([getattr(galaxy, name) for galaxy in galaxies]) for name in ("r_eff", "axis_ratio")
        )
        radius = listed_radius(rng, r_eff, axis_ratio)
        # As many fainter galaxies as there are of the population, so that the sky is not empty between them.
        faint = int(rng.poisson(self.settings.galaxy_density * CELL_AREA))
        lights = [draw_neighbour(rng, population, description, 0.0, 0.0, faint=True) for _ in range(faint)]
        stars = int(rng.poisson(self.settings.star_density * CELL_AREA))
        lights += [draw_star(rng, population.mag_max + NEIGHBOUR_MAG_MARGIN, description) for _ in range(stars)]
        lights_ra, lights_dec = _positions(rng, pixel, len(lights))
        source_id = pixel * SOURCES_IN_CELL + np.arange(number, dtype=np.int64)
        return Cell(source_id, ra, dec, galaxies, mag, radius, lights, lights_ra, lights_dec)

    def render(self, wcs: WCS, size: int, conditions: Conditions) -> np.ndarray:
        """Return the noiseless image of a field.

        Parameters
        ----------
        wcs : astropy.wcs.WCS
            Of the field's image, `size` pixels wide and high.
        size : int
        conditions : Conditions

        Returns
        -------
        ndarray
            float32 (B, size, size), flux units.
        """
        centre = wcs.all_pix2world([[(size - 1) / 2, (size - 1) / 2]], 0)[0]
        radius = (size / np.sqrt(2) + MAX_DRAWN_WIDTH / 2) * self.description.pixel_scale / 3600
        image = np.zeros((len(self.description.bands), size, size), dtype=np.float32)
        for pixel in cells_of_cone(float(centre[0]), float(centre[1]), radius):
            self._render_cell(image, self.cell(pixel), wcs, conditions)
        return image

    def _render_cell(self, image: np.ndarray, cell: Cell, wcs: WCS, conditions: Conditions) -> None:
        lights: list[Sequence[Light]] = [
            galaxy.lights(self.description.bands, self.description.reference, self.description.zero_point)
            for galaxy in cell.galaxies
        ]
        lights += [[light] for light in cell.lights]
        widths = [DRAWN_RADII * galaxy.r_eff for galaxy in cell.galaxies] + [0.0] * len(cell.lights)
        if not lights:
            return
        size, scale = image.shape[-1], self.description.pixel_scale
        x, y = wcs.all_world2pix(np.append(cell.ra, cell.lights_ra), np.append(cell.dec, cell.lights_dec), 0)
        canvas = np.clip(np.array(widths) / scale, MIN_DRAWN_WIDTH, MAX_DRAWN_WIDTH).astype(int)
        inside = (np.maximum(x, size - 1 - x) < size + canvas / 2) & (np.maximum(y, size - 1 - y) < size + canvas / 2)
        indices = np.flatnonzero(inside)
        for index, matrix in zip(indices, _matrices(wcs, x[indices], y[indices]), strict=True):
            self._add(image, lights[index], float(x[index]), float(y[index]), int(canvas[index]), matrix, conditions)

    def _add(
        self,
        image: np.ndarray,
        lights: Sequence[Light],
        x: float,
        y: float,
        width: int,
        matrix: np.ndarray,
        conditions: Conditions,
    ) -> None:
        """Draw the lights of one object on their own canvas, and add its middle to the image about (x, y)."""
        canvas = Canvas(canvas_size(width), matrix)
        column, row = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
        drawn = canvas.draw_through(lights, conditions.psfs(), x - column, y - row)
        first = canvas.size // 2 - width // 2
        target_rows, rows = _overlap(row - width // 2, width, image.shape[-2], first)
        target_columns, columns = _overlap(column - width // 2, width, image.shape[-1], first)
        image[:, target_rows, target_columns] += drawn[:, rows, columns]


def cells_of_shard(shard: Shard) -> list[int]:
    """Return the cells in which the shard lies."""
    if shard.order >= CELL_ORDER:
        return [shard.pixel >> 2 * (shard.order - CELL_ORDER)]
    inside = 4 ** (CELL_ORDER - shard.order)
    return list(range(shard.pixel * inside, (shard.pixel + 1) * inside))


def cells_of_cone(ra: float, dec: float, radius: float) -> list[int]:
    """Return the cells that a circle touches, in order of their number.

    Parameters
    ----------
    ra, dec, radius : float
        deg.

    Returns
    -------
    list of int
    """
    lon, lat = Longitude(ra, u.deg), Latitude(dec, u.deg)
    cells, _, _ = healpix.cone_search(lon, lat, radius * u.deg, np.uint8(CELL_ORDER), flat=True)
    return sorted(int(pixel) for pixel in cells)


def _positions(rng: np.random.Generator, pixel: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return right ascension and declination (deg) of points spread evenly over the cell."""
    parts = 4 ** (MAX_HEALPIX_ORDER - CELL_ORDER)
    deep = np.uint64(pixel) * np.uint64(parts) + rng.integers(parts, size=number, dtype=np.uint64)
    lon, lat = healpix.healpix_to_lonlat(deep, np.uint8(MAX_HEALPIX_ORDER))
    return np.asarray(lon.deg, dtype=float), np.asarray(lat.deg, dtype=float)


def _matrices(wcs: WCS, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return at each pixel the matrix from offsets west and north (arcsec) to offsets in pixels, shape (N, 2, 2)."""
    return np.linalg.inv(jacobian(wcs, x, y)) @ np.diag([-1.0, 1.0])


def _overlap(first: int, width: int, size: int, origin: int) -> tuple[slice, slice]:
    """Return the part of an axis of `size` pixels that a piece of `width` at `first` covers, and the part of the piece's source."""
    low, high = max(first, 0), min(first + width, size)
    return slice(low, max(high, low)), slice(origin + low - first, origin + max(high, low) - first)

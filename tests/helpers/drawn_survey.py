"""A survey that is drawn in memory: galaxies and stars at chosen places, on tiles of any position."""

from collections.abc import Sequence
from typing import Any

import galsim
import numpy as np
import pandas as pd
from astropy.wcs import WCS

from tuningfork.core.description import Description
from tuningfork.core.errors import TransferError
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.base import IMAGE, STAMP_MARGIN, FetchedTile, Image, Tile

SCALE, FWHM, BETA, NOISE = 0.4, 1.2, 3.0, 0.03
CENTRE = (150.0, 2.0)
FIELD = Shard(5, int(pixels(np.array([150.0]), np.array([2.0]), 5)[0]))
DESCRIPTION = Description(
    title="test", bands=["r"], reference_band="r", pixel_scale=SCALE, zero_point=22.5, flux_unit="nanomaggy",
    psf_fwhm=[FWHM], psf_fwhm_scatter=0.1, psf_beta=BETA, sky_noise=[NOISE], sky_noise_scatter=0.1,
)  # fmt: skip


def wcs_at(ra: float, dec: float, size: int, turn: float = 0.0) -> WCS:
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [ra, dec], [(size + 1) / 2] * 2
    wcs.wcs.cd = np.array([[-SCALE * c, SCALE * s], [SCALE * s, SCALE * c]]) / 3600
    return wcs


class Drawn:
    """A survey whose tiles are drawn in memory: galaxies and stars at given positions, each tile with its own noise.

    Parameters
    ----------
    objects : DataFrame
        ra, dec (deg), flux, radius (half-light, arcsec; zero for a star), axis_ratio, sersic_n.
    tiles : sequence of Tile
        Their centre is that of an image of `size` pixels.
    broken : mapping
        Name of a tile -> error that opening, or fetching, it raises.
    """

    def __init__(
        self, objects: pd.DataFrame, centres: Sequence[tuple[float, float, float]], size: int, noise: float = NOISE
    ) -> None:
        self.objects, self.size, self.noise = objects, size, noise
        self.wcs = {f"t{k}": wcs_at(ra, dec, size, turn) for k, (ra, dec, turn) in enumerate(centres)}
        self.broken: dict[str, Exception] = {}
        self.images = {name: self._draw(name, k) for k, name in enumerate(self.wcs)}

    def _draw(self, name: str, seed: int) -> Image:
        image = galsim.ImageF(self.size, self.size, xmin=0, ymin=0)
        psf = galsim.Moffat(BETA, fwhm=FWHM / SCALE)
        x, y = self.wcs[name].all_world2pix(self.objects["ra"], self.objects["dec"], 0)
        for a, b, row in zip(x, y, self.objects.itertuples(), strict=True):
            if not (-100 < a < self.size + 100 and -100 < b < self.size + 100):
                continue
            profile: Any = psf.withFlux(row.flux)
            if row.radius > 0:
                # The radius is that of a circle: the area of the half-light ellipse is kept.
                galaxy = galsim.Sersic(
                    row.sersic_n, half_light_radius=row.radius / SCALE, flux=row.flux, trunc=8 * row.radius / SCALE
                )
                profile = galsim.Convolve(galaxy.shear(q=row.axis_ratio, beta=0.7 * galsim.radians), psf)
            stamp = profile.drawImage(nx=200, ny=200, scale=1, center=galsim.PositionD(a, b))
            both = stamp.bounds & image.bounds
            if both.isDefined():
                image[both] += stamp[both]
        rng = np.random.default_rng(seed)
        data = image.array + rng.normal(0, self.noise, image.array.shape).astype(np.float32)
        return Image.of_arrays(data, np.full_like(data, 1 / self.noise**2), self.wcs[name], FWHM, 22.5)

    def tiles(self, shard: Shard, margin: float = STAMP_MARGIN) -> list[Tile]:
        return self.locate(list(self.wcs))

    def locate(self, names: Sequence[str]) -> list[Tile]:
        found = []
        for name in names:
            end = self.size - 0.5
            ra, dec = self.wcs[name].all_pix2world([-0.5, end, end, -0.5], [-0.5, -0.5, end, end], 0)
            corners = tuple((float(a), float(b)) for a, b in zip(ra, dec, strict=True))
            found.append(Tile(name, *map(float, self.wcs[name].wcs.crval), corners))
        return found

    def fetch(self, tile: Tile) -> FetchedTile:
        if isinstance(self.broken.get(tile.name), TransferError):
            raise self.broken[tile.name]
        return FetchedTile(tile, {"r": {IMAGE: tile.name}}, {})

    def open(self, tile: FetchedTile, band: str) -> Image:
        if tile.name in self.broken:
            raise self.broken[tile.name]
        return self.images[tile.name]


def galaxies(count: int, width: float, seed: int = 1, spacing: float = 12.0, stars: int = 0) -> pd.DataFrame:
    """Return galaxies, and stars after them, at least `spacing` (arcsec) apart in a square of `width` (arcsec)."""
    rng = np.random.default_rng(seed)
    places: list[np.ndarray] = []
    while len(places) < count + stars:
        place = rng.uniform(-width / 2, width / 2, 2)
        if all(np.hypot(*(place - other)) > spacing for other in places):
            places.append(place)
    x, y = np.array(places).T / 3600
    is_star = np.arange(count + stars) >= count
    return pd.DataFrame({
        "ra": CENTRE[0] + x / np.cos(np.deg2rad(CENTRE[1])), "dec": CENTRE[1] + y,
        "flux": 10 ** rng.uniform(1.4, 2.6, count + stars), "radius": np.where(is_star, 0, rng.uniform(1, 3, count + stars)),
        "axis_ratio": rng.uniform(0.3, 1, count + stars), "sersic_n": rng.choice([1.0, 1.5, 2.5], count + stars),
    })  # fmt: skip

"""Injection of simulated galaxies into images of a survey, whose other light stays unchanged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tuningfork.core.description import Description
from tuningfork.core.seeds import generator_for
from tuningfork.injection.place import Injection
from tuningfork.simulate.imaging.noise import Correlation, add_noise
from tuningfork.simulate.imaging.psf import Moffat, Psf, PsfImage
from tuningfork.simulate.light.canvas import Canvas, canvas_size
from tuningfork.sky.coordinates import directions, jacobian
from tuningfork.sky.frames import pixel_positions
from tuningfork.stamps.cut import overlap
from tuningfork.surveys.base import Image

DRAWN_RADII, DRAWN_WIDTH_RANGE = 12, (64, 1024)
"""Width of a galaxy's drawn image in half-light radii, and the smallest and largest width (pixel)."""


@dataclass(frozen=True)
class Spot:
    """The position and geometry with which a galaxy is drawn into an image.

    Attributes
    ----------
    injection : Injection
    x, y : float
        Pixel position of its centre.
    matrix : ndarray
        (2, 2), converts offsets west and north (arcsec) to offsets in pixels.
    scale : float
        Width of a pixel (arcsec).
    width : int
        Width of the drawn square (pixel).
    """

    injection: Injection
    x: float
    y: float
    matrix: np.ndarray
    scale: float
    width: int

    @property
    def corner(self) -> tuple[int, int]:
        """Column and row of the first drawn pixel."""
        return int(np.floor(self.x + 0.5)) - self.width // 2, int(np.floor(self.y + 0.5)) - self.width // 2


def spots(image: Image, injections: Sequence[Injection]) -> list[Spot]:
    """Return the spots of the galaxies whose light falls on an image."""
    ra, dec = np.array([(injection.ra, injection.dec) for injection in injections], dtype=float).reshape(-1, 2).T
    x, y = pixel_positions(image.wcs, ra, dec)
    result = []
    for row in np.flatnonzero(np.isfinite(x) & np.isfinite(y)).tolist():
        reach = DRAWN_WIDTH_RANGE[1]
        if not (-reach < x[row] < image.shape[1] + reach and -reach < y[row] < image.shape[0] + reach):
            continue
        sky = jacobian(image.wcs, x[row : row + 1], y[row : row + 1])
        if not np.isfinite(sky).all():
            continue
        scale = float(directions(sky)[0][0])
        matrix = np.linalg.inv(sky[0]) @ np.diag([-1.0, 1.0])
        width = int(np.clip(DRAWN_RADII * injections[row].galaxy.r_eff / scale, *DRAWN_WIDTH_RANGE))
        result.append(Spot(injections[row], float(x[row]), float(y[row]), matrix, scale, width))
    return result


def with_galaxies(
    image: Image, tile: str, band: str, injections: Sequence[Injection], description: Description, seed: int
) -> Image:
    """Return an image with injected galaxies, convolved with its PSF, and with the photon noise of their light.

    The PSF is that of the image at the galaxy: its image, or a Moffat profile of its width. The photon noise follows from the
    inverse variance around the galaxy, see :func:`tuningfork.simulate.imaging.noise.add_noise`, and is added to the
    image's noise.

    Parameters
    ----------
    image : Image
    tile, band : str
    injections : sequence of Injection
    description : Description
    seed : int
        Seed of the configuration.

    Returns
    -------
    Image
    """
    placed = spots(image, injections)
    if not placed:
        return image

    def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        flux, weight = (np.array(plane, dtype=np.float32) for plane in image.rows(start, stop))
        for spot in placed:
            left, bottom = spot.corner
            part, window = overlap(left, bottom - start, (spot.width, spot.width), flux.shape)
            good = (weight[window] > 0) & np.isfinite(weight[window]) & np.isfinite(flux[window])
            if not good.any():
                continue
            level = float(1 / np.sqrt(np.median(weight[window][good])))
            rng = generator_for(seed, "inject", spot.injection.source_id, tile, band)
            light, variance = (plane[part] for plane in draw(spot, image, band, level, description, rng))
            flux[window] += np.where(good, light, 0)
            weight[window] = np.where(good, weight[window] / (1 + np.where(good, weight[window], 0) * variance), 0)
        return flux, weight

    return replace(image, rows=rows)


@dataclass(frozen=True, eq=False)
class StarOnTile:
    """An image of the PSF on the pixels of a tile; see :class:`tuningfork.simulate.imaging.psf.Psf`.

    Attributes
    ----------
    pixels : ndarray
        (P, P), see :data:`tuningfork.surveys.base.PsfImages`.
    matrix : ndarray
        (2, 2), converts offsets west and north (arcsec) to offsets in pixels.
    """

    pixels: np.ndarray
    matrix: np.ndarray

    def amplitude(self, kx: np.ndarray, ky: np.ndarray) -> np.ndarray:
        """Return the Fourier amplitude, without the response of a pixel, on the grid of a canvas with the same matrix.

        Parameters
        ----------
        kx, ky : ndarray
            Wave vectors in the sky's frame (rad/arcsec), (H, W).

        Returns
        -------
        ndarray
            complex64 (H, W).
        """
        (a, b), (c, d) = np.linalg.inv(self.matrix)
        return PsfImage(self.pixels, 1.0).amplitude(a * kx + c * ky, b * kx + d * ky)

    def reach(self, pixel_scale: float) -> float:
        """Return one: an image has no information beyond its own Nyquist frequency."""
        return 1.0


def psf_at(spot: Spot, image: Image, usual_fwhm: float, usual_beta: float) -> Psf:
    """Return the PSF of an image at a spot: its image, or a Moffat profile.

    Parameters
    ----------
    spot : Spot
    image : Image
    usual_fwhm, usual_beta : float
        Width (arcsec) and exponent of the survey, for what the image does not tell.

    Returns
    -------
    Psf
    """
    x, y = np.array([spot.x]), np.array([spot.y])
    pixels = image.psf_images(x, y)[0] if image.psf_images is not None else None
    if pixels is not None:
        return StarOnTile(pixels, spot.matrix)
    width = float(image.psf_fwhm(x, y)[0])
    beta = usual_beta if image.psf_beta is None else float(image.psf_beta(x, y)[0])
    return Moffat(width if np.isfinite(width) else usual_fwhm, beta)


def draw(
    spot: Spot, image: Image, band: str, level: float, description: Description, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the light of a galaxy with its photon noise, and the variance of that noise.

    Parameters
    ----------
    spot : Spot
    image : Image
    band : str
    level : float
        Sky noise per pixel (flux units).
    description : Description
    rng : numpy.random.Generator

    Returns
    -------
    light, variance : ndarray
        (width, width)
    """
    column = description.bands.index(band)
    lights = spot.injection.galaxy.lights(description.bands, description.reference, image.zero_point)
    lights = [replace(light, fluxes=light.fluxes[column : column + 1]) for light in lights]
    psf = psf_at(spot, image, description.psf_fwhm[column], description.psf_beta)
    canvas = Canvas(canvas_size(spot.width), spot.matrix)
    offset = spot.x - np.floor(spot.x + 0.5), spot.y - np.floor(spot.y + 0.5)
    first = canvas.size // 2 - spot.width // 2
    middle = slice(first, first + spot.width)
    light = canvas.draw_through(lights, [psf], float(offset[0]), float(offset[1]))[:, middle, middle].copy()
    image_description = description.of_bands([band]).model_copy(
        update={"zero_point": image.zero_point, "pixel_scale": spot.scale, "reference_band": band}
    )
    variance = add_noise(
        rng,
        light,
        np.array([level]),
        image_description,
        Correlation.of(image_description),
        background=np.zeros_like(light),
    )
    return light[0], np.maximum(variance[0] - np.float32(level**2), 0)

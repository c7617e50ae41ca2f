"""Scenes drawn as pictures of 256 pixels, as surveys show them: arcsinh(Q I) / Q, in colour or grey."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from second_generator.model import REFERENCE
from second_generator.scenes import Scene

SIZE = 256
"""Width and height of a picture (px)."""
STRETCHES = {"sdss": (8.0, 8.0), "legacy": (4.5, 4.5), "other": (3.5, 11.0)}
"""Ranges of Q."""
NOISE_STEPS = (2.5, 10.0)
"""Range of the noise of the sky, in steps of the 8 bits."""
BLACK = (-0.3, 2.0)
"""Range of the distance of black below the sky, in units of the noise."""
SHOWN = (0.5, 1.0)
"""Range of the part of the image that a picture shows."""
GREY = 0.35
"""Share of the pictures without colour."""


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes
    ----------
    pixels : ndarray
        uint8 (H, W) or (H, W, 3), row 0 at the top.
    pixel_scale : float
        arcsec.
    stretch : float
        Q.
    x, y : float
        Place of the galaxy (px from the left and the lower edge).
    """

    pixels: np.ndarray
    pixel_scale: float
    stretch: float
    x: float
    y: float

    def save(self, path: Path) -> None:
        """Write it as PNG."""
        Image.fromarray(self.pixels).save(path)


def draw_picture(scene: Scene, seed: int) -> Picture:
    """Return a scene as a picture; north is not up where the image is rotated.

    Parameters
    ----------
    scene : Scene
    seed : int

    Returns
    -------
    Picture
    """
    rng = np.random.default_rng([seed, scene.index, 1])
    number = scene.image.shape[1]
    cut = int((1 - rng.uniform(*SHOWN)) * number / 2)
    inside = slice(cut, number - cut)
    planes = np.stack([_resized(plane[inside, inside]) for plane in scene.image])
    factor = (number - 2 * cut) / SIZE
    stretch = rng.uniform(*STRETCHES[str(rng.choice(list(STRETCHES), p=[0.4, 0.4, 0.2]))])
    steps, black = np.exp(rng.uniform(*np.log(NOISE_STEPS))), rng.uniform(*BLACK)
    if rng.uniform() < GREY:
        channels = planes[REFERENCE][None]
    else:
        # Redder bands are shown fainter, so that a galaxy of average colour is almost white.
        channels = planes[::-1] * np.array([0.75, 1.0, 1.7])[:, None, None]
    noise = _noise(channels.mean(axis=0))
    light = (channels / noise + black) * (steps / 255)
    intensity = np.maximum(light.mean(axis=0), 1e-6)
    shown = np.clip(light * np.arcsinh(stretch * intensity) / (stretch * intensity), 0, 1)
    places = ((place - cut + 0.5) / factor for place in (scene.x, scene.y))
    pixels = np.round(255 * shown[:, ::-1]).astype(np.uint8)
    return Picture(
        pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1),
        scene.conditions.pixel_scale * factor,
        float(stretch),
        *places,
    )


def _resized(plane: np.ndarray) -> np.ndarray:
    """Return an image with `SIZE` pixels a side."""
    factor = len(plane) / SIZE
    if factor > 1:
        plane = ndimage.gaussian_filter(plane, np.sqrt((factor**2 - 1) / 12))
    places = (np.arange(SIZE) + 0.5) * factor - 0.5
    return ndimage.map_coordinates(plane, np.meshgrid(places, places, indexing="ij"), order=1, mode="nearest")


def _noise(plane: np.ndarray) -> float:
    """Return the standard deviation of the sky, from what is darker than its median along the edges."""
    edge = np.concatenate([plane[:20].ravel(), plane[-20:].ravel(), plane[:, :20].ravel(), plane[:, -20:].ravel()])
    low, middle = np.quantile(edge, [0.16, 0.5])
    return float(middle - low)

"""Simulated stamps as they are recovered from JPEG pictures, for networks that read such pictures."""

import io
from collections.abc import MutableMapping

import numpy as np
from PIL import Image

from tuningfork.stamps.picture.stamp import PictureStamp, sky_brightness, stamp_of
from tuningfork.stamps.picture.stretch import is_coloured, unstretch, usual_stretch

STRETCH_RANGE = (3.5, 12.0)
"""Range of the stretch Q with which pictures are drawn. All are read with the usual one of such pictures."""
USUAL_SHARE, USUAL_ERROR = 0.6, 0.07
"""Share of the pictures that have the usual Q of pictures with such a sky, and the standard deviation of ln(Q) among them."""
GREY_SHARE = 0.25
"""Share of the pictures without colours."""
SKY_NOISE_STEPS = (1.5, 15.0)
"""Range of the sky noise in a picture, in steps of its 8 bits."""
BLACK_LEVEL_RANGE = (-0.5, 2.5)
"""Range of the distance of black below the sky, in units of the noise; below zero, most of the sky is cut off."""
JPEG_QUALITY_RANGE = (65, 97)
LOSSLESS_SHARE = 0.15
"""Share of the pictures without JPEG compression."""
PSF_WIDTH_ERROR = 0.3
"""Standard deviation of ln(assumed / true width of the PSF), as pictures do not state theirs."""
COLOUR_SCATTER = 0.25
"""Standard deviation of ln(light in a channel / mean of the channels)."""


def as_pictures(
    images: np.ndarray,
    columns: MutableMapping[str, np.ndarray],
    band: str,
    share: float,
    generator: np.random.Generator,
    rows: np.ndarray | None = None,
) -> None:
    """Replace some stamps by what is recovered from a picture of them, in place.

    The galaxy is recovered centred and scaled to a common size, so that pixels have another width. Angular sizes stay
    true; fluxes and the zero point lose their meaning.

    Parameters
    ----------
    images : ndarray
        (N, 1, S, S) in flux units, in one band.
    columns : mapping
        `pixel_scale`, `sky_noise_{band}` and `psf_fwhm_{band}` of the N rows are changed.
    band : str
    share : float
        Share of the stamps that are replaced.
    generator : numpy Generator
    rows : ndarray, optional
        int, the rows that may be replaced, in ascending order; without it all.
    """
    noise = columns[f"sky_noise_{band}"]
    rows = np.arange(len(images)) if rows is None else rows
    for row in rows[generator.random(len(rows)) < share]:
        seen = as_seen_in_a_picture(images[row, 0], float(noise[row]), generator)
        images[row, 0] = seen.image
        noise[row] = seen.sky_noise
        columns["pixel_scale"][row] *= seen.step
        columns[f"psf_fwhm_{band}"][row] *= np.exp(generator.normal(0, PSF_WIDTH_ERROR))


def as_seen_in_a_picture(image: np.ndarray, sky_noise: float, generator: np.random.Generator) -> PictureStamp:
    """Draw a stamp as an 8-bit colour picture with random settings, and read the picture.

    Parameters
    ----------
    image : ndarray
        (S, S), light above the sky.
    sky_noise : float
        Standard deviation of the sky in a pixel, in the unit of `image`.
    generator : numpy Generator

    Returns
    -------
    PictureStamp
    """
    picture = _compressed(_drawn(image, sky_noise, generator), generator)
    brightness = picture.mean(axis=-1, dtype=np.float32) / 255
    stretch = usual_stretch(sky_brightness(brightness), is_coloured(picture))
    return stamp_of(unstretch(brightness, stretch), len(image))


def _drawn(image: np.ndarray, sky_noise: float, generator: np.random.Generator) -> np.ndarray:
    """Return a picture uint8 (S, S, 3) as of Lupton+ (2004), with random colours and independent noise per channel."""
    coloured = generator.random() >= GREY_SHARE
    # Faint light is shown linearly, so the scale follows from the noise in steps of the picture.
    scale = np.exp(generator.uniform(*np.log(SKY_NOISE_STEPS))) / 255 / sky_noise
    sky = generator.uniform(*BLACK_LEVEL_RANGE) * sky_noise
    stretch = _stretch(float(sky * scale), coloured, generator)
    light = (image + sky) * np.float32(scale)
    intensity = np.maximum(light, 1e-6)[..., None]
    channels = np.repeat(light[..., None], 3, axis=-1)
    if coloured:
        colours = np.exp(generator.normal(0, COLOUR_SCATTER, 3)).astype(np.float32)
        noise = generator.standard_normal((*image.shape, 3), dtype=np.float32) * np.float32(sky_noise * scale)
        # The mean of the channels is the image, so the noise of the channels has zero mean.
        channels = channels * (colours / colours.mean()) + noise - noise.mean(axis=-1, keepdims=True)
    shown = channels * (np.arcsinh(stretch * intensity) / (stretch * intensity))
    return np.asarray(np.round(255 * np.clip(shown, 0, 1)), dtype=np.uint8)


def _stretch(sky: float, coloured: bool, generator: np.random.Generator) -> float:
    """Return a random Q for a picture with a sky of this brightness."""
    if generator.random() < USUAL_SHARE:
        return float(usual_stretch(sky, coloured) * np.exp(generator.normal(0, USUAL_ERROR)))
    return float(np.exp(generator.uniform(*np.log(STRETCH_RANGE))))


def _compressed(picture: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the picture after JPEG compression."""
    quality = int(generator.integers(JPEG_QUALITY_RANGE[0], JPEG_QUALITY_RANGE[1] + 1))
    if generator.random() < LOSSLESS_SHARE:
        return picture
    packed = io.BytesIO()
    Image.fromarray(picture).save(packed, "JPEG", quality=quality)
    return np.asarray(Image.open(packed))

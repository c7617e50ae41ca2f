"""Simulated stamps as they would come back from a picture made for the eye, for networks that read such pictures."""

import io
from collections.abc import MutableMapping

import numpy as np
from PIL import Image

from tuningfork.stamps.picture.stamp import STRETCH, PictureStamp, stamp_of, unstretch

STRETCHES = (3.5, 12.0)
"""Range of the stretch Q with which pictures are drawn; they are read with one and the same, as pictures do not say."""
COMMON = (4.47, 8.0)
"""Q of the pictures of the Legacy Surveys and of SDSS, one of which half of the pictures have."""
SKY_STEPS = (1.5, 15.0)
"""Range of the noise of the sky in a picture, in steps of its 8 bits."""
BLACK = (-0.5, 2.5)
"""Range of how far black lies below the sky, in units of the noise: below zero, most of the sky is cut off."""
QUALITY = (65, 97)
"""Range of the quality of the JPEG compression."""
LOSSLESS = 0.15
"""Share of the pictures without such a compression."""
PSF_ERROR = 0.3
"""Standard deviation of ln(assumed / true width of the PSF): pictures do not say how wide theirs is."""
COLOURS = 0.25
"""Standard deviation of ln(light in a channel / mean of the channels)."""


def as_pictures(
    images: np.ndarray,
    columns: MutableMapping[str, np.ndarray],
    band: str,
    share: float,
    generator: np.random.Generator,
) -> None:
    """Let some stamps pass through a picture, in place.

    The galaxy comes back centred and brought to one size, so that pixels have another width. What is given in arcsec
    stays true; fluxes and the zero point lose their meaning.

    Parameters
    ----------
    images : ndarray
        (N, 1, S, S) in flux units, in one band.
    columns : mapping
        `pixel_scale`, `sky_noise_{band}` and `psf_fwhm_{band}` of the N rows are changed.
    band : str
    share : float
        Chance of each stamp.
    generator : numpy Generator
    """
    noise = columns[f"sky_noise_{band}"]
    for row in np.flatnonzero(generator.random(len(images)) < share):
        seen = as_seen_in_a_picture(images[row, 0], float(noise[row]), generator)
        images[row, 0] = seen.image
        noise[row] = seen.sky_noise
        columns["pixel_scale"][row] *= seen.step
        columns[f"psf_fwhm_{band}"][row] *= np.exp(generator.normal(0, PSF_ERROR))


def as_seen_in_a_picture(image: np.ndarray, sky_noise: float, generator: np.random.Generator) -> PictureStamp:
    """Draw a stamp (S, S) as a colour picture of 8 bits with random settings, and read the picture.

    Parameters
    ----------
    image : ndarray
        Light above the sky.
    sky_noise : float
        Its standard deviation in a pixel, in the unit of `image`.
    generator : numpy Generator
    """
    picture = _compressed(_drawn(image, sky_noise, generator), generator)
    return stamp_of(unstretch(picture.mean(axis=-1, dtype=np.float32) / 255, STRETCH), len(image))


def _drawn(image: np.ndarray, sky_noise: float, generator: np.random.Generator) -> np.ndarray:
    """Return a picture uint8 (S, S, 3) of Lupton+ (2004), whose channels have colours and noise of their own."""
    stretch = generator.choice(COMMON) if generator.random() < 0.5 else np.exp(generator.uniform(*np.log(STRETCHES)))
    # Faint light is shown in proportion: the noise is so many steps of the picture.
    scale = np.exp(generator.uniform(*np.log(SKY_STEPS))) / 255 / sky_noise
    light = (image + generator.uniform(*BLACK) * sky_noise) * np.float32(scale)
    colours = np.exp(generator.normal(0, COLOURS, 3)).astype(np.float32)
    noise = generator.standard_normal((*image.shape, 3), dtype=np.float32) * np.float32(sky_noise * scale)
    # The mean of the channels is the image: what is added to one is taken from the others.
    channels = light[..., None] * (colours / colours.mean()) + noise - noise.mean(axis=-1, keepdims=True)
    intensity = np.maximum(light, 1e-6)[..., None]
    shown = channels * (np.arcsinh(stretch * intensity) / (stretch * intensity))
    return np.asarray(np.round(255 * np.clip(shown, 0, 1)), dtype=np.uint8)


def _compressed(picture: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the picture after its compression as JPEG."""
    quality = int(generator.integers(QUALITY[0], QUALITY[1] + 1))
    if generator.random() < LOSSLESS:
        return picture
    packed = io.BytesIO()
    Image.fromarray(picture).save(packed, "JPEG", quality=quality)
    return np.asarray(Image.open(packed))

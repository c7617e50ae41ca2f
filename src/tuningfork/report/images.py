"""Pictures that are embedded in the page: colour images of stamps, maps laid over them, charts."""

import base64
import io
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

MAX_PICTURE_PIXELS = 192
"""Pixels along the edge of a picture of a galaxy; a larger stamp is scaled down."""
STRETCH_SOFTENING = 8.0
"""Softening of the arcsinh stretch (Lupton+ 2004, PASP 116, 133): the larger, the shorter its linear part."""


@dataclass(frozen=True)
class Chart:
    """A figure in the page.

    Attributes
    ----------
    source : str
        Data URI.
    alt : str
        Description for readers who cannot see the figure.
    caption : str
    width, height : int
        CSS pixels.
    """

    source: str
    alt: str
    caption: str
    width: int
    height: int


def colour(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return a colour picture of a stamp with an arcsinh stretch that keeps colours (Lupton+ 2004).

    Parameters
    ----------
    image : ndarray
        (B, S, S) flux, bands blue to red; any number of bands.
    noise : ndarray
        (B,) standard deviation of the sky; each band is divided by it.

    Returns
    -------
    ndarray
        (S, S, 3) uint8, row 0 at the top as screens have it: the stamp's +y is up.
    """
    bands = len(image)
    noise = np.where(np.isfinite(noise) & (noise > 0), noise, np.inf)
    scaled = image / noise[:, None, None]
    planes = scaled[[bands - 1, bands // 2, 0]] if bands > 1 else scaled[[0, 0, 0]]
    planes = np.nan_to_num(planes)
    intensity = planes.mean(axis=0)
    brightest = max(float(np.percentile(intensity, 99.8)), 10.0)
    stretch = np.arcsinh(np.maximum(intensity, 0) * STRETCH_SOFTENING / 10) / np.arcsinh(
        brightest * STRETCH_SOFTENING / 10
    )
    ratio = np.clip(planes, 0, None) / np.maximum(np.clip(planes, 0, None).max(axis=0), 1e-6)
    pale = 0.35 + 0.65 * ratio
    pixels = np.clip(stretch[None] * pale / np.maximum(pale.mean(axis=0), 1e-6), 0, 1)
    return np.round(255 * np.moveaxis(pixels, 0, -1)[::-1]).astype(np.uint8)


def heat(values: np.ndarray) -> np.ndarray:
    """Return a picture of a map.

    Parameters
    ----------
    values : ndarray
        (S, S) in [0, 1], row 0 at the bottom.

    Returns
    -------
    ndarray
        (S, S, 3) uint8, row 0 at the top.
    """
    return np.round(255 * mpl.colormaps["inferno"](np.clip(np.nan_to_num(values), 0, 1))[::-1, :, :3]).astype(np.uint8)


def overlay(picture: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return a picture in grey with a map laid over it in colour.

    Parameters
    ----------
    picture : ndarray
        (S, S, 3) uint8, row 0 at the top.
    values : ndarray
        (S, S) map in [0, 1], row 0 at the bottom.

    Returns
    -------
    ndarray
        (S, S, 3) uint8, row 0 at the top.
    """
    grey = picture.mean(axis=-1, keepdims=True)
    weight = np.clip(np.nan_to_num(values), 0, 1)[::-1, :, None] * 0.75
    return np.round(grey * (1 - weight) + heat(values) * weight).astype(np.uint8)


def jpeg(picture: np.ndarray) -> str:
    """Return a data URI of a picture.

    Parameters
    ----------
    picture : ndarray
        (S, S, 3) uint8, row 0 at the top.
    """
    image = Image.fromarray(picture)
    image.thumbnail((MAX_PICTURE_PIXELS, MAX_PICTURE_PIXELS), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return _uri("image/jpeg", file.getvalue())


def chart(figure: Figure, alt: str, caption: str) -> Chart:
    """Return the chart of a matplotlib figure as SVG, in which clouds of points are pixels.

    Parameters
    ----------
    figure : Figure
    alt : str
        Description for readers who cannot see the figure.
    caption : str

    Returns
    -------
    Chart
    """
    file = io.BytesIO()
    # Without a salt and a date the same figure gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": "tuningfork"}):
        figure.savefig(file, format="svg", metadata={"Date": None}, dpi=150)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Chart(_uri("image/svg+xml", file.getvalue()), alt, caption, width, height)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"

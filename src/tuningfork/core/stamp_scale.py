"""How wide the pixels of a stamp are."""

import numpy as np

from tuningfork.core.config.stages import Stamps

FINEST = 1 / 3
"""Narrowest pixel that a radius gives, in pixels of the tile: images are sampled so that finer ones show nothing new."""
LARGEST_WINDOW = 2048
"""Widest part of a tile (pixel) that becomes one stamp; wider galaxies are truncated."""
FOLLOWS_RADIUS = ("whole", "radius")
"""Scales for which the radius of a galaxy decides."""
SAME = 0.05
"""Pixels are those of the tile where both grids differ by less than this (pixel) at the edge of the stamp."""


def stamp_steps(settings: Stamps, native: np.ndarray | float, radius: np.ndarray | float) -> np.ndarray:
    """Return how wide the pixels of stamps are, in pixels of the tiles that they are cut from.

    A source without a radius keeps the pixels of the tile. With scale `whole` no pixel is narrower than the tile's, with
    scale `radius` none is narrower than `FINEST`. No stamp shows more than `LARGEST_WINDOW` pixels of its tile, whatever
    its scale.

    Parameters
    ----------
    settings : Stamps
    native : ndarray or float
        Pixel scale of the tile at each source (arcsec).
    radius : ndarray or float
        Half-light radius of each source (arcsec), NaN if unknown.

    Returns
    -------
    ndarray
        Shape of `native` and `radius` broadcast together; exactly 1 where the pixels of the tile are kept. The
        pixel scale of a stamp is this times `native`.
    """
    native, radius = np.broadcast_arrays(np.asarray(native, dtype=float), np.asarray(radius, dtype=float))
    step = np.ones(native.shape)
    if settings.scale == "fixed":
        step = settings.pixel_scale / native
    elif settings.scale in FOLLOWS_RADIUS:
        radii, finest = (settings.whole_radii, 1.0) if settings.scale == "whole" else (settings.radii, FINEST)
        with np.errstate(invalid="ignore"):
            wanted = np.maximum(radii * radius / (settings.size * native), finest)
            step = np.where((radius > 0) & np.isfinite(radius), wanted, 1.0)
    step = np.minimum(step, max(LARGEST_WINDOW / settings.size, 1.0))
    return np.where(np.abs(step - 1) * settings.size / 2 < SAME, 1.0, step)

"""The stretch of pictures: what the usual makers of pictures of galaxies use, and how it is undone.

Pictures of surveys show arcsinh(Q I) / Q of the light I (Lupton+ 2004, PASP 116, 133). Q is not in the file, but the
usual makers can be told apart by the brightness of their skies.
"""

import numpy as np

UNKNOWN_STRETCH = 5.5
"""Q of grey pictures, and of those with an unusually bright sky: between the usual ones.

With too high a Q the centre of the galaxy becomes far too bright; with too low a Q it only loses contrast.
"""
USUAL_STRETCHES = ((0.04, 8.0), (0.1, 6.2), (0.16, 4.47))
"""Of coloured pictures: the brightness of the sky up to which a maker is assumed, and its Q.

SDSS, and `make_lupton_rgb` of astropy, cut the sky off at black; the sky of Galaxy Zoo DECaLS is at 0.065, and its Q was
measured on the fall of the noise with brightness, and on sizes of galaxies; that of the Legacy Surveys' viewer at 0.127.
"""
R90_OF_DARK_SKY = 1.3
"""True radius with 90 % of the light over the one that is measured, for coloured pictures whose sky is cut off at black.

The faint outskirts are cut off with it. The pictures of SDSS, which are scaled so that the radius is 50 px, give 38.3 px
(median of 388; scatter 11 %).
"""
LEAST_COLOUR = 0.5
"""Mean difference of the brightest and the darkest channel (of 255) above which a picture is coloured."""


def usual_stretch(sky: float, coloured: bool) -> float:
    """Return the Q that pictures with such a sky usually have.

    Parameters
    ----------
    sky : float
        Brightness of the picture's sky, 0 black, 1 white.
    coloured : bool
        Whether the picture has colours.

    Returns
    -------
    float
    """
    usual = (stretch for limit, stretch in USUAL_STRETCHES if sky < limit)
    return next(usual, UNKNOWN_STRETCH) if coloured else UNKNOWN_STRETCH


def size_factor(sky: float, coloured: bool) -> float:
    """Return the true radius with 90 % of the light over the one that is measured on pictures with such a sky.

    Parameters
    ----------
    sky, coloured
        As for :func:`usual_stretch`.

    Returns
    -------
    float
    """
    return R90_OF_DARK_SKY if coloured and sky < USUAL_STRETCHES[0][0] else 1.0


def is_coloured(picture: np.ndarray) -> bool:
    """Return whether a picture has colours.

    Parameters
    ----------
    picture : ndarray
        (H, W, 3), from 0 to 255

    Returns
    -------
    bool
    """
    return bool(np.mean(picture.max(axis=-1) - picture.min(axis=-1)) > LEAST_COLOUR)


def unstretch(brightness: np.ndarray, stretch: float) -> np.ndarray:
    """Return the light that a picture shows as `brightness` (0 black, 1 white).

    Parameters
    ----------
    brightness : ndarray
        Any shape: the mean of the colours.
    stretch : float
        Q; 0 for a linear picture.

    Returns
    -------
    ndarray
        float32, in units in which faint light is as in the picture.
    """
    brightness = np.asarray(brightness, dtype=np.float32)
    return np.sinh(stretch * brightness) / np.float32(stretch) if stretch > 0 else brightness

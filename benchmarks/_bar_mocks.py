"""Clean mock discs with a Ferrers bar, drawn with GalSim alone: nothing of the package's own simulator is in them."""

from dataclasses import dataclass

import galsim
import numpy as np

SIZE, PIXEL_SCALE, PSF_FWHM, PSF_BETA = 128, 0.262, 1.2, 3.0
"""Pixels a side; arcsec."""
LENGTHS = (6.0, 16.0)
"""Shortest and longest full bar length as seen on the sky (arcsec)."""
AXIS_RATIOS = (0.65, 1.0)
"""Of the discs."""
OVERSAMPLING = 4
NOISE = 1.0


@dataclass(frozen=True)
class Mock:
    """One galaxy: `image` in units of the noise, the `length` (px, full) and `angle` (deg) of its bar, its disc's shape."""

    image: np.ndarray
    length: float
    angle: float
    axis_ratio: float
    position_angle: float


def mocks(number: int = 20, seed: int = 20) -> list[Mock]:
    """Return mocks whose lengths are spread evenly in the logarithm over `LENGTHS`."""
    rng = np.random.default_rng(seed)
    lengths = np.geomspace(*LENGTHS, number)
    return [_mock(rng, length) for length in lengths]


def _mock(rng: np.random.Generator, length: float) -> Mock:
    inclined, angle, disc_angle = rng.uniform(*AXIS_RATIOS), rng.uniform(0, 180), rng.uniform(0, 180)
    scale = length / 2 / rng.uniform(1.0, 1.6)
    bar, bulge = rng.uniform(0.1, 0.25), rng.uniform(0.03, 0.12)
    disc = galsim.Exponential(scale_radius=scale).shear(q=inclined, beta=(disc_angle + 90) * galsim.degrees)
    spheroid = galsim.Sersic(2, half_light_radius=0.25 * scale)
    on_sky = ferrers(length, length * rng.uniform(0.2, 0.35), angle)
    galaxy = disc * (1 - bar - bulge) + spheroid * bulge + on_sky * bar
    seen = galsim.Convolve(galaxy * 10 ** rng.uniform(5.0, 5.5), galsim.Moffat(PSF_BETA, fwhm=PSF_FWHM))
    # GalSim's centre of an even image lies between pixels, the package's on index S // 2.
    offset = galsim.PositionD(0.5 + rng.uniform(-0.5, 0.5), 0.5 + rng.uniform(-0.5, 0.5))
    image = seen.drawImage(nx=SIZE, ny=SIZE, scale=PIXEL_SCALE, offset=offset).array
    noisy = (image + rng.normal(0, NOISE, image.shape)).astype(np.float32)
    return Mock(noisy, length / PIXEL_SCALE, angle, inclined, disc_angle)


def ferrers(length: float, width: float, angle: float, index: float = 2.0) -> galsim.GSObject:
    """Return a bar of unit flux whose light is (1 - m^2)^index inside an ellipse and nothing outside.

    Parameters
    ----------
    length, width : float
        Full axes of the ellipse (arcsec).
    angle : float
        From +y counter-clockwise (deg).
    index : float
    """
    step = PIXEL_SCALE / OVERSAMPLING
    half = int(np.ceil(length / 2 / step)) + 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1] * step
    turn = np.deg2rad(angle)
    along, across = -x * np.sin(turn) + y * np.cos(turn), x * np.cos(turn) + y * np.sin(turn)
    light = np.clip(1 - (2 * along / length) ** 2 - (2 * across / width) ** 2, 0, None) ** index
    return galsim.InterpolatedImage(galsim.Image(light, scale=step), flux=1.0)

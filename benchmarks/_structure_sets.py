"""The galaxies of benchmarks/structure.py: single Sersic profiles that plain GalSim draws, and our simulator's."""

from dataclasses import dataclass, replace
from pathlib import Path

import galsim
import numpy as np
import sep
from scipy import ndimage

from tuningfork.core.config import Configuration
from tuningfork.core.config.stages import Stamps
from tuningfork.core.description import Description, describe
from tuningfork.core.seeds import generator_for
from tuningfork.measure.structure.fit import Moffat, model_images
from tuningfork.networks.structure import shear_of
from tuningfork.training.sets.parts import simulate_galaxy

ROOT = Path(__file__).resolve().parents[1]
SIZE = 128
PIXEL_SCALE = 0.262
FWHM, BETA = 1.2, 3.0
"""Of the PSF of the single profiles (arcsec), a Moffat without the pixel."""
SKY = 90.0
"""Electrons of the sky in a pixel for which one unit of flux, the sky noise, is sqrt(SKY) electrons."""
PSF_SIZE = 51
SIGNAL_TO_NOISE = (10.0, 30.0, 100.0, 300.0, 1000.0)
"""Edges of the bins."""


@dataclass(frozen=True)
class Sample:
    """N galaxies in one band, in units of the sky noise of a pixel.

    Attributes
    ----------
    images, variance : ndarray
        float32 (N, S, S); the variance is the true one, of the sky and of the sources.
    mask : ndarray
        bool (N, S, S), pixels of neighbours.
    fwhm, beta : ndarray
        (N,) Moffat PSF without the pixel: full width at half maximum (px) and exponent.
    truth : dict
        mag (of the flux in units of the sky noise), r_eff (px, semi-major axis), sersic_n, axis_ratio, position_angle
        (deg from +y counter-clockwise) -> (N,).
    signal_to_noise : ndarray
        (N,) within the ellipse that holds half of the light.
    """

    images: np.ndarray
    variance: np.ndarray
    mask: np.ndarray
    fwhm: np.ndarray
    beta: np.ndarray
    truth: dict[str, np.ndarray]
    signal_to_noise: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray | slice) -> "Sample":
        """Return some of the galaxies."""
        arrays = {name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays, truth={name: value[rows] for name, value in self.truth.items()})


def psf_image(fwhm: float, beta: float, size: int = PSF_SIZE, with_pixel: bool = False) -> np.ndarray:
    """Return a Moffat PSF (px) as an image of odd width and unit sum, without the response of the pixel."""
    method = "auto" if with_pixel else "no_pixel"
    image = galsim.Moffat(beta=beta, fwhm=fwhm).drawImage(nx=size, ny=size, scale=1.0, method=method).array
    return np.asarray(image / image.sum(), dtype=np.float64)


def single_profiles(
    number: int,
    seed: int = 1,
    seeing: float | np.ndarray = FWHM,
    pixel_scale: float = PIXEL_SCALE,
    plain: bool = True,
) -> Sample:
    """Return single Sersic profiles: n 0.5-6 and r_eff 1-4 arcsec (log-uniform), axis ratio 0.2-1.

    The signal-to-noise ratios are log-uniform within each bin, the same number of galaxies in each. The galaxies of a
    seed are the same, and have the same flux, whatever the seeing (arcsec, one or (N,)). For `plain` see
    :func:`profiles`.
    """
    rng = np.random.default_rng(seed)
    bins = np.arange(number) % (len(SIGNAL_TO_NOISE) - 1)
    low, high = np.log(np.array(SIGNAL_TO_NOISE))[bins], np.log(np.array(SIGNAL_TO_NOISE))[bins + 1]
    wanted = np.exp(rng.uniform(low, high))
    truth = {
        "r_eff": np.exp(rng.uniform(np.log(1.0), np.log(4.0), number)) / pixel_scale,
        "sersic_n": np.exp(rng.uniform(np.log(0.5), np.log(6.0), number)),
        "axis_ratio": rng.uniform(0.2, 1.0, number),
        "position_angle": rng.uniform(0, 180, number),
    }
    truth["mag"] = -2.5 * np.log10(flux_of(wanted, truth))
    return profiles(rng, truth, np.broadcast_to(seeing, number) / pixel_scale, BETA, plain=plain)


def profiles(
    rng: np.random.Generator,
    truth: dict[str, np.ndarray],
    fwhm: np.ndarray,
    beta: float,
    sky: float = SKY,
    plain: bool = True,
) -> Sample:
    """Return Sersic profiles of known truth (in px and units of the sky noise), with noise.

    Parameters
    ----------
    rng : numpy.random.Generator
    truth : dict
        As in :class:`Sample`.
    fwhm : ndarray
        (N,) px.
    beta : float
    sky : float
        Electrons of the sky in a pixel.
    plain : bool
        Drawn by GalSim's drawImage, for what is measured; otherwise, much faster, by ours, for what is learnt from.
    """
    number = len(fwhm)
    offset = rng.uniform(-0.5, 0.5, (number, 2))
    if plain:
        ones = ({name: float(values[row]) for name, values in truth.items()} for row in range(number))
        models = np.stack([draw(one, fwhm[row], beta, offset[row]) for row, one in enumerate(ones)])
        models *= 10 ** (-0.4 * truth["mag"])[:, None, None]
    else:
        shear = shear_of(truth["axis_ratio"], truth["position_angle"])
        targets = np.stack([truth["mag"], np.log(truth["r_eff"]), np.log(truth["sersic_n"]), *shear], axis=1)
        models = model_images(targets, Moffat(np.array(fwhm), np.full(number, beta)), SIZE, *offset.T)
    variance = 1 + np.maximum(models, 0) / np.sqrt(sky)
    images = (models + rng.standard_normal(models.shape) * np.sqrt(variance)).astype(np.float32)
    variance = variance.astype(np.float32)
    masks, signal = neighbour_masks(images, variance), signal_to_noise(truth, variance)
    return Sample(images, variance, masks, np.array(fwhm), np.full(number, beta), truth, signal)


def draw(
    truth: dict[str, float], fwhm: float, beta: float, offset: np.ndarray, n_max_fft: int = 8192, size: int = SIZE
) -> np.ndarray:
    """Return a Sersic profile of unit flux on pixels, drawn by plain GalSim (all lengths in px)."""
    parameters = galsim.GSParams(maximum_fft_size=n_max_fft)
    q, angle = truth["axis_ratio"], truth["position_angle"]
    # GalSim keeps the area when it shears; our half-light radius is the semi-major axis.
    profile = galsim.Sersic(n=truth["sersic_n"], half_light_radius=truth["r_eff"] * np.sqrt(q), gsparams=parameters)
    profile = profile.shear(q=q, beta=(angle + 90) * galsim.degrees)
    seen = galsim.Convolve(profile, galsim.Moffat(beta=beta, fwhm=fwhm), gsparams=parameters)
    # The centre of an even image of GalSim's lies half a pixel below [S // 2, S // 2].
    return np.asarray(seen.drawImage(nx=size, ny=size, scale=1.0, offset=offset + 0.5).array, dtype=np.float64)


def flux_of(wanted: np.ndarray, truth: dict[str, np.ndarray]) -> np.ndarray:
    """Return the fluxes (sky noise of a pixel) with which galaxies have a signal-to-noise ratio: see below."""
    area = np.pi * truth["r_eff"] ** 2 * truth["axis_ratio"]
    # half^2 = wanted^2 (area + half / sqrt(SKY))
    square = wanted**2 / np.sqrt(SKY)
    return np.asarray(square + np.sqrt(square**2 + 4 * wanted**2 * area))


def signal_to_noise(truth: dict[str, np.ndarray], variance: np.ndarray) -> np.ndarray:
    """Return the signal-to-noise ratio (N,) within the ellipse that holds half of the light."""
    rows, columns = np.indices(variance.shape[1:]) - variance.shape[1] // 2
    result = []
    for mag, r_eff, ratio, angle, plane in zip(
        *(truth[name] for name in ("mag", "r_eff", "axis_ratio", "position_angle")), variance, strict=True
    ):
        theta = np.deg2rad(angle)
        along, across = rows * np.cos(theta) - columns * np.sin(theta), rows * np.sin(theta) + columns * np.cos(theta)
        inside = (np.hypot(along, across / ratio) <= r_eff) & (plane < 1e6)
        inside[rows.shape[0] // 2, rows.shape[0] // 2] = True
        area = max(np.pi * r_eff**2 * ratio, 1.0)
        result.append(0.5 * 10 ** (-0.4 * mag) / np.sqrt(area * plane[inside].mean()))
    return np.array(result)


def realistic(number: int, seed: int, survey: str = "legacy", **simulate: object) -> Sample:
    """Return galaxies of several components with neighbours in one band, as training sets have them.

    Parameters
    ----------
    number, seed : int
    survey : str
        Whose noise, seeing and pixels; its reference band alone.
    simulate : object
        Keys of the configuration's section `simulate`.
    """
    configuration = Configuration.model_validate({"survey": {"name": survey}, "simulate": simulate})
    description = one_band(describe(configuration, ROOT / "config" / "surveys"))
    form, rows, stamps = Stamps(size=SIZE), [], []
    for index in range(number):
        rng = generator_for(seed, "benchmark", index)
        stamp, row = simulate_galaxy(rng, configuration.simulate, description, form)
        stamps.append(stamp[:, 0])
        rows.append(row)
    return sample_of(np.stack(stamps), rows, description)


def one_band(description: Description) -> Description:
    """Return a survey that has its reference band only."""
    place, number = description.reference, len(description.bands)
    lists = {
        name: [value[place]]
        for name, value in description.model_dump().items()
        if isinstance(value, list) and len(value) == number
    }
    return description.model_copy(update=lists)


def sample_of(stamps: np.ndarray, rows: list[dict[str, object]], description: Description) -> Sample:
    """Return the sample of simulated stamps (N, 2, S, S) in flux units and their rows."""
    band = description.bands[0]
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0] if is_number(rows[0][name])}
    noise, scale = columns[f"sky_noise_{band}"], columns["pixel_scale"]
    images, weight = stamps[:, 0] / noise[:, None, None], stamps[:, 1] * noise[:, None, None] ** 2
    good = weight > 0
    variance = np.where(good, 1 / np.where(good, weight, 1), 1e12)
    truth = {name: columns[name] for name in ("sersic_n", "axis_ratio", "position_angle")}
    truth["r_eff"] = columns["r_eff"] / scale
    truth["mag"] = columns["mag"] - columns["zero_point"] + 2.5 * np.log10(noise)
    mask = ~good | neighbour_masks(images.astype(np.float32), variance.astype(np.float32))
    fwhm = columns[f"psf_fwhm_{band}"] / scale
    return Sample(
        images.astype(np.float32),
        variance.astype(np.float32),
        mask,
        fwhm,
        columns["psf_beta"],
        truth,
        signal_to_noise(truth, variance),
    )


def is_number(value: object) -> bool:
    """Return whether a value of a row is a number."""
    return isinstance(value, int | float | np.floating)


def neighbour_masks(images: np.ndarray, variance: np.ndarray, grow: int = 3) -> np.ndarray:
    """Return the pixels (N, S, S) that belong to detected sources other than the central one, as SExtractor would."""
    masks = np.zeros(images.shape, dtype=bool)
    for mask, image, spread in zip(masks, images, np.sqrt(variance), strict=True):
        _, segments = sep.extract(
            np.ascontiguousarray(image), 1.5, err=np.ascontiguousarray(spread), minarea=9, segmentation_map=True
        )
        half = image.shape[0] // 2
        middle = segments[half - 1 : half + 2, half - 1 : half + 2]
        others = (segments > 0) & (segments != (middle.max() if middle.any() else -1))
        mask[...] = ndimage.binary_dilation(others, iterations=grow)
        mask[half - 2 : half + 3, half - 2 : half + 3] = False
    return masks

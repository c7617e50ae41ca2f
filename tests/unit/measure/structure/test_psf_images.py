"""Fits with images of the PSF against galaxies that GalSim convolves, on the tile's pixels and on others."""

import galsim
import numpy as np
import pyarrow as pa
import pytest
import torch

from tuningfork.core.config.stages import Structure
from tuningfork.measure.structure.fit import FitSettings, PsfImages, fit_profiles
from tuningfork.measure.structure.refine import refine
from tuningfork.networks.posterior import Gaussians
from tuningfork.stamps.rescale import rescale, window_size
from tuningfork.surveys.star_images import StarImage

NOISELESS = FitSettings(mask_passes=0, systematic=0, tolerance=1e-5)
FLUX = 3e5
# No Moffat profile: two widths, elliptical, with a faint lobe on one side.
PSF = galsim.Add(
    galsim.Gaussian(fwhm=2.6).shear(g1=0.05),
    0.35 * galsim.Moffat(beta=2.8, fwhm=5.0).shear(g2=-0.04),
    0.02 * galsim.Gaussian(fwhm=3.0).shift(3, 1),
).withFlux(1)


def star(size: int, x: float, y: float) -> np.ndarray:
    """Draw the PSF with its pixel response, (x, y) px off the middle of the image."""
    return PSF.drawImage(nx=size, ny=size, scale=1, offset=(x, y)).array.astype(float)


def start(r_eff: float, n: float) -> np.ndarray:
    """Return a start that is some way off the profile of a round galaxy."""
    return np.array([-2.5 * np.log10(FLUX) + 0.1, np.log(r_eff) - 0.15, np.log(n) + 0.2, 0.05, -0.1])


def galaxy(r_eff: float, n: float, size: int, x: float, y: float) -> np.ndarray:
    """Draw a round galaxy at (x, y) from the centre of the pixel [size // 2, size // 2]."""
    light = galsim.Convolve(galsim.Sersic(n=n, half_light_radius=r_eff, flux=FLUX), PSF)
    bounds = galsim.BoundsI(-(size // 2), size - size // 2 - 1, -(size // 2), size - size // 2 - 1)
    return light.drawImage(bounds=bounds, scale=1, center=galsim.PositionD(x, y)).array.astype(float)


@pytest.mark.parametrize(("size", "x", "y"), [(61, 0.0, 0.0), (60, 0.0, 0.0), (61, 3.3, -2.7), (60, -0.2, 0.45)])
@pytest.mark.parametrize(("r_eff", "n"), [(3.0, 4.0), (6.0, 1.0)])
def test_size_and_centre_of_the_image_of_the_psf_move_nothing(
    size: int, x: float, y: float, r_eff: float, n: float
) -> None:
    image = galaxy(r_eff, n, 96, 0.3, -0.4)[None]
    expected = StarImage.of(star(61, 0, 0))
    found = StarImage.of(star(size, x, y))
    fits = [
        fit_profiles(image, np.ones_like(image), PsfImages(psf.pixels[None], True), start(r_eff, n)[None], NOISELESS)
        for psf in (expected, found)
    ]
    for fit in fits:
        assert np.exp(fit.mean[0, 1:3]) == pytest.approx([r_eff, n], rel=5e-3)
    assert (fits[1].x[0], fits[1].y[0]) == pytest.approx((fits[0].x[0], fits[0].y[0]), abs=0.002)
    # The lobe makes the centre a matter of definition, to a hundredth of a pixel.
    assert (fits[1].x[0], fits[1].y[0]) == pytest.approx((0.3, -0.4), abs=0.01)
    assert (found.fwhm, found.beta) == pytest.approx((expected.fwhm, expected.beta), rel=0.01)


@pytest.mark.parametrize("step", [0.7, 1.3, 2.2, 3.5])
def test_wider_and_narrower_pixels_of_the_stamp_keep_the_profile(step: float) -> None:
    size, r_eff, n, offset = 96, 16.0, 2.0, (0.2, -0.3)
    pixels = galaxy(r_eff * step, n, window_size(size, step), *offset)
    images, weights = rescale(pixels[None], np.ones_like(pixels)[None], step, offset, size)
    psf = StarImage.of(star(61, 0, 0)).pixels[None]
    errors = []
    for steps in (np.array([step]), None):
        fit = fit_profiles(images, weights, PsfImages(psf, True, steps), start(r_eff, n)[None], NOISELESS)
        errors.append(abs(np.exp(fit.mean[0, 1:3]) / (r_eff, n) - 1).max())
    assert errors[0] < 0.01 < errors[1] / 3


def test_a_row_with_an_image_of_the_psf_is_fitted_with_it_and_another_with_its_width() -> None:
    r_eff, n, noise, scale = 4.0, 3.0, 0.01, 0.2
    psfs = [StarImage.of(star(61, 0, 0)), None, StarImage.of(star(41, 0, 0))]
    stamps = np.ones((3, 2, 1, 96, 96), dtype=np.float32) / noise**2
    stamps[:, 0, 0] = galaxy(r_eff, n, 96, 0.3, -0.4)
    table = pa.table(
        {
            "sky_noise_r": np.full(3, noise),
            "pixel_scale": np.full(3, scale, dtype=np.float32),
            "psf_fwhm_r": np.full(3, 1.3 * psfs[0].fwhm * scale),
            "psf_beta": np.full(3, psfs[0].beta),
            "psf_image": pa.array([None if psf is None else psf.pixels.ravel() for psf in psfs]),
            "psf_image_scale": np.full(3, scale, dtype=np.float32),
        }
    )
    mean = np.broadcast_to(start(r_eff, n) - [2.5 * np.log10(1 / noise), 0, 0, 0, 0], (3, 5))
    network = Gaussians(np.concatenate([mean, np.zeros((3, 1))], axis=1), np.tile(np.eye(6), (3, 1, 1)))
    fitted = refine(network, table, stamps, "r", Structure(), torch.device("cpu"))
    found = np.exp(fitted.fit.mean[:, 1:3])
    assert found[[0, 2]] == pytest.approx(np.array([[r_eff, n]] * 2), rel=0.02)
    assert abs(found[1] / (r_eff, n) - 1).max() > 0.05
    without = refine(network, table.drop_columns(["psf_image"]), stamps, "r", Structure(), torch.device("cpu"))
    assert np.exp(without.fit.mean[:, 1:3]) == pytest.approx(np.broadcast_to(found[1], (3, 2)), rel=1e-3)

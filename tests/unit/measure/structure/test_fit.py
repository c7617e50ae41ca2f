"""Profile fits against GalSim, against another optimiser, and with what real stamps do to them."""

import galsim
import numpy as np
import pytest
import torch
from scipy import optimize

from tuningfork.core.errors import InputError
from tuningfork.measure.structure.fit import FitSettings, Moffat, PsfImages, fit_profiles, model_images
from tuningfork.measure.structure.fit.model import Grid
from tuningfork.measure.structure.fit.spectra import DRAWN_IMAGES

NAMES = ("mag", "log_r_eff", "log_sersic_n", "eta_1", "eta_2")
NOISELESS = FitSettings(mask_passes=0, systematic=0, tolerance=1e-5)
MAG = -2.5 * np.log10(3e5)


def profile(r_eff: float, n: float, axis_ratio: float, position_angle: float = 33.0, mag: float = MAG) -> np.ndarray:
    eta, double = -np.log(axis_ratio), 2 * np.deg2rad(position_angle)
    return np.array([mag, np.log(r_eff), np.log(n), eta * np.cos(double), eta * np.sin(double)])


def random_profiles(number: int, rng: np.random.Generator, largest: float) -> np.ndarray:
    r_eff, n = (np.exp(rng.uniform(np.log(low), np.log(high), number)) for low, high in ((2, largest), (0.5, 6)))
    draws = zip(r_eff, n, rng.uniform(0.2, 1, number), rng.uniform(0, 180, number), strict=True)
    return np.stack([profile(*draw, mag=0.0) for draw in draws])


def galsim_image(values: np.ndarray, psf: galsim.GSObject, size: int, x: float, y: float) -> np.ndarray:
    """Draw a profile as GalSim does, its pixel response included."""
    eta, angle = np.hypot(values[3], values[4]), np.rad2deg(np.arctan2(values[4], values[3])) / 2
    galaxy = galsim.Sersic(n=np.exp(values[2]), half_light_radius=np.exp(values[1] - eta / 2))
    galaxy = galaxy.shear(q=np.exp(-eta), beta=(90 + angle) * galsim.degrees)
    bounds = galsim.BoundsI(-(size // 2), size - size // 2 - 1, -(size // 2), size - size // 2 - 1)
    light = galsim.Convolve(galaxy, psf) * 10 ** (-0.4 * values[0])
    return light.drawImage(bounds=bounds, scale=1, center=galsim.PositionD(x, y)).array


@pytest.mark.parametrize(
    ("r_eff", "n", "axis_ratio", "fwhm"),
    [
        (2.0, 4.0, 0.9, 3.0),
        (3.0, 0.5, 0.7, 6.0),
        (6.0, 2.5, 0.3, 2.0),
        (12.0, 1.0, 0.5, 4.0),
        (20.0, 5.0, 0.6, 4.0),  # a sixth of the light is outside of the stamp
        (4.0, 2.0, 0.8, 1.6),  # undersampled
    ],
)
def test_profiles_that_galsim_draws_are_found_without_bias(
    r_eff: float, n: float, axis_ratio: float, fwhm: float
) -> None:
    truth, x, y = profile(r_eff, n, axis_ratio), 0.3, -0.4
    image = galsim_image(truth, galsim.Moffat(beta=3.0, fwhm=fwhm), 128, x, y)[None]
    start = truth + np.array([0.1, -0.15, 0.2, 0.05, -0.1])
    fit = fit_profiles(image, np.ones_like(image), Moffat(np.array([fwhm]), np.array([3.0])), start[None], NOISELESS)
    assert fit.converged[0]
    assert abs(fit.mean[0, 1:3] - truth[1:3]).max() < 2e-3
    assert abs(fit.mean[0, 3:] - truth[3:]).max() < 1e-3
    assert abs(fit.mean[0, 0] - truth[0]) < 2e-3
    assert (fit.x[0], fit.y[0]) == pytest.approx((x, y), abs=1e-3)


def test_the_pixel_response_belongs_to_the_psf_or_to_the_model_but_not_to_both() -> None:
    truth = profile(4.0, 2.5, 0.7)
    psf = galsim.Moffat(beta=3.0, fwhm=3.0)
    image = galsim_image(truth, psf, 64, 0.1, 0.2)[None]
    star = psf.drawImage(nx=49, ny=49, scale=1).array[None]
    for contains_pixel, error in ((True, 0.003), (False, None)):
        fit = fit_profiles(image, np.ones_like(image), PsfImages(star, contains_pixel), truth[None], NOISELESS)
        bias = abs(fit.mean[0, 2] - truth[2])
        assert bias < error if error else bias > 0.01


def test_derivatives_of_the_model_are_those_of_its_differences() -> None:
    grid = Grid(64, 1.0, torch.device("cpu"))
    transfer = grid.prepare(Moffat(np.array([3.0]), np.array([2.8])))
    for eta in ((0.5, -0.4), (0.0, 0.0)):
        parameters = torch.tensor([[0.0, 0.2, -0.3, 1.5, 0.7, *eta, 0.0]], dtype=torch.float64)
        drawn = grid.draw(parameters, transfer)[0]
        for column in range(1, DRAWN_IMAGES):
            step = torch.zeros(1, 8, dtype=torch.float64)
            step[0, column] = 0.02
            ends = [grid.draw(parameters + sign * step, transfer, 1)[0, 0] for sign in (1, -1)]
            expected = (ends[0] - ends[1]) / 0.04
            assert (drawn[column] - expected).norm() < 5e-3 * expected.norm(), (eta, column)


def test_another_optimiser_finds_the_same_minimum_and_errors() -> None:
    rng = np.random.default_rng(3)
    truth, psf = profile(4.0, 1.8, 0.6, mag=-8.5), Moffat(np.array([3.2]), np.array([3.0]))
    image = model_images(truth[None], psf, 48, 0.2, 0.1)[0] + rng.normal(size=(48, 48))
    settings = FitSettings(mask_passes=0, systematic=0)

    def residual(free: np.ndarray) -> np.ndarray:
        model = model_images(free[None, :5], psf, 48, free[5], free[6], free[7])[0]
        priors = [free[5] / settings.centre_sigma, free[6] / settings.centre_sigma, free[7] / settings.sky_sigma]
        return np.concatenate([(image - model).ravel(), priors]).astype(float)

    start = np.append(truth, [0.0, 0.0, 0.0])
    other = optimize.least_squares(residual, start, diff_step=1e-3, x_scale=[0.1] * 8, xtol=1e-5, ftol=1e-6)
    covariance = np.linalg.inv(other.jac.T @ other.jac)[:5, :5]
    fit = fit_profiles(image[None], np.ones((1, 48, 48)), psf, (truth + 0.1)[None], settings)
    sigma = np.sqrt(np.diag(covariance))
    assert abs(fit.mean[0] - other.x[:5]).max() < 0.1 * sigma.min()
    assert np.sqrt(np.diag(fit.covariance[0])) == pytest.approx(sigma, rel=0.03)
    assert fit.reduced_chi2[0] == pytest.approx(1, abs=0.1)


def test_errors_are_as_large_as_they_are_said_to_be() -> None:
    rng, number = np.random.default_rng(5), 128
    truth = random_profiles(number, rng, 8)
    psf = Moffat(rng.uniform(2.5, 5, number), rng.uniform(2.5, 4.5, number))
    images = model_images(truth, psf, 64, *rng.normal(0, 0.4, (2, number)))
    flux = np.exp(rng.uniform(np.log(60), np.log(500), number)) / np.sqrt((images**2).sum(axis=(1, 2)))
    truth[:, 0] = -2.5 * np.log10(flux)
    sigma = rng.uniform(0.7, 1.4, images.shape)
    noisy = images * flux[:, None, None] + rng.normal(size=images.shape) * sigma
    start = truth + rng.normal(0, 0.1, truth.shape)
    fit = fit_profiles(noisy, 1 / sigma**2, psf, start, FitSettings(systematic=0))
    assert fit.converged.all()
    whitened = np.linalg.solve(np.linalg.cholesky(fit.covariance), (fit.mean - truth)[..., None])[..., 0]
    assert abs(np.median(whitened)) < 0.15
    assert np.mean(abs(whitened) < 1) == pytest.approx(0.683, abs=0.06)
    assert np.mean(abs(whitened) < 2) == pytest.approx(0.954, abs=0.03)


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray, Moffat]:
    """A galaxy with a neighbour, its profile, and their PSF."""
    truth = np.stack([profile(6.0, 1.5, 0.7, mag=-9.5), profile(2.0, 1.0, 0.8, mag=-8.8)])
    psf = Moffat(np.full(2, 3.0), np.full(2, 3.0))
    images = model_images(truth, psf, 128, np.array([0.0, 22.0]), np.array([0.0, 9.0]))
    noise = np.random.default_rng(2).normal(size=(128, 128))
    return (images.sum(axis=0) + noise)[None].astype(np.float32), truth[:1], psf[np.array([0])]


def test_neighbours_are_left_out(pair: tuple[np.ndarray, np.ndarray, Moffat]) -> None:
    image, truth, psf = pair
    start = truth + 0.05
    fit = fit_profiles(image, np.ones_like(image), psf, start, images_wanted=True)
    blind = fit_profiles(image, np.ones_like(image), psf, start, FitSettings(mask_passes=0))
    assert abs(fit.mean - truth)[0, 1:3].max() < 0.06
    assert abs(blind.mean - truth)[0, 1:3].max() > 0.2
    assert fit.residuals is not None
    assert fit.residuals[0, 64 + 9, 64 + 22] > 20  # the neighbour is not in the model
    assert abs(fit.residuals[0, 54:75, 54:75].mean()) < 0.3


def test_a_fit_depends_on_its_own_galaxy_only(pair: tuple[np.ndarray, np.ndarray, Moffat]) -> None:
    image, truth, psf = pair
    hidden = image.copy()
    hidden[0, 60:62, 70:75] = np.nan
    weight = np.where(np.isnan(hidden), 0, 1).astype(np.float32)
    images = np.concatenate([image, hidden, np.full_like(image, np.nan), image * 2])
    weights = np.concatenate([np.ones_like(image), weight, np.zeros_like(image), np.full_like(image, 0.25)])
    psf = psf[np.zeros(4, dtype=int)]
    together = fit_profiles(images, weights, psf, np.repeat(truth, 4, axis=0))
    alone = fit_profiles(image, weights[:1], psf[:1], truth)
    assert together.mean[0] == pytest.approx(alone.mean[0], abs=1e-3)
    assert together.converged.tolist() == [True, True, False, True]
    assert np.isnan(together.mean[2]).all()
    assert abs(together.mean[1] - alone.mean[0]).max() < 0.03
    assert together.masked_fraction[1] > together.masked_fraction[0]
    assert together.mean[3, 0] - together.mean[0, 0] == pytest.approx(-2.5 * np.log10(2), abs=3e-3)


def test_light_outside_of_the_stamp_is_counted_as_such() -> None:
    truth, psf = profile(30.0, 4.0, 0.8)[None], Moffat(np.array([4.0]), np.array([3.0]))
    wide = model_images(truth, psf, 512)
    stamp = wide[:, 192:320, 192:320]
    assert model_images(truth, psf, 128) == pytest.approx(stamp, abs=2e-4 * float(stamp.max()))
    fit = fit_profiles(stamp, np.ones_like(stamp), psf, truth, NOISELESS)
    assert fit.inside[0] == pytest.approx(stamp.sum() / 3e5, abs=2e-3)


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    psf, image = Moffat(np.array([3.0]), np.array([3.0])), np.zeros((1, 32, 32))
    with pytest.raises(InputError, match="start of shape"):
        fit_profiles(image, image, psf, np.zeros((1, 6)))
    with pytest.raises(InputError, match="inverse variance"):
        fit_profiles(image, image[:, :8], psf, np.zeros((1, 5)))
    with pytest.raises(InputError, match="fwhm_px"):
        Moffat(np.array([np.nan]), np.array([3.0]))
    with pytest.raises(InputError, match="PSF images"):
        PsfImages(np.zeros((1, 9, 9)), contains_pixel=True)

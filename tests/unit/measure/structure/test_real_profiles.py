"""Fits of real galaxies with their own noise and PSF: the gap between the model and reality, and what others measured."""

from pathlib import Path

import numpy as np
import pytest
from _structure_real import RealGalaxies, decals_galaxies, gaussian_widths, sdss_galaxies
from _structure_start import PARAMETERS, starts

from tuningfork.measure.structure.fit import Fit, PsfImages, fit_profiles
from tuningfork.networks.structure import shape_of, shear_of


def fitted(galaxies: RealGalaxies, contains_pixel: bool = True) -> Fit:
    """Fit from moments; every galaxy is at the centre of its stamp."""
    nothing = np.zeros(galaxies.images.shape, dtype=bool)
    guesses = starts(galaxies.images, nothing, gaussian_widths(galaxies.psf))
    first = {name: np.array([guess[name] for guess in guesses]) for name in PARAMETERS}
    shear = shear_of(first["axis_ratio"], first["position_angle"])
    start = np.stack([first["mag"], np.log(first["r_eff"]), np.log(first["sersic_n"]), *shear], axis=1)
    return fit_profiles(
        galaxies.images, galaxies.inverse_variance, PsfImages(galaxies.psf, contains_pixel), start, images_wanted=True
    )


@pytest.fixture(scope="module")
def sdss(real_data: Path) -> tuple[RealGalaxies, Fit]:
    galaxies = sdss_galaxies(real_data, 4e4, 2200)
    return galaxies, fitted(galaxies)


def test_a_sersic_profile_and_the_stated_noise_describe_galaxies_of_sdss(sdss: tuple[RealGalaxies, Fit]) -> None:
    galaxies, fit = sdss
    good = fit.converged
    assert len(galaxies) >= 20
    assert good.mean() > 0.85
    assert abs(np.median(fit.reduced_chi2[good]) - 1) < 0.03
    assert np.mean(np.abs(fit.reduced_chi2[good] - 1) < 0.1) > 0.9
    core = np.abs(fit.residuals[good, 54:75, 54:75]) * np.sqrt(galaxies.inverse_variance[good, 54:75, 54:75])
    # Of a normal distribution 0.3 % lie beyond three standard deviations.
    assert np.mean(core > 3) < 0.015


def test_magnitudes_and_shapes_are_those_of_an_independent_pipeline(sdss: tuple[RealGalaxies, Fit]) -> None:
    galaxies, fit = sdss
    listed = galaxies.catalogue
    ratio, angle = shape_of(*fit.mean[:, 3:5].T)
    apart = np.abs((angle - listed["position_angle"] + 90) % 180 - 90)
    long = fit.converged & (listed["axis_ratio"] < 0.85)
    assert long.sum() >= 10
    assert np.median(apart[long]) < 3
    assert np.quantile(apart[long], 0.9) < 12
    # The list's moments have the PSF in them, which makes everything rounder.
    assert np.mean(ratio[long] < listed["axis_ratio"][long] + 0.02) > 0.9
    # A Gaussian weight has all the light of an exponential disc and misses the wings of what is more concentrated.
    excess = fit.mean[:, 0] + 2.5 * np.log10(listed["counts"])
    disc = fit.converged & (np.exp(fit.mean[:, 2]) < 2)
    assert disc.sum() >= 8
    assert abs(np.median(excess[disc])) < 0.08
    assert np.median(excess[fit.converged & ~disc]) < np.median(excess[disc]) - 0.1


def test_stars_of_sdss_contain_the_pixel_and_the_images_show_it(sdss: tuple[RealGalaxies, Fit]) -> None:
    galaxies, fit = sdss
    few = slice(0, 8)
    brightest = RealGalaxies(
        galaxies.images[few], galaxies.inverse_variance[few], galaxies.psf[few], galaxies.pixel_scale, {}
    )
    wrong = fitted(brightest, contains_pixel=False)
    both = fit.converged[few] & wrong.converged
    assert both.sum() >= 6
    # The inner pixels, which no mask hides from either.
    core = (few, slice(54, 75), slice(54, 75))
    weight = galaxies.inverse_variance[core]
    worse = ((wrong.residuals[:, 54:75, 54:75] ** 2 - fit.residuals[core] ** 2) * weight)[both].sum()
    assert worse > 50
    assert np.median((wrong.mean - fit.mean[few])[both, 2]) > 0.02


def test_discs_of_the_legacy_surveys_are_fitted_with_the_coadded_psf(real_data: Path) -> None:
    galaxies = decals_galaxies(real_data)
    fit = fitted(galaxies)
    assert len(galaxies) >= 2
    assert fit.converged.all()
    # The coadds' pixels are a little correlated, and the brightest galaxy has arms.
    assert np.all((fit.reduced_chi2 > 0.6) & (fit.reduced_chi2 < 1.5))
    assert np.all((np.exp(fit.mean[:, 2]) > 0.4) & (np.exp(fit.mean[:, 2]) < 2))

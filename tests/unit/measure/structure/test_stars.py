"""Stars are told from galaxies by the fit of a profile."""

import galsim
import numpy as np
import pyarrow as pa
import pytest
import torch

from tuningfork.core.config.stages import Structure
from tuningfork.core.flags import Flag
from tuningfork.measure.structure.refine import Refinement, refine
from tuningfork.measure.structure.stars import is_star, relative_concentration
from tuningfork.networks.posterior import Gaussians

FWHM, BETA, SIZE, SCALE, NUMBER = 3.0, 3.0, 64, 0.4, 12
"""PSF (px), width of a stamp (px) and of a pixel (arcsec), and sources of each kind."""


def fitted(
    radius: float, signal: float, *, n: float = 1.0, wider: float = 0.0, core: float = 0.0, flags: int = 0
) -> Refinement:
    """Fit drawn sources of a half-light radius (PSF FWHM), or stars with 0.

    `signal` is the signal-to-noise ratio within the PSF, `wider` by how much the PSF is assumed too wide, and `core` the
    radius (px) without data.
    """
    rng = np.random.default_rng(1)
    flux = signal * np.sqrt(np.pi) * FWHM
    psf = galsim.Moffat(beta=BETA, fwhm=FWHM)
    stamps = np.ones((NUMBER, 2, 1, SIZE, SIZE), np.float32)
    for stamp in stamps:
        x, y = rng.uniform(-0.5, 0.5, 2)
        light = psf
        if radius:
            disc = galsim.Sersic(n=n, half_light_radius=radius * FWHM)
            disc = disc.shear(q=rng.uniform(0.6, 1), beta=rng.uniform(0, np.pi) * galsim.radians)
            light = galsim.Convolve(disc, psf)
        image = (flux * light).drawImage(nx=SIZE, ny=SIZE, scale=1, offset=(x + 0.5, y + 0.5)).array
        stamp[0, 0] = image + rng.normal(0, 1, image.shape)
    if core:
        rows, columns = np.indices((SIZE, SIZE)) - SIZE // 2
        stamps[:, :, 0, np.hypot(rows, columns) < core] = 0
    table = pa.table(
        {
            "sky_noise_r": np.ones(NUMBER), "pixel_scale": np.full(NUMBER, SCALE), "psf_beta": np.full(NUMBER, BETA),
            "psf_fwhm_r": np.full(NUMBER, SCALE * FWHM * (1 + wider)), "flags": np.full(NUMBER, flags),
        }
    )  # fmt: skip
    start = np.tile([-2.5 * np.log10(flux), np.log(max(radius, 0.3) * FWHM), np.log(n), 0, 0], (NUMBER, 1))
    network = Gaussians(start, np.tile(np.eye(5), (NUMBER, 1, 1)))
    return refine(network, table, stamps, "r", Structure(), torch.device("cpu"))


@pytest.mark.parametrize("wider", [-0.05, 0.0, 0.05])
def test_stars_are_found_and_small_galaxies_are_not_lost(wider: float) -> None:
    """The assumed width of the PSF is wrong by up to 5 %."""
    assert fitted(0, 300, wider=wider).star.all()
    for n in (1.0, 4.0):
        assert not fitted(0.35, 100, n=n, wider=wider).star.any()


def test_faint_sources_are_left_to_the_votes() -> None:
    """At a signal-to-noise ratio of 20, noise can make a small galaxy look like a star."""
    assert not fitted(0, 20).star.any()


def test_a_saturated_star_is_known_by_its_wings_and_a_saturated_galaxy_is_none() -> None:
    saturated = int(Flag.SATURATED)
    assert fitted(0, 30_000, core=4, flags=saturated).star.all()
    assert not fitted(4, 30_000, n=4, core=4, flags=saturated).star.any()


def test_nothing_is_said_without_a_fit() -> None:
    found = fitted(0, 300, core=SIZE)
    assert not found.star.any()


@pytest.mark.parametrize(("radius", "star"), [(0.0, True), (0.7, False), (1.5, False), (5.0, False)])
def test_a_fit_that_went_astray_makes_no_star_of_a_galaxy(radius: float, star: bool) -> None:
    """Whatever the source, the fit found something as narrow as the PSF."""
    psf, size = galsim.Moffat(beta=BETA, fwhm=FWHM), 96
    light = galsim.Convolve(galsim.Exponential(half_light_radius=radius * FWHM), psf) if radius else psf
    flux = np.stack(
        [
            (2e5 * light).drawImage(nx=size, ny=size, scale=1, offset=(x + 0.5, y + 0.5)).array
            for x, y in np.random.default_rng(2).uniform(-0.5, 0.5, (10, 2))
        ]
    )
    widths, exponents = np.full(10, FWHM * 0.95), np.full(10, BETA)
    concentration = relative_concentration(flux, np.ones_like(flux), widths, exponents)
    astray = Gaussians(np.tile([-12.0, np.log(0.05 * FWHM), 0, 0, 0], (10, 1)), np.tile(np.eye(5), (10, 1, 1)))
    found = is_star(astray, widths, np.zeros(10, dtype=bool), concentration)
    assert (found == star).all()

"""Light of neighbours on a galaxy is told from the galaxy's own."""

import galsim
import numpy as np
import pytest
import torch

from tuningfork.measure.structure.blends import neighbour_light, opposite

FWHM, SIZE, FLUX, RADIUS = 3.0, 64, 20_000.0, 12.0
"""PSF and stamp (px), the galaxy's flux (sky noise of a pixel) and half-light radius along the major axis (px)."""
PSF = galsim.Moffat(beta=3, fwhm=FWHM)


def light_beside(
    neighbour: float = 0.0,
    distance: float = RADIUS / 2,
    *,
    bar: float = 0.0,
    offset: float = 0.0,
    size: int = SIZE,
    hidden: bool = False,
) -> float:
    """Measure an inclined disc with a star of `neighbour` of its flux at `distance` (px) along its major axis.

    `bar` is the share of its light in a bar, `offset` (px) how far it lies off the middle of the stamp, `hidden` whether the half of
    the stamp without the star has no data.
    """
    disc = galsim.Exponential(half_light_radius=RADIUS * np.sqrt(0.5)).shear(q=0.5, beta=90 * galsim.degrees)
    short = galsim.Sersic(0.5, half_light_radius=3).shear(q=0.3, beta=60 * galsim.degrees)
    scene = FLUX * (disc * (1 - bar) + short * bar) + neighbour * FLUX * galsim.DeltaFunction().shift(0, distance)
    middle = 0.5 * (1 - size % 2)
    image = galsim.Convolve(scene, PSF).drawImage(nx=size, ny=size, scale=1, offset=(middle + offset, middle)).array
    weight = np.ones((1, size, size), dtype=np.float32)
    if hidden:
        weight[:, : size // 2] = 0
    noisy = np.where(weight > 0, image + np.random.default_rng(1).normal(size=image.shape), 0)
    centre = np.array([[offset, 0.0]])
    profile = np.array([[-2.5 * np.log10(FLUX), np.log(RADIUS), 0.0, np.log(2), 0.0]])
    return float(neighbour_light(profile, centre, noisy, weight, torch.device("cpu"))[0])


@pytest.mark.parametrize("size", [64, 65])
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_a_star_on_the_disc_is_counted_with_most_of_its_light(share: float, size: int) -> None:
    assert 0.6 * share < light_beside(share, size=size) < 1.05 * share


@pytest.mark.parametrize("own", [{}, {"bar": 0.4}, {"bar": 0.4, "offset": 0.5}])
def test_a_galaxy_alone_has_no_neighbours(own: dict[str, float]) -> None:
    """Bars are no neighbours, and a galaxy may lie off the middle of its stamp."""
    assert light_beside(**own) < 0.01


def test_what_is_far_away_does_not_count() -> None:
    assert light_beside(0.4, 29.0) < 0.02


def test_light_without_data_opposite_to_it_is_not_judged() -> None:
    assert light_beside(0.4, hidden=True) == 0


@pytest.mark.parametrize("size", [4, 5])
def test_half_a_turn_keeps_the_centre(size: int) -> None:
    images = torch.zeros(2, size, size)
    images[:, size // 2, size // 2], images[:, size // 2 + 1, size // 2] = 1, 2
    turned = opposite(images, torch.tensor([[0.0, 0.0], [0.0, 0.5]]), fill=7)
    assert turned[0, size // 2, size // 2] == 1
    assert turned[0, size // 2 - 1, size // 2] == 2
    assert turned[1, size // 2, size // 2] == 2
    assert (turned[0, 0] == 7).all() == (size == 4)

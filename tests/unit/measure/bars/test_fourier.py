"""Bars from the harmonics of the light: on drawn galaxies of which the bar is known."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from scipy import ndimage

from tuningfork.core.flags import Flag
from tuningfork.core.statistics import angle_difference
from tuningfork.measure.bars.fourier import FourierBars, measure_fourier
from tuningfork.measure.bars.fourier_rings import disc_ellipses, sample
from tuningfork.networks.inputs import dihedral, dihedral_angle

SIZE, FWHM = 129, 3.5
FINER = 3
NAMES = ("length", "spread", "angle", "angle_spread", "strength", "flags")


def along_across(angle: float, size: int = SIZE, x0: float = 0.0, y0: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates (px) along and across a direction on a grid `FINER` times finer than the pixels."""
    axis = (np.arange(size * FINER) - (FINER - 1) / 2) / FINER - size // 2
    y, x = np.meshgrid(axis - y0, axis - x0, indexing="ij")
    turn = np.deg2rad(angle)
    return -x * np.sin(turn) + y * np.cos(turn), x * np.cos(turn) + y * np.sin(turn)


def seen(light: np.ndarray, noise: float = 1.0, seed: int = 0) -> np.ndarray:
    """Return the image of fine light behind the PSF, in units of the noise."""
    smooth = ndimage.gaussian_filter(light, FINER * FWHM / 2.355, mode="nearest")
    size = len(light) // FINER
    image = smooth.reshape(size, FINER, size, FINER).mean(axis=(1, 3))
    return image / noise + np.random.default_rng(seed).normal(size=image.shape)


def disc(scale: float, axis_ratio: float = 1.0, angle: float = 0.0, **where: float) -> np.ndarray:
    along, across = along_across(angle, **where)
    return 300 * np.exp(-np.hypot(along, across / axis_ratio) / scale)


def bar(length: float, angle: float, width: float = 0.3, **where: float) -> np.ndarray:
    along, across = along_across(angle, **where)
    return 250 * np.clip(1 - (2 * along / length) ** 2 - (2 * across / length / width) ** 2, 0, None) ** 1.5


def measure(*images: np.ndarray, **known: np.ndarray) -> FourierBars:
    return measure_fourier(np.stack(images), np.full(len(images), FWHM), **known)


def rows_of(found: FourierBars) -> Mapping[str, np.ndarray]:
    return {name: getattr(found, name) for name in NAMES}


def test_turned_and_mirrored_stamps_give_the_same_bar() -> None:
    image = seen(disc(14, 0.75, 20) + bar(36, 57, x0=0.4, y0=-0.3) + bar(18, 110, x0=30, y0=11))
    turned = [dihedral(torch.from_numpy(image), k).numpy() for k in range(8)]
    found = measure(*turned)
    assert np.isfinite(found.length).all()
    for name in ("length", "spread", "angle_spread", "strength"):
        np.testing.assert_allclose(getattr(found, name), getattr(found, name)[0], rtol=2e-3, err_msg=name)
    expected = [dihedral_angle(found.angle[0], k) for k in range(8)]
    np.testing.assert_allclose(angle_difference(found.angle, np.array(expected)), 0, atol=0.1)


def test_the_angle_follows_the_bar_and_the_length_does_not_depend_on_it() -> None:
    angles = np.arange(0, 180, 22.5)
    found = measure(*(seen(disc(14) + bar(36, angle), seed=int(angle)) for angle in angles))
    np.testing.assert_allclose(angle_difference(found.angle, angles), 0, atol=1.5)
    assert np.ptp(np.log(found.length)) < 0.06


@pytest.mark.parametrize("axis_ratio", [1.0, 0.6])
def test_lengths_are_recovered_from_twice_the_psf_to_half_the_stamp(axis_ratio: float) -> None:
    lengths = np.geomspace(2.5 * FWHM, SIZE / 2, 7)
    found = measure(
        *(seen(disc(length / 2.6, axis_ratio, 30) + bar(length, 75), seed=k) for k, length in enumerate(lengths))
    )
    miss = np.log(found.length / lengths)
    assert np.abs(miss).max() < 0.25
    assert miss[1:].std() < 0.06
    assert np.median(np.abs(angle_difference(found.angle, np.full(7, 75.0)))) < 5
    assert (found.spread > 0).all()


def test_the_disc_that_is_given_serves_as_well_as_the_one_that_is_measured() -> None:
    image = seen(disc(14, 0.6, 30) + bar(36, 80))
    own = measure(image)
    given = measure(image, axis_ratio=np.array([0.6]), position_angle=np.array([30.0]))
    unknown = measure(image, axis_ratio=np.array([np.nan]), position_angle=np.array([30.0]))
    np.testing.assert_allclose(given.length, own.length, rtol=0.05)
    np.testing.assert_array_equal(unknown.length, own.length)


def test_the_disc_is_found_behind_its_bar() -> None:
    image = torch.from_numpy(seen(disc(14, 0.6, 120) + bar(30, 10))).float()[None]
    ratio, angle = disc_ellipses(image, torch.ones_like(image), torch.zeros(1, 2))
    assert ratio.item() == pytest.approx(0.6, abs=0.03)
    assert abs(angle_difference(angle.numpy(), np.array([120.0]))).max() < 3


@pytest.mark.parametrize("noise", [1.0, 30.0])
def test_a_disc_without_a_bar_has_none(noise: float) -> None:
    found = measure(*(seen(disc(14) + bar(12, 0, 1.0), noise, seed) for seed in range(4)))
    assert np.isnan(found.length).all()
    assert np.isnan(found.angle).all()
    np.testing.assert_array_equal(found.flags, int(Flag.BAR_NOT_MEASURED))


def test_arms_from_its_ends_do_not_lengthen_a_bar() -> None:
    along, across = along_across(40)
    radius, theta = np.hypot(along, across), np.arctan2(across, along)
    winding = np.cos(2 * (theta - 2.2 * np.log(np.clip(radius, 1, None) / 18)))
    arms = np.where(radius > 18, 60 * np.exp(-radius / 20) * (1 + winding), 0)
    galaxy = disc(14) + bar(36, 40)
    plain, with_arms = measure(seen(galaxy), seen(galaxy + arms)).length
    assert with_arms == pytest.approx(plain, rel=0.12)


def test_a_bar_in_the_nucleus_is_not_taken_for_the_galaxy_s_bar() -> None:
    galaxies = [disc(18) + 0.6 * bar(length, 40) for length in (50, 60)]
    plain = measure(*(seen(galaxy) for galaxy in galaxies))
    found = measure(*(seen(galaxy + 1.6 * bar(16, 110, 0.4)) for galaxy in galaxies))
    np.testing.assert_allclose(angle_difference(found.angle, np.full(2, 40.0)), 0, atol=5)
    np.testing.assert_allclose(found.length, plain.length, rtol=0.05)


def test_a_neighbour_brighter_than_the_galaxy_s_centre_changes_little() -> None:
    galaxy = disc(14) + bar(36, 40)
    neighbours = [disc(3, x0=x, y0=y) * 3 for x, y in ((16, 0), (-12, 25), (2, 14))]
    found = measure(seen(galaxy), *(seen(galaxy + other) for other in neighbours))
    np.testing.assert_allclose(found.length[1:], found.length[0], rtol=0.06)
    np.testing.assert_allclose(angle_difference(found.angle[1:], found.angle[0]), 0, atol=5)


def test_masked_pixels_are_not_looked_at() -> None:
    image = seen(disc(14) + bar(36, 40))
    usable = np.ones_like(image)
    usable[70:80, 75:95] = 0
    usable[:, 118:] = 0
    spoiled = np.where(usable > 0, image, 1e6)
    spoiled[75, 80] = np.nan
    found = measure(spoiled, inverse_variance=usable[None])
    np.testing.assert_allclose(found.length, measure(image).length, rtol=0.04)


def test_opposite_points_are_joined() -> None:
    image = torch.full((1, SIZE, SIZE), 10.0)
    image[0, 64, 84] = 500.0
    image[0, 44, 64] = -100.0
    present = torch.ones_like(image)
    present[0, 44, 64] = 0
    light, valid = sample(image, present, torch.zeros(1, 2), torch.ones(1, 1), torch.zeros(1), torch.tensor([20.0]))
    assert valid.all()
    torch.testing.assert_close(light, torch.full_like(light, 10.0))


def test_a_batch_is_its_galaxies_one_by_one() -> None:
    galaxies = [seen(disc(9 + k, 0.7, 20 * k) + bar(20 + 4 * k, 33 * k), seed=k) for k in range(5)]
    galaxies.append(seen(disc(14)))
    together = rows_of(measure(*galaxies))
    for k, galaxy in enumerate(galaxies):
        for name, values in rows_of(measure(galaxy)).items():
            np.testing.assert_allclose(values[0], together[name][k], rtol=1e-3, err_msg=name)


def test_what_cannot_be_measured_is_said() -> None:
    image = seen(disc(14) + bar(36, 40))
    images = np.stack([image, np.zeros_like(image), np.full_like(image, np.nan), image])
    found = measure_fourier(images, np.array([FWHM, FWHM, FWHM, np.nan]))
    np.testing.assert_array_equal(np.isfinite(found.length), [True, False, False, False])
    np.testing.assert_array_equal(found.flags, [0] + 3 * [int(Flag.BAR_NOT_MEASURED)])
    assert len(measure_fourier(np.zeros((0, SIZE, SIZE)), np.zeros(0)).length) == 0


def test_a_bar_beyond_the_stamp_is_a_lower_limit() -> None:
    images = seen(disc(40) + bar(200, 90, 0.2)), seen(disc(14) + bar(36, 40))
    found = measure(*images, axis_ratio=np.ones(2), position_angle=np.zeros(2))
    np.testing.assert_array_equal(found.flags & Flag.BAR_REACHES_EDGE > 0, [True, False])

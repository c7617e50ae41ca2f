"""Stamps on other pixels: flux, place, shape, noise and masks stay what they are on the sky."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.config.stages import Stamps
from tuningfork.core.stamp_scale import LARGEST_WINDOW, stamp_steps
from tuningfork.stamps.rescale import rescale, window_size

SIZE = 64
STEPS = st.floats(0.4, 8.0)
OFFSETS = st.tuples(st.floats(-0.5, 0.499), st.floats(-0.5, 0.499))


def gaussian(size: int, x: float, y: float, xx: float, yy: float, xy: float) -> np.ndarray:
    """Return an elliptical Gaussian of flux 1000 with these second moments (pixel^2) about (x, y)."""
    rows, columns = np.indices((size, size)).astype(float)
    dx, dy, determinant = columns - x, rows - y, xx * yy - xy**2
    square = (yy * dx**2 - 2 * xy * dx * dy + xx * dy**2) / determinant
    return 1000 * np.exp(-square / 2) / (2 * np.pi * np.sqrt(determinant))


def moments(image: np.ndarray) -> tuple[float, float, float, float, float, float]:
    """Return flux, mean column and row, and second moments of an image."""
    rows, columns = np.indices(image.shape).astype(float)
    image = image.astype(float)
    flux = image.sum()
    x, y = (columns * image).sum() / flux, (rows * image).sum() / flux
    dx, dy = columns - x, rows - y
    return flux, x, y, (dx**2 * image).sum() / flux, (dy**2 * image).sum() / flux, (dx * dy * image).sum() / flux


@settings(deadline=None, max_examples=30)
@given(STEPS, OFFSETS, st.floats(-0.4, 0.4), st.floats(1.0, 1.5))
def test_a_galaxy_keeps_flux_place_and_shape(
    step: float, offset: tuple[float, float], lean: float, long: float
) -> None:
    # Well sampled, and well inside of the stamp: a standard deviation of at least 1.5 pixels of the tile.
    wide = max(1.5, 0.055 * SIZE * step)
    xx, yy, xy = (long * wide) ** 2, wide**2, lean * wide**2
    window = window_size(SIZE, step)
    middle = window // 2
    image = gaussian(window, middle + offset[0], middle + offset[1], xx, yy, xy)
    flux, weight = rescale(image, np.ones_like(image), step, offset, SIZE)
    assert (weight > 0).all()
    total, x, y, sxx, syy, sxy = moments(flux)
    assert total == pytest.approx(image.sum(), rel=1e-5)
    assert (x, y) == pytest.approx((SIZE // 2 + offset[0], SIZE // 2 + offset[1]), abs=2e-3)
    assert sxy * step**2 == pytest.approx(xy, abs=0.01 * xx)
    # A pixel widens the light by the moments of a square, here one of another size. To split a pixel between two wider
    # ones is to spread its light evenly, which costs at most another pixel's moments.
    low, high = (step**2 - 1) / 12, (step**2 + (1 if step > 1 else -1)) / 12
    for found, true in ((sxx, xx), (syy, yy)):
        assert true + low - 0.005 * true < found * step**2 < true + high + 0.005 * true


@settings(deadline=None, max_examples=15)
@given(STEPS, OFFSETS)
def test_the_window_is_just_large_enough(step: float, offset: tuple[float, float]) -> None:
    window = window_size(SIZE, step)
    ones = np.ones((window, window), dtype=np.float32)
    flux, _ = rescale(ones, ones, step, offset, SIZE)
    np.testing.assert_allclose(flux, step**2, rtol=1e-4)
    larger = np.ones((window + 20, window + 20), dtype=np.float32)
    np.testing.assert_allclose(rescale(larger, larger, step, offset, SIZE)[0], flux, rtol=1e-5)
    assert window <= SIZE * step + 2 * (0.6 * abs(1 - step) + 5)


@pytest.mark.parametrize("step", [0.4, 0.77, 1.3, 2.0, 3.7, 8.0])
def test_pixels_have_the_noise_that_they_claim(step: float) -> None:
    rng = np.random.default_rng(2)
    window = window_size(SIZE, step)
    deviation = rng.uniform(0.5, 2.0, (window, window))
    deviation[:, : window // 2] *= 3
    noise = deviation * rng.standard_normal((2 + int(12 / step**2), window, window))
    weight = np.broadcast_to(1 / deviation**2, noise.shape)
    flux, inverse = rescale(noise, weight, step, (0.2, -0.3), SIZE)
    assert np.std(flux * np.sqrt(inverse)) == pytest.approx(1, abs=0.02)


def test_whole_pixels_add_up() -> None:
    rng = np.random.default_rng(3)
    window = window_size(SIZE, 3.0)
    image = rng.normal(size=(window, window))
    flux, weight = rescale(image, np.full_like(image, 4.0), 3.0, (0.0, 0.0), SIZE)
    start = window // 2 - 3 * (SIZE // 2) - 1
    blocks = image[start : start + 3 * SIZE, start : start + 3 * SIZE].reshape(SIZE, 3, SIZE, 3).sum(axis=(1, 3))
    np.testing.assert_allclose(flux, blocks, atol=1e-5)
    np.testing.assert_allclose(weight, 4.0 / 9, rtol=1e-5)


@settings(deadline=None, max_examples=20)
@given(STEPS, OFFSETS, st.integers(0, 2**32 - 1), st.floats(0.02, 0.6))
def test_masked_pixels_never_leak_and_are_weighted_out(
    step: float, offset: tuple[float, float], seed: int, part: float
) -> None:
    window = window_size(SIZE, step)
    good = np.random.default_rng(seed).random((window, window)) > part
    image, weight = np.where(good, 5.0, np.nan), good.astype(float)
    image[~good] = 1e9
    flux, inverse = rescale(image, weight, step, offset, SIZE)
    kept = inverse > 0
    np.testing.assert_allclose(flux[kept], 5 * step**2, rtol=2e-4)
    assert (flux[~kept] == 0).all()


def test_a_pixel_with_less_than_half_of_its_area_has_no_data() -> None:
    step = 4.0
    window = window_size(SIZE, step)
    for columns, has_data in ((1, True), (2, True), (3, False), (4, False)):
        weight = np.ones((window, window))
        first = window // 2 - 1
        # The central pixel of the stamp lies over half a pixel, three whole ones and half a pixel of the tile.
        weight[:, first - 1 : first - 1 + columns] = 0
        _, inverse = rescale(np.ones_like(weight), weight, step, (0.0, 0.0), SIZE)
        covered = 4 - (columns - 0.5)
        assert (inverse[SIZE // 2, SIZE // 2] > 0) == (covered >= 2) == has_data


def test_the_pixels_of_the_tile_stay_untouched() -> None:
    image = np.random.default_rng(4).normal(size=(3, SIZE, SIZE)).astype(np.float32)
    weight = np.ones_like(image)
    weight[1, 5, 6] = 0
    flux, inverse = rescale(image, weight, 1.0, (0.3, -0.2), SIZE)
    assert np.array_equal(flux, np.where(weight > 0, image, 0))
    assert np.array_equal(inverse, weight)
    assert window_size(SIZE, 1.0) == SIZE


def test_the_width_of_a_pixel_follows_the_setting() -> None:
    native, radius = np.array([0.4, 0.4001, 0.1, 0.4]), np.array([2.0, np.nan, 900.0, 0.01])
    assert np.array_equal(stamp_steps(Stamps(scale="native"), native, radius), np.ones(4))
    fixed = stamp_steps(Stamps(scale="fixed", pixel_scale=0.4), native, radius)
    assert fixed.tolist() == pytest.approx([1, 1, 4, 1])
    assert fixed[1] == 1
    follows = stamp_steps(Stamps(scale="radius", radii=10, size=100), native, radius)
    assert follows * native * 100 == pytest.approx([20, 40.01, LARGEST_WINDOW * 0.1, 40 / 3])
    # Wider than 100 pixels where 30 half-light radii are, never narrower.
    whole = stamp_steps(Stamps(whole_radii=30, size=100), native, radius)
    assert whole * native * 100 == pytest.approx([60, 40.01, LARGEST_WINDOW * 0.1, 40])

"""Bar lengths from isophotes: on drawn galaxies of which the bar is known."""

import numpy as np
import pytest
from _bar_mocks import PIXEL_SCALE, PSF_FWHM
from _isophotes import isophote_bars

SIZE, FWHM, LENGTH = 129, PSF_FWHM / PIXEL_SCALE, 40.0


def galaxy(angle: float, bar: float = 250.0, axis_ratio: float = 1.0) -> np.ndarray:
    """Return a disc, flattened along +y, with a bar of `LENGTH` px."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    turn = np.deg2rad(angle)
    along, across = -x * np.sin(turn) + y * np.cos(turn), x * np.cos(turn) + y * np.sin(turn)
    light = 300 * np.exp(-np.hypot(x, y / axis_ratio) / 14)
    light += bar * np.clip(1 - (2 * along / LENGTH) ** 2 - (6 * across / LENGTH) ** 2, 0, None) ** 1.5
    return light + np.random.default_rng(int(angle)).normal(size=light.shape)


def bars(*images: np.ndarray, seen: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    stack = np.stack(images)
    known = np.ones(stack.shape, dtype=bool) if seen is None else np.stack([seen])
    return isophote_bars(stack, known, np.full(len(stack), FWHM))


@pytest.mark.parametrize(("axis_ratio", "spread"), [(1.0, 0.1), (0.7, 0.2)])
def test_a_bar_has_the_same_length_at_all_angles(axis_ratio: float, spread: float) -> None:
    lengths, rise = bars(*(galaxy(angle, axis_ratio=axis_ratio) for angle in range(0, 180, 15)))
    # Before calibration: the isophotes of a bar that fades end before its light does.
    assert (np.abs(lengths / LENGTH - 0.8) < 0.12).all()
    assert np.ptp(np.log(lengths)) < spread
    assert (rise > 0.2).all()


def test_a_round_disc_has_no_bar() -> None:
    assert np.isnan(bars(*(galaxy(angle, bar=0) for angle in range(4)))[0]).all()


def test_masked_pixels_are_not_looked_at() -> None:
    image, seen = galaxy(40), np.ones((SIZE, SIZE), dtype=bool)
    seen[70:80, 75:95] = False
    spoiled = np.where(seen, image, 1e6)
    np.testing.assert_allclose(bars(spoiled, seen=seen)[0], bars(image)[0], rtol=0.06)

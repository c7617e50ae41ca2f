"""The measurement of bars on maps whose bar is known."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tuningfork.core.flags import Flag
from tuningfork.measure.bars.maps import PAPER_START, PAPER_STEP, BarShape, moments, paper


def bar_map(
    length: float, ratio: float, angle: float, size: int = 128, centre: tuple[float, float] | None = None
) -> np.ndarray:
    """A smooth elliptical bar of full length `length` (px) at `angle` (deg from +y towards -x) on a faint galaxy."""
    y0, x0 = centre or (size // 2, size // 2)
    y, x = np.indices((size, size), dtype=float)
    y, x = y - y0, x - x0
    theta = np.deg2rad(angle)
    along = -x * np.sin(theta) + y * np.cos(theta)
    across = x * np.cos(theta) + y * np.sin(theta)
    radius = np.hypot(2 * along / length, 2 * across / (ratio * length))
    galaxy = 0.01 * np.exp(-np.hypot(x, y) / 20)
    return np.clip(1.2 - radius**2, 0, 1) + galaxy


def separation(one: float, other: float) -> float:
    return abs((one - other + 90) % 180 - 90)


@pytest.mark.parametrize("angle", [0, 15, 30, 45, 60, 75, 90, 135, 170])
def test_moments_measure_the_same_bar_at_every_angle(angle: float) -> None:
    reference = moments(bar_map(60, 0.2, 22.5), 3.0)
    shape = moments(bar_map(60, 0.2, angle), 3.0)
    assert shape.length == pytest.approx(reference.length, rel=0.02)
    assert shape.width == pytest.approx(reference.width, rel=0.05)
    assert separation(shape.angle, angle) < 1
    assert shape.flags == 0


def test_moments_follow_the_true_length() -> None:
    lengths = np.array([15.0, 25, 40, 60, 80])
    found = np.array([moments(bar_map(length, 0.3, 33), 3.0).length for length in lengths])
    assert found / lengths == pytest.approx(np.median(found / lengths), rel=0.08)


def test_moments_have_subpixel_precision() -> None:
    found = [moments(bar_map(length, 0.3, 10), 3.0).length for length in (40.0, 40.3, 40.6, 40.9)]
    assert np.all(np.diff(found) > 0)


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-3, 1e3), offset=st.floats(0, 100), turns=st.integers(0, 3))
def test_moments_ignore_scale_background_and_quarter_turns(scale: float, offset: float, turns: int) -> None:
    image = bar_map(50, 0.3, 20, size=129)
    reference = moments(image, 3.0)
    shape = moments(np.rot90(image, turns) * scale + offset * scale, 3.0)
    assert shape.length == pytest.approx(reference.length, rel=1e-6)
    assert separation(shape.angle, 20 - 90 * turns) < 1


def test_the_published_method_fails_along_the_pixel_axes() -> None:
    along, diagonal = (paper(bar_map(60, 0.2, angle), 3.0).length for angle in (0, 45))
    assert along < 0.5 * diagonal
    assert paper(bar_map(60, 0.2, 90), 3.0).length < 0.5 * diagonal


def naive_paper(image: np.ndarray) -> float:
    """The published loop, step by step."""
    image = (image - image.min()) / np.ptp(image)
    step = 0
    while True:
        rows, columns = np.nonzero(image > PAPER_START + PAPER_STEP * step)
        if len(rows) < 40:
            break
        with np.errstate(invalid="ignore", divide="ignore"):
            if abs(np.corrcoef(rows, columns)[0, 1]) > 0.85:
                break
        step += 1
    if len(rows) < 2:
        return np.nan
    points = np.stack([rows, columns], axis=1).astype(float)
    return float(np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=-1)).max())


@pytest.mark.parametrize("angle", [0, 20, 45, 70, 100])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_published_method_equals_the_naive_loop(angle: float, noise: float) -> None:
    image = bar_map(30, 0.35, angle, size=48) + noise * np.random.default_rng(int(angle)).random((48, 48))
    assert paper(image, 3.0).length == pytest.approx(naive_paper(image), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(hnp.arrays(np.float16, (12, 12), elements=st.floats(0, 1, width=16)))
def test_the_published_method_equals_the_naive_loop_on_any_map(image: np.ndarray) -> None:
    image = image.astype(float)
    if np.ptp(image) == 0:
        assert np.isnan(paper(image, 3.0).length)
    else:
        assert paper(image, 3.0).length == pytest.approx(naive_paper(image), abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("measure", [moments, paper])
def test_an_empty_map_is_not_measured(measure: Callable[[np.ndarray, float], BarShape]) -> None:
    for image in (np.zeros((64, 64)), np.full((64, 64), np.nan)):
        shape = measure(image, 3.0)
        assert np.isnan(shape.length)
        assert shape.flags == Flag.BAR_NOT_MEASURED


def test_the_region_at_the_centre_is_measured_not_a_brighter_neighbour() -> None:
    image = bar_map(40, 0.3, 30) + 3 * bar_map(20, 0.8, 0, centre=(20, 20))
    shape = moments(image, 3.0)
    assert shape.length == pytest.approx(moments(bar_map(40, 0.3, 30), 3.0).length, rel=0.1)
    assert separation(shape.angle, 30) < 3


def test_evidence_far_from_the_centre_is_not_measured() -> None:
    assert (
        moments(bar_map(20, 0.4, 0, centre=(20, 100)) * (np.indices((128, 128))[1] > 80), 3.0).flags
        == Flag.BAR_NOT_MEASURED
    )


def test_a_bar_beside_the_centre_is_flagged() -> None:
    assert moments(bar_map(40, 0.3, 0, centre=(82, 64)), 3.0).flags & Flag.BAR_OFF_CENTRE


def test_a_bar_that_leaves_the_stamp_is_flagged() -> None:
    assert moments(bar_map(200, 0.1, 45, size=64), 3.0).flags & Flag.BAR_REACHES_EDGE


def test_a_bar_below_the_resolution_is_flagged() -> None:
    assert moments(bar_map(6, 0.5, 0), 12.0).flags & Flag.BAR_SHORTER_THAN_PSF

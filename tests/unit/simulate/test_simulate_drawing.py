"""Drawing: flux, place, direction and shape of what is drawn, and agreement with GalSim's own drawing."""

import galsim
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.config import Configuration
from tuningfork.core.description import Description, describe
from tuningfork.simulate.galaxies.colours import relative_fluxes
from tuningfork.simulate.imaging.conditions import draw_conditions
from tuningfork.simulate.imaging.noise import add_noise
from tuningfork.simulate.imaging.observe import draw_native_size, fit
from tuningfork.simulate.imaging.psf import Moffat
from tuningfork.simulate.light.canvas import Canvas, Light, north_up
from tuningfork.simulate.light.profiles import EdgeOn, Ferrers, Knots, Point, Profile, Sersic

SCALE, FWHM, BETA, SIZE = 0.396, 1.3, 3.0, 192


@pytest.fixture(scope="module")
def description(root) -> Description:
    return describe(Configuration(), root / "config" / "surveys")


def draw(profile: Profile, flux: float = 1.0, fwhm: float = FWHM, dx: float = 0.0, dy: float = 0.0, **place: float):
    """Return the image of one profile in one band."""
    light = Light(profile, np.array([flux]), **place)
    return north_up(SIZE, SCALE).draw([light], [fwhm], BETA, dx, dy)[0].astype(float)


def moments(image: np.ndarray) -> tuple[float, float, float, float]:
    """Return the centroid (column, row), the axis ratio and the angle (deg from +y, counter-clockwise)."""
    row, column = np.indices(image.shape)
    total = image.sum()
    x, y = (image * column).sum() / total, (image * row).sum() / total
    xx, yy = (image * (column - x) ** 2).sum() / total, (image * (row - y) ** 2).sum() / total
    xy = (image * (column - x) * (row - y)).sum() / total
    values, vectors = np.linalg.eigh([[xx, xy], [xy, yy]])
    angle = np.rad2deg(np.arctan2(vectors[1, 1], vectors[0, 1])) - 90
    return x, y, float(np.sqrt(values[0] / values[1])), angle % 180


PROFILES = [
    Sersic(1.0, 3.0, 0.5, 30.0),
    Sersic(4.0, 1.5, 0.8, 100.0),
    EdgeOn(3.0, 0.6, 150.0),
    Ferrers(8.0, 0.3, 60.0),
    Knots(np.array([-2.0, 2.0]), np.array([0.0, 1.0]), np.array([0.5, 1.0]), np.array([0.3, 0.7])),
    Point(),
]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: type(profile).__name__)
def test_all_flux_is_drawn(profile):
    """Of a spheroid 0.3 % lie outside of the image."""
    assert draw(profile, 100.0).sum() == pytest.approx(99.7 if profile == PROFILES[1] else 100.0, rel=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_the_centre_lies_where_it_is_asked_to(dx, dy):
    x, y, _, _ = moments(draw(Sersic(1.0, 2.0, 0.7, 20.0), dx=dx, dy=dy))
    assert (x, y) == pytest.approx((SIZE // 2 + dx, SIZE // 2 + dy), abs=0.01)


def test_places_are_given_west_and_north():
    x, y, _, _ = moments(draw(Point(), x=10 * SCALE, y=-5 * SCALE))
    assert (x, y) == pytest.approx((SIZE // 2 + 10, SIZE // 2 - 5), abs=0.01)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 179.9), st.sampled_from(["sersic", "edge_on", "bar"]))
def test_position_angles_run_from_north_through_east_on_an_image_with_east_to_the_left(angle, kind):
    profile = {
        "sersic": Sersic(1.0, 3.0, 0.5, angle),
        "edge_on": EdgeOn(3.0, 0.6, angle),
        "bar": Ferrers(10.0, 0.3, angle),
    }[kind]
    measured = moments(draw(profile))[3]
    assert abs((measured - angle + 90) % 180 - 90) < 0.5


def test_a_mirrored_and_turned_image_shows_the_same_angle_on_the_sky():
    # North is 40 deg counter-clockwise from +y and east to its right.
    turn = np.deg2rad(40)
    north, east = np.array([-np.sin(turn), np.cos(turn)]), np.array([np.cos(turn), np.sin(turn)])
    canvas = Canvas(SIZE, np.stack([-east, north], axis=1) / SCALE)
    image = canvas.draw([Light(Sersic(1.0, 3.0, 0.5, 25.0), np.array([1.0]))], [FWHM], BETA)[0].astype(float)
    assert moments(image)[3] == pytest.approx(40 - 25, abs=0.5)


@pytest.mark.parametrize("n", [0.37, 1.0, 2.513, 4.0])
def test_the_drawing_is_that_of_galsim(n, description):
    """At the bright end the difference stays well below the noise of the sky."""
    flux = 10 ** (-0.4 * (14.0 - 22.5))
    profile = Sersic(n, 4.0, 0.6, 35.0)
    ours = draw(profile, flux)[32:-32, 32:-32]
    both = galsim.Convolve(profile.galsim() * flux, galsim.Moffat(beta=BETA, fwhm=FWHM))
    # The centre of an even image lies half a pixel below the middle of its pixel [N/2].
    theirs = both.drawImage(nx=128, ny=128, scale=SCALE, offset=(0.5, 0.5)).array
    noise = description.sky_noise[1] * np.sqrt(1 + np.maximum(theirs, 0) / 0.63)
    assert np.abs((ours - theirs) / noise).max() < 0.1
    assert ours.sum() == pytest.approx(theirs.sum(), rel=0.001)


@pytest.mark.parametrize("profile", [Sersic(4.0, 2.0, 0.7, 30.0), Point()], ids=["spheroid", "star"])
@pytest.mark.parametrize("pixels", [1.5, 2.0, 2.6])
def test_a_narrow_psf_is_sampled_as_pixels_do(profile, pixels):
    """What lies beyond the Nyquist frequency is folded back, not cut off, as on an undersampled image."""
    fwhm = pixels * SCALE
    psf = galsim.Moffat(beta=BETA, fwhm=fwhm)
    both = psf if isinstance(profile, Point) else galsim.Convolve(profile.galsim(), psf)
    theirs = both.drawImage(nx=128, ny=128, scale=SCALE, offset=(0.8, 0.7)).array
    ours = draw(profile, fwhm=fwhm, dx=0.3, dy=0.2)[32:-32, 32:-32]
    assert np.abs(ours - theirs).max() < 5e-4 * theirs.max()


@pytest.mark.parametrize("n", [1.0, 5.5])
def test_no_light_comes_back_from_beyond_the_edges(n):
    """A pedestal of folded light would make a bright galaxy too bright: its flux within any radius is Sersic's own."""
    profile = Sersic(n, 9.0, 0.5, 35.0)
    image = draw(profile, dx=0.2, dy=0.4)[32:-32, 32:-32]
    both = galsim.Convolve(profile.galsim(), galsim.Moffat(beta=BETA, fwhm=FWHM))
    theirs = both.drawImage(nx=128, ny=128, scale=SCALE, offset=(0.7, 0.9)).array
    assert image.sum() == pytest.approx(theirs.sum(), rel=2e-3)
    edge = np.s_[:8, :]
    assert image[edge].sum() == pytest.approx(theirs[edge].sum(), rel=0.02)


def test_an_edge_on_disc_is_that_of_galsim():
    profile = EdgeOn(4.0, 0.8, 70.0)
    both = galsim.Convolve(profile.galsim(), galsim.Moffat(beta=BETA, fwhm=FWHM))
    theirs = both.drawImage(nx=128, ny=128, scale=SCALE, offset=(0.5, 0.5)).array
    assert np.abs(draw(profile)[32:-32, 32:-32] - theirs).max() < 2e-3 * theirs.max()


def test_a_bar_ends_where_its_length_says():
    """Without much of a PSF no light is left beyond half the length, and there is some just within."""
    image = draw(Ferrers(40 * SCALE, 0.4, 0.0), fwhm=0.05)
    along = image[:, SIZE // 2]
    assert np.abs(along[SIZE // 2 + 22 :]).max() < 0.01 * image.max()
    assert along[SIZE // 2 + 17] > 0.15 * image.max()
    assert along[SIZE // 2 - 17] > 0.15 * image.max()


@pytest.mark.parametrize("profile", [PROFILES[0], *PROFILES[2:5]], ids=lambda profile: type(profile).__name__)
def test_the_points_of_a_profile_stand_for_its_light(profile):
    """Second moments of the points are those of the image drawn almost without PSF."""
    x, y, weight = profile.points()
    assert weight.sum() == pytest.approx(1)
    row, column = np.indices((SIZE, SIZE)) - SIZE // 2
    image = draw(profile, fwhm=0.05)
    for points, pixels in ((x, column * SCALE), (y, row * SCALE)):
        spread = (weight * points**2).sum()
        if isinstance(profile, Knots):
            spread += (weight * profile.sigma**2).sum()
        assert spread == pytest.approx((image * pixels**2).sum() - SCALE**2 / 12, rel=0.03)


def test_noise_grows_with_the_light_and_is_the_skys_where_there_is_none(description):
    image = np.zeros((3, 200, 200), dtype=np.float32)
    image[:, :, 100:] = 5.0
    noise = np.array(description.sky_noise)
    variance = add_noise(np.random.default_rng(1), image, noise, description)
    assert variance.dtype == np.float32
    for half, light in ((np.s_[:, :, :100], 0.0), (np.s_[:, :, 100:], 5.0)):
        assert ((image[half] - light) ** 2 / variance[half]).mean() == pytest.approx(1, rel=0.03)
    assert image[:, :, :100].std(axis=(1, 2)) == pytest.approx(noise, rel=0.03)
    sky = 10 ** (-0.4 * (21.0 - 22.5)) * SCALE**2
    assert image[:, :, 100:].std(axis=(1, 2)) == pytest.approx(noise * np.sqrt(1 + 5 / sky), rel=0.03)


def test_an_elliptical_psf_is_longer_by_its_axis_ratio_and_no_wider_in_area():
    canvas = north_up(SIZE, SCALE)
    psfs = [Moffat(2.0, 4.0), Moffat(2.0, 4.0, 0.7, 30.0)]
    round_one, long_one = canvas.draw_through([Light(Point(), np.ones(2))], psfs).astype(float)
    assert moments(long_one)[3] == pytest.approx(30, abs=0.5)
    assert long_one.sum() == pytest.approx(1, rel=1e-4)
    # The peak of a profile of unit flux goes as the inverse of its area.
    assert long_one.max() == pytest.approx(round_one.max(), rel=0.01)
    theirs = galsim.Moffat(beta=4.0, fwhm=2.0).shear(q=0.7, beta=120 * galsim.degrees)
    drawn = theirs.drawImage(nx=SIZE, ny=SIZE, scale=SCALE, offset=(0.5, 0.5)).array
    assert np.abs(long_one - drawn).max() < 2e-3 * drawn.max()


def test_conditions_scatter_about_the_description(description):
    drawn = [draw_conditions(np.random.default_rng(seed), description) for seed in range(2000)]
    widths = np.log([conditions.psf_fwhm for conditions in drawn])
    assert np.exp(np.median(widths, axis=0)) == pytest.approx(description.psf_fwhm, rel=0.02)
    assert widths.std(axis=0) == pytest.approx(description.psf_fwhm_scatter, rel=0.1)
    assert np.corrcoef(widths.T)[0, 1] > 0.6
    exponents = np.log([conditions.psf_beta for conditions in drawn])
    assert np.exp(np.median(exponents)) == pytest.approx(description.psf_beta, rel=0.02)
    assert exponents.std() == pytest.approx(description.psf_beta_scatter, rel=0.1)
    ellipticity = np.median([1 - conditions.psf_axis_ratio for conditions in drawn])
    assert ellipticity == pytest.approx(description.psf_ellipticity, rel=0.1)


@given(st.integers(20, 90), st.integers(20, 90))
def test_cut_and_padded_images_keep_the_centre(native, size):
    image = np.zeros((1, native, native), dtype=np.float32)
    image[0, native // 2, native // 2] = 1
    fitted = fit(image + 0.5, size)
    assert fitted.shape == (1, size, size)
    assert np.unravel_index(fitted.argmax(), fitted.shape)[1:] == (size // 2, size // 2)
    assert np.count_nonzero(fitted) == min(native, size) ** 2


def test_the_width_of_the_image_does_not_tell_the_size_of_the_galaxy():
    rng = np.random.default_rng(3)
    small, large = (np.array([draw_native_size(rng, radius, 128) for _ in range(2000)]) for radius in (4.0, 11.0))
    assert small.min() >= 48
    assert large.max() <= 256
    assert abs(np.mean(small < 128) - np.mean(large < 128)) < 0.05


def test_old_light_is_redder_than_young_light_and_strange_bands_are_blue_to_red():
    g, r, i = relative_fluxes("old", ["g", "r", "i"], 1)
    young = relative_fluxes("young", ["g", "r", "i"], 1)
    assert r == young[1] == 1
    assert g < young[0]
    assert i > young[2]
    assert np.all(np.diff(relative_fluxes("old", ["1", "2", "3"], 0)) > 0)


def test_euclids_vis_is_not_johnsons_v() -> None:
    """Most of VIS lies redward of r: an old galaxy is fainter in r than in VIS, and V is bluer than r."""
    vis, visual, red = relative_fluxes("old", ["VIS", "V", "r"], 2)
    assert visual < red < vis

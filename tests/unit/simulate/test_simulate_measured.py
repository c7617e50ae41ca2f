"""Simulated images made of measured ones: PSFs, patches of real sky, correlated noise; and files that cannot be used."""

from pathlib import Path
from typing import Any

import fitsio
import galsim
import numpy as np
import pytest
from numpy.lib.format import open_memmap

from tuningfork.core.config import Configuration, validate
from tuningfork.core.description import Description, describe
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.files import open_array
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import read_table
from tuningfork.simulate.imaging.conditions import draw_conditions
from tuningfork.simulate.imaging.moffat import fit_moffat
from tuningfork.simulate.imaging.noise import Correlation, add_noise
from tuningfork.simulate.imaging.patches import SkyPatches, cut_patch
from tuningfork.simulate.imaging.psf import Moffat, PsfImage
from tuningfork.simulate.imaging.psf_images import PsfStack
from tuningfork.simulate.light import planes
from tuningfork.simulate.light.canvas import Light, north_up
from tuningfork.simulate.light.profiles import Sersic
from tuningfork.surveys.inputs import inputs_of
from tuningfork.training.sets import parts
from tuningfork.training.sets.parts import simulate_part

SCALE = 0.396
WIDTHS, EXPONENTS = (0.9, 1.2, 1.6), (2.5, 3.0, 4.765)


@pytest.fixture(scope="module")
def description(root: Path) -> Description:
    return describe(Configuration(), root / "config" / "surveys")


def star(fwhm: float, beta: float, width: int = 51) -> np.ndarray:
    """Return an image of a star as a survey has it: GalSim's, with the response of the pixels."""
    return galsim.Moffat(beta=beta, fwhm=fwhm).drawImage(nx=width, ny=width, scale=SCALE).array.astype(float)


@pytest.fixture
def stars(tmp_path: Path) -> Path:
    path = tmp_path / "psf.npy"
    np.save(path, 7 * np.stack([star(*pair) for pair in zip(WIDTHS, EXPONENTS, strict=True)]).astype(np.float32))
    return path


def parameters(root: Path, seed: int = 5, **simulate: object) -> Parameters:
    values = {"seed": seed, "simulate": {"galaxies_per_part": 10, "neighbour_density": 0.0} | simulate}
    configuration = validate(values | {"stamps": {"size": 64, "scale": "native"}})
    return Parameters("simulate", "0123", configuration, describe(configuration, root / "config" / "surveys"))


@pytest.mark.parametrize("together", [1, 3])
def test_a_galaxy_seen_through_the_image_of_a_star_is_that_seen_through_its_profile(together: int) -> None:
    """The pixels' own response is in the image of the star already, whatever pixels the galaxy is drawn on."""
    canvas = north_up(128, SCALE * together)
    image = PsfImage(star(1.4, 4.0), SCALE)
    lights = [Light(Sersic(2.3, 3.0, 0.6, 40.0), np.ones(2))]
    by_image, by_profile = canvas.draw_through(lights, [image, Moffat(1.4, 4.0)], 0.3, -0.2)
    assert np.abs(by_image - by_profile).max() < 4e-3 * by_profile.max()


@pytest.mark.parametrize(("fwhm", "beta"), list(zip(WIDTHS, EXPONENTS, strict=True)))
def test_the_networks_are_told_the_profile_behind_the_image_of_a_star(fwhm: float, beta: float) -> None:
    noise = np.random.default_rng(1).normal(0, 2e-5, (51, 51))
    told = fit_moffat(star(fwhm, beta) + noise)
    assert told.converged
    assert (told.fwhm * SCALE, told.beta) == pytest.approx((fwhm, beta), rel=0.02)


def test_a_fit_finds_the_profile_that_was_drawn() -> None:
    profile = galsim.Moffat(beta=2.8, fwhm=4.0)
    image = 5 * profile.drawImage(nx=61, ny=61, scale=1, offset=(0.3, -0.4)).array.astype(float)
    fit = fit_moffat(image)
    assert (fit.fwhm, fit.beta, fit.x, fit.y) == pytest.approx((4.0, 2.8, 0.3, -0.4), rel=2e-3)


def test_a_gaussian_has_the_largest_exponent_and_its_own_width() -> None:
    image = galsim.Gaussian(fwhm=4.0).drawImage(nx=41, ny=41, scale=1).array.astype(float)
    fit = fit_moffat(image)
    assert fit.beta > 30
    assert fit.fwhm == pytest.approx(4.0, rel=0.02)


def test_a_part_is_drawn_through_measured_psfs_and_says_which(root: Path, stars: Path, tmp_path: Path) -> None:
    simulate_part(
        parameters=parameters(root, psf_images=str(stars)),
        part=0,
        pixels=tmp_path / "x.npy",
        table=tmp_path / "x.parquet",
    )
    table = read_table(tmp_path / "x.parquet")
    told = {(round(row["psf_fwhm_r"], 1), round(row["psf_fwhm_g"], 1)) for row in table.to_pylist()}
    assert told == {(width, width) for width in WIDTHS}
    assert np.ptp(table["psf_beta"].to_numpy()) > 2


def test_a_stack_may_have_a_psf_for_each_band_and_be_fits(description: Description, tmp_path: Path) -> None:
    path = tmp_path / "psf.fits"
    fitsio.write(str(path), np.stack([[star(width, 3.0) for width in WIDTHS]]).astype(np.float32))
    images, fwhm, beta = PsfStack.of(str(path), description).draw(np.random.default_rng(1))
    assert fwhm == pytest.approx(WIDTHS, rel=0.01)
    assert beta == pytest.approx(3.0, rel=0.02)
    assert [image.pixels.sum() for image in images] == pytest.approx([1, 1, 1])


def sky(rng: np.random.Generator, width: int = 150) -> np.ndarray:
    """Return correlated noise of a different level in each band, with a source that nobody has masked."""
    white = rng.standard_normal((3, width + 1, width + 1))
    field = (white[:, 1:, 1:] + white[:, :-1, :-1]) / np.sqrt(2) * np.array([0.01, 0.02, 0.03])[:, None, None]
    field[:, 10:13, 20:23] += 1
    return field.astype(np.float32)


def test_the_noise_of_a_part_is_that_of_the_patches_of_sky(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sky"
    folder.mkdir()
    patch = sky(np.random.default_rng(1))
    np.save(folder / "a.npy", patch)
    fitsio.write(str(folder / "b.fits"), patch[:, ::-1])
    given = parameters(root, sky_patches=str(folder), population={"mag_min": 29.0, "mag_max": 29.5})
    simulate_part(parameters=given, part=0, pixels=tmp_path / "x.npy", table=tmp_path / "x.parquet")
    table = read_table(tmp_path / "x.parquet")
    for (image, weight), row in zip(np.array(open_array(tmp_path / "x.npy")), table.to_pylist(), strict=True):
        seen = image[1][weight[1] > 0]
        assert np.isin(np.round(seen, 5), np.round(patch[1], 5)).mean() > 0.9
        assert row["sky_noise_r"] == pytest.approx(0.02, rel=0.05)


def test_patches_are_turned_summed_and_folded_back_where_they_end() -> None:
    patch = np.arange(3 * 40 * 50, dtype=np.float32).reshape(3, 40, 50)
    squares = [cut_patch(np.random.default_rng(seed), patch, 16) for seed in range(40)]
    assert {float(square[0, 0, 1] - square[0, 0, 0]) for square in squares} == {1.0, -1.0, 50.0, -50.0}
    square = cut_patch(np.random.default_rng(1), patch, 64)
    assert square.shape == (3, 64, 64)
    steps = np.abs(np.diff(square[0], axis=1))
    assert set(np.unique(steps)) <= {0.0, 1.0, 50.0}
    ones = cut_patch(np.random.default_rng(1), np.ones_like(patch), 8, together=4)
    assert ones == pytest.approx(np.full((3, 8, 8), 16.0))


@pytest.mark.parametrize("of", ["pixel", "area"])
def test_correlated_noise_is_what_the_inverse_variance_says(description: Description, of: str) -> None:
    told = description.model_copy(update={"noise_correlation": [0.0, 0.6, 1.2], "inverse_variance_of": of})
    image, noise = np.zeros((3, 300, 300), dtype=np.float32), np.array(told.sky_noise)
    variance = add_noise(np.random.default_rng(1), image, noise, told, Correlation.of(told))
    assert np.sqrt(variance[:, 0, 0]) == pytest.approx(noise)
    neighbours = [np.corrcoef(plane[:, 1:].ravel(), plane[:, :-1].ravel())[0, 1] for plane in image]
    assert abs(neighbours[0]) < 0.02
    assert 0.3 < neighbours[1] < neighbours[2]
    sums = image.reshape(3, 15, 20, 15, 20).sum(axis=(2, 4)).std(axis=(1, 2)) / 20
    if of == "pixel":
        assert image.std(axis=(1, 2)) == pytest.approx(noise, rel=0.03)
        assert np.all(sums[1:] > 1.3 * noise[1:])
    else:
        assert sums == pytest.approx(noise, rel=0.15)
        assert np.all(image.std(axis=(1, 2))[1:] < 0.6 * noise[1:])


def test_the_noise_of_the_legacy_surveys_follows_the_published_distribution(root: Path) -> None:
    configuration = validate({"survey": {"name": "legacy"}})
    legacy = describe(configuration, root / "config" / "surveys")
    drawn = np.array([draw_conditions(np.random.default_rng(seed), legacy).sky_noise for seed in range(3000)])
    for band, (shape, loc, scale) in enumerate(legacy.sky_noise_lognormal):
        deviates = np.log((drawn[:, band] - loc) / scale) / shape
        assert (deviates.mean(), deviates.std()) == pytest.approx((0, 1), abs=0.06)
    assert np.median(drawn, axis=0) == pytest.approx(legacy.sky_noise, rel=0.03)


def test_a_part_that_was_killed_leaves_nothing_and_is_drawn_again_the_same(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, again = (tmp_path / name / "x.npy" for name in ("whole", "again"))
    simulate_part(parameters=parameters(root), part=1, pixels=whole, table=whole.with_suffix(".parquet"))
    drawn = parts.simulate_galaxy
    calls = iter(range(100))

    def killed(*arguments: Any) -> Any:
        if next(calls) == 6:
            raise KeyboardInterrupt
        return drawn(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(parts, "simulate_galaxy", killed)
        simulate_part(parameters=parameters(root), part=1, pixels=again, table=again.with_suffix(".parquet"))
    assert list(again.parent.iterdir()) == []
    simulate_part(parameters=parameters(root), part=1, pixels=again, table=again.with_suffix(".parquet"))
    assert again.read_bytes() == whole.read_bytes()
    assert read_table(again.with_suffix(".parquet")).equals(read_table(whole.with_suffix(".parquet")))


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (np.ones((4, 21, 22)), r"shape \(4, 1, 21, 22\); expected \(N, P, P\) or \(N, 3, P, P\)"),
        (np.ones((4, 2, 21, 21)), r"shape \(4, 2, 21, 21\); expected"),
        (np.ones((4, 3, 3)), "images of 3 pixels; expected 7 to 257"),
        (np.zeros((4, 21, 21)), "image 0 has no positive sum"),
        (np.full((1, 21, 21), np.nan), "some values are not finite"),
        (np.array(["a"]), "not a readable .npy or FITS image"),
    ],
)
def test_a_stack_of_psfs_that_cannot_be_used_is_refused(
    description: Description, tmp_path: Path, stack: np.ndarray, message: str
) -> None:
    np.save(tmp_path / "bad.npy", stack)
    with pytest.raises(InputError, match=rf"simulate.psf_images: .*bad.npy: {message}"):
        PsfStack(str(tmp_path / "bad.npy"), description)


def test_sky_that_cannot_be_used_is_refused(description: Description, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"simulate.sky_patches: .*nowhere: no such folder"):
        SkyPatches(str(tmp_path / "nowhere"), description)
    with pytest.raises(InputError, match=r"simulate.sky_patches: .*: 0 files"):
        SkyPatches(str(tmp_path), description)
    for plane, message in ((np.ones((3, 64, 64)), "a band without noise"), (np.ones((2, 64, 64)), r"expected \(3, H")):
        np.save(tmp_path / "a.npy", plane)
        with pytest.raises(InputError, match=message):
            SkyPatches(str(tmp_path), description)
    (tmp_path / "a.npy").write_text("no array")
    with pytest.raises(InputError, match=r"a.npy: not a readable .npy or FITS image"):
        SkyPatches(str(tmp_path), description)


def test_files_are_not_read_before_their_size_is_known(
    description: Description, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planes.np, "asarray", lambda *_, **__: pytest.fail("it was read"))
    open_memmap(tmp_path / "huge.npy", mode="w+", dtype=np.float32, shape=(60_000, 32, 32)).flush()
    with pytest.raises(InputError, match=r"huge.npy: \(60000, 32, 32\) values are more than can be kept"):
        PsfStack(str(tmp_path / "huge.npy"), description)


def test_a_run_knows_its_measured_images_by_their_content(root: Path, stars: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sky"
    folder.mkdir()
    np.save(folder / "a.npy", sky(np.random.default_rng(1)))
    given = parameters(root, psf_images=str(stars), sky_patches=str(folder))
    before = inputs_of(given.configuration, given.survey)["simulate"]
    assert set(before) == {"psf_images", "sky_patches"}
    np.save(folder / "a.npy", sky(np.random.default_rng(2)))
    after = inputs_of(given.configuration, given.survey)["simulate"]
    assert before["psf_images"] == after["psf_images"]
    assert before["sky_patches"] != after["sky_patches"]
    absent = parameters(root, psf_images=str(tmp_path / "absent.npy"))
    with pytest.raises(ConfigurationError, match=r"simulate.psf_images: .*absent.npy: not a readable"):
        inputs_of(absent.configuration, absent.survey)


@pytest.mark.parametrize(("measured", "chosen"), [({"psf_images": "a.npy"}, "seeing"), ({"sky_patches": "a"}, "noise")])
def test_what_measured_images_bring_along_cannot_be_chosen(measured: dict[str, str], chosen: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{chosen} cannot be chosen where"):
        validate({"simulate": measured | {chosen: [1.0, 2.0]}})

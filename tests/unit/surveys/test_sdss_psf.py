"""The PSF of SDSS, reconstructed from real psField files, against the stars of a real field and what the files state."""

from dataclasses import dataclass, replace
from pathlib import Path

import galsim
import numpy as np
import pytest
from astropy.io import fits
from helpers.sdss_server import Field, shared_field
from scipy import ndimage, optimize

from tuningfork.core.errors import InputError
from tuningfork.surveys.sdss import psf as sdss_psf
from tuningfork.surveys.sdss.psf import FieldPsf
from tuningfork.surveys.transfer.attempts import AttemptError

PIXEL = 0.396
CROP = "sdss_dr8_frame_crop/psField-001000-1-0100.fit"
HALF = 8


@dataclass
class Star:
    """A star of the frame: whole pixel, centre within it, Moffat width and exponent, the pixels around."""

    x: int
    y: int
    centre: np.ndarray
    fwhm: float
    cutout: np.ndarray
    noise: np.ndarray


@pytest.fixture(scope="module")
def field(real_data: Path) -> Field:
    return shared_field(real_data)


@pytest.fixture(scope="module")
def psf_file(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("psf") / "psField-006377-4-0399.fit"
    path.write_bytes(field.psf_field())
    return path


GRID = np.mgrid[-HALF : HALF + 1, -HALF : HALF + 1]


def moffat(parameters: np.ndarray) -> np.ndarray:
    x, y, peak, radius, beta, level = parameters
    return peak * (1 + ((GRID[1] - x) ** 2 + (GRID[0] - y) ** 2) / radius**2) ** -beta + level


def moffat_width(image: np.ndarray, noise: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the full width at half maximum (px) by a least-squares fit of a Moffat profile, and the centre."""
    start = [0.0, 0.0, image.max(), 2.0, 3.0, 0.0]
    found = optimize.least_squares(lambda values: ((moffat(values) - image) / noise).ravel(), start, max_nfev=60).x
    return 2 * abs(found[3]) * np.sqrt(2 ** (1 / found[4]) - 1), found[:2]


def stars_of(field: Field, band: str) -> list[Star]:
    """Return the bright, unsaturated, round and isolated maxima of a frame that are as narrow as most."""
    counts, header = field.counts(band)
    counts -= float(header["SKY"])
    peaks = (counts == ndimage.maximum_filter(counts, 25)) & (counts > 2000) & (counts < 25_000)
    found = []
    for y, x in zip(*np.nonzero(peaks), strict=True):
        if not (30 < x < 2018 and 30 < y < 1459):
            continue
        cutout = counts[y - HALF : y + HALF + 1, x - HALF : x + HALF + 1]
        noise = np.sqrt(20 + np.abs(cutout) / 4)
        width, centre = moffat_width(cutout, noise)
        found.append(Star(int(x), int(y), centre, width, cutout, noise))
    middle = np.median([star.fwhm for star in found])
    return [star for star in found if abs(star.fwhm / middle - 1) < 0.15 and np.abs(star.centre).max() < 1]


def misfit(star: Star, image: np.ndarray) -> float:
    """Return chi^2 per pixel of the star against an image of the PSF, shifted and scaled to it."""
    spline = ndimage.spline_filter(image, order=5)

    def residual(centre: np.ndarray) -> np.ndarray:
        places = [GRID[0] - centre[1] + 25, GRID[1] - centre[0] + 25]
        model = ndimage.map_coordinates(spline, places, order=5, prefilter=False) / star.noise
        terms = np.stack([model.ravel(), 1 / star.noise.ravel()], axis=1)
        values = (star.cutout / star.noise).ravel()
        return np.asarray(values - terms @ np.linalg.lstsq(terms, values, rcond=None)[0])

    return float(np.mean(optimize.least_squares(residual, star.centre, max_nfev=20).fun ** 2))


@pytest.mark.parametrize("band", ["g", "r", "i"])
def test_the_reconstruction_has_the_width_of_the_stars(field: Field, psf_file: Path, band: str) -> None:
    """Fitted in the same way, the images of the PSF at the stars are as wide as the stars: 3 % in the median."""
    psf = FieldPsf.read(psf_file, band)
    ratios = []
    for star in stars_of(field, band):
        image = psf.image(star.x, star.y)[25 - HALF : 26 + HALF, 25 - HALF : 26 + HALF]
        scale = star.cutout.sum() / image.sum()
        ratios.append(moffat_width(image * scale, star.noise)[0] / star.fwhm)
    assert len(ratios) >= 10
    assert np.median(ratios) == pytest.approx(1, abs=0.03)


def test_the_reconstruction_follows_the_stars_over_the_field(field: Field, psf_file: Path) -> None:
    """It fits most stars better than the PSF of the opposite corner, and than with row and column exchanged."""
    rows = []
    for band in "gri":
        psf = FieldPsf.read(psf_file, band)
        swapped = replace(psf, coefficients=psf.coefficients.transpose(0, 2, 1))
        for star in stars_of(field, band):
            images = (psf.image(star.x, star.y), psf.image(2047 - star.x, 1488 - star.y), swapped.image(star.x, star.y))
            rows.append([misfit(star, image) for image in images])
    here, across, exchanged = np.array([row for row in rows if row[0] < 30]).T
    assert len(here) >= 40
    assert np.mean(here < across) > 0.7
    assert np.mean(here < exchanged) > 0.7
    assert np.median(across / here) > 1.05


@pytest.mark.parametrize("band", list("ugriz"))
def test_the_effective_width_is_the_one_that_the_file_states(psf_file: Path, real_data: Path, band: str) -> None:
    """`psf_width` is 0.67 times the root of the effective area, in arcsec, from a fit of two Gaussians."""
    for path in (psf_file, real_data / CROP):
        psf = FieldPsf.read(path, band)
        image = psf.image(1023.5, 744.0)
        area = image.sum() ** 2 / (image**2).sum()
        assert 0.663 * np.sqrt(area) * PIXEL == pytest.approx(psf.width, rel=0.05)


@pytest.mark.parametrize("fwhm", [2.2, 3.0, 6.0])
@pytest.mark.parametrize("beta", [2.5, 5.0])
def test_the_width_is_that_of_known_profiles_without_the_response_of_the_pixels(fwhm: float, beta: float) -> None:
    for profile, offset in (
        (galsim.Moffat(beta=beta, fwhm=fwhm), (0.0, 0.0)),
        (galsim.Moffat(beta=beta, fwhm=fwhm), (0.3, -0.4)),
        (galsim.Moffat(beta=beta, fwhm=fwhm).shear(q=1 / 1.2, beta=0 * galsim.degrees), (0.0, 0.0)),
    ):
        image = profile.drawImage(nx=51, ny=51, scale=1, offset=offset).array.astype(float)
        assert sdss_psf.moffat_width(image) == pytest.approx(fwhm, rel=0.015)
    assert np.isnan(sdss_psf.moffat_width(np.ones((51, 51))))
    assert np.isnan(sdss_psf.moffat_width(np.full((51, 51), -1.0)))


def test_widths_between_the_nodes_are_those_of_the_images(psf_file: Path) -> None:
    psf = FieldPsf.read(psf_file, "r")
    width = psf.fwhm((1489, 2048))
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 2047, 12), rng.uniform(0, 1488, 12)
    expected = [sdss_psf.moffat_width(psf.image(a, b)) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(width(x, y), expected, rtol=0.01)
    assert np.ptp(expected) > 0.02 * np.mean(expected)
    outside = width(np.array([-50.0, np.nan]), np.array([700.0, 3.0]))
    assert outside[0] == pytest.approx(width(np.array([0.0]), np.array([700.0]))[0])
    assert np.isnan(outside[1])


@pytest.mark.filterwarnings("ignore:File may have been truncated")
@pytest.mark.parametrize("cut", [0, 2880, 50_000])
def test_a_file_that_is_no_psf_file_is_named(psf_file: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "psField-1.fit"
    path.write_bytes(psf_file.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"psField-1\.fit: not a psField file of SDSS .*; delete it and run again"):
        FieldPsf.read(path, "r")


def test_flipped_bytes_are_noticed(psf_file: Path, real_data: Path, tmp_path: Path) -> None:
    sdss_psf.verify_psf(psf_file)
    sdss_psf.verify_psf(real_data / CROP)
    whole = psf_file.read_bytes()
    path = tmp_path / "psField-1.fit"
    with fits.open(psf_file) as file:
        # The basis images of r, a place well within the first of them.
        start = file.fileinfo(3)["datLoc"] + file[3].header["THEAP"] + 4 * (51 * 25 + 20)
    for place in (start, start + 1, start + 4 * 51 * 51):
        spoilt = bytearray(whole)
        spoilt[place] ^= 0x55
        path.write_bytes(spoilt)
        with pytest.raises(AttemptError, match=r"sums that the file states|not finite"):
            sdss_psf.verify_psf(path)


def test_another_kind_of_file_is_refused(real_data: Path) -> None:
    with pytest.raises(InputError, match="not a psField file of SDSS"):
        FieldPsf.read(real_data / "sdss_dr8_frame_crop" / "frame-r-001000-1-0100.fits.bz2", "g")

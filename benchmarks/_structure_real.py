"""Real galaxies with their noise and PSF, in one band, in units of the sky noise: SDSS, DECaLS and a DECam exposure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sep
from astropy.io import fits
from scipy import ndimage

from tuningfork.surveys.sdss.psf import FieldPsf

SIZE = 128
SOFT_BIAS = 1000.0
LIST_OF_R = 99644381
"""First half of the ids of the sources that an independent pipeline measured on the r image of the SDSS field."""


@dataclass(frozen=True)
class RealGalaxies:
    """N galaxies.

    Attributes
    ----------
    images, inverse_variance : ndarray
        float32 (N, S, S), units of the median sky noise of a pixel.
    psf : ndarray
        (N, P, P), images that contain the response of the pixel.
    pixel_scale : float
        arcsec.
    catalogue : dict
        What others measured -> (N,).
    """

    images: np.ndarray
    inverse_variance: np.ndarray
    psf: np.ndarray
    pixel_scale: float
    catalogue: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.images)


def sdss_galaxies(folder: Path, brightest: float, faintest: float) -> RealGalaxies:
    """Return the galaxies of the r frame of run 6377, camcol 4, field 399 in a range of counts of the list.

    The catalogue has `counts` (Gaussian-weighted flux), `position_angle` (deg from +y counter-clockwise) and
    `axis_ratio` of the second moments, with the PSF in them, and x, y (px).
    """
    field = folder / "sdss_dr7_field" / "6377" / "40"
    with fits.open(field / "corr" / "4" / "fpC-006377-r4-0399.fit.gz") as hdus:
        frame = hdus[0].data.astype(np.float64) - SOFT_BIAS
        sky = float(hdus[0].header["SKY"])
    psf = FieldPsf.read(field / "objcs" / "4" / "psField-006377-4-0399.fit.gz", "r")
    rows = [row for row in _listed(folder) if brightest >= row["counts"] >= faintest and _alone(row, frame, sky)]
    sky_variance = sky / psf.gain + psf.dark_variance
    noise = np.sqrt(sky_variance)
    images, psfs = [], []
    for row in rows:
        first_x, first_y = (round(row[axis]) - SIZE // 2 for axis in "xy")
        images.append(frame[first_y : first_y + SIZE, first_x : first_x + SIZE] - sky)
        psfs.append(psf.image(row["x"], row["y"]))
    planes = np.stack(images)
    variance = sky_variance + np.maximum(ndimage.gaussian_filter(planes, (0, 1, 1)), 0) / psf.gain
    catalogue = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    catalogue["counts"] = catalogue["counts"] / noise
    return RealGalaxies(
        (planes / noise).astype(np.float32),
        (sky_variance / variance).astype(np.float32),
        np.stack(psfs),
        0.396,
        catalogue,
    )


def _listed(folder: Path) -> list[dict[str, float]]:
    """Return the galaxies of the list without flags, by falling flux."""
    lines = (folder / "sdss_dr7_field" / "detected-sources.txt").read_text().splitlines()
    names, found = lines[0].lstrip("#").split(), []
    for line in lines[1:]:
        row = dict(zip(names, line.split(), strict=True))
        if int(row["id"]) >> 32 != LIST_OF_R or row["base_ClassificationExtendedness_value"] != "1":
            continue
        if "True" in (row["base_PixelFlags_flag_edge"], row["base_PixelFlags_flag_saturated"], row["flags_negative"]):
            continue
        xx, xy, yy = (float(row[f"base_SdssShape_{name}"]) for name in ("xx", "xy", "yy"))
        spread = np.hypot((xx - yy) / 2, xy)
        small, large = (xx + yy) / 2 - spread, (xx + yy) / 2 + spread
        if row["base_SdssShape_flag"] == "True" or not small > 0:
            continue
        found.append(
            {
                "counts": float(row["base_GaussianFlux_instFlux"]),
                "x": float(row["base_SdssCentroid_x"]),
                "y": float(row["base_SdssCentroid_y"]),
                "axis_ratio": float(np.sqrt(small / large)),
                "position_angle": float(np.rad2deg(np.arctan2(2 * xy, xx - yy) / 2) - 90) % 180,
            }
        )
    found.sort(key=lambda row: -row["counts"])
    # Blends are listed with their pieces.
    return [
        row
        for place, row in enumerate(found)
        if all(np.hypot(row["x"] - one["x"], row["y"] - one["y"]) > 5 for one in found[:place])
    ]


def _alone(row: Mapping[str, float], frame: np.ndarray, sky: float) -> bool:
    """Return whether the whole stamp of a source lies on the frame, far from what is much brighter."""
    x, y, half = round(row["x"]), round(row["y"]), SIZE // 2
    if not (half < x < frame.shape[1] - half - 1 and half < y < frame.shape[0] - half - 1):
        return False
    stamp = frame[y - half : y + half, x - half : x + half] - sky
    return bool(stamp.max() < 3 * stamp[half - 3 : half + 4, half - 3 : half + 4].max() + 500)


def decals_galaxies(folder: Path, faintest: float = 30.0) -> RealGalaxies:
    """Return the extended sources of the r coadd near (59.11, -30.48), with the coadded PSF and inverse variance.

    The catalogue has `x`, `y` (px) and `signal_to_noise` of the detection's aperture.
    """
    here = folder / "decals_fits" / "pysersic"
    with fits.open(here / "cutout_59.1067_-30.4848.fits.gz") as hdus:
        image, weight = (np.ascontiguousarray(hdus[place].data, dtype=np.float32) for place in (3, 4))
    with fits.open(here / "copsf_59.1067_-30.4848.fits.gz") as hdus:
        psf = np.asarray(hdus[1].data, dtype=np.float64)
    deviation = np.where(weight > 0, 1 / np.sqrt(np.where(weight > 0, weight, 1)), 1e3).astype(np.float32)
    sources = sep.extract(image, 2.0, err=deviation, minarea=12, filter_kernel=None)
    flux, error, _ = sep.sum_circle(image, sources["x"], sources["y"], 6.0, err=deviation)
    star = 2.355 * np.sqrt(sources["a"] * sources["b"]) < 1.35 * _width(psf)
    half = SIZE // 2
    kept = [
        row
        for row in np.flatnonzero((flux / error > faintest) & ~star)
        if 20 < sources["x"][row] < image.shape[1] - 20 and 20 < sources["y"][row] < image.shape[0] - 20
    ]
    noise = float(np.median(deviation))
    images = np.pad(image, half) / noise
    weights = np.pad(weight, half) * noise**2
    corners = [(round(sources["x"][row]), round(sources["y"][row])) for row in kept]
    cut = [np.stack([plane[y : y + SIZE, x : x + SIZE] for x, y in corners]) for plane in (images, weights)]
    catalogue = {name: sources[name][kept] for name in ("x", "y")} | {"signal_to_noise": (flux / error)[kept]}
    return RealGalaxies(
        cut[0].astype(np.float32), cut[1].astype(np.float32), np.repeat(psf[None], len(kept), 0), 0.262, catalogue
    )


def _width(psf: np.ndarray) -> float:
    """Return the full width at half maximum (px) of a Gaussian with the peak and flux of a PSF."""
    return float(np.sqrt(4 * np.log(2) / np.pi * psf.sum() / psf.max()))


def gaussian_widths(psf: np.ndarray) -> np.ndarray:
    """Return the full widths at half maximum (px) of Gaussians with the peak and flux of N PSFs."""
    return np.array([_width(image) for image in psf])

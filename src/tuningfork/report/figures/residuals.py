"""Images, fitted Sersic profiles and residuals of some galaxies."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from tuningfork.measure.structure.fit import Moffat, fit_profiles
from tuningfork.networks.structure import shear_of
from tuningfork.report.gallery import Entry, Picture, draw, shown, title
from tuningfork.report.images import jpeg
from tuningfork.report.inputs import ReportInputs
from tuningfork.sky.coordinates import sky_to_pixel_angle

MAX_RESIDUAL = 5.0
"""Residual (noise of a pixel) at the ends of the colour scale."""


def residuals(inputs: ReportInputs, number: int) -> list[Entry]:
    """Return refined galaxies drawn at random: image, model and residual in the reference band.

    The fits are made again, from the values of the catalogue, because no stage keeps images of models.
    """
    band = inputs.accounting["reference_band"]
    rows = draw(shown(inputs, inputs.galaxies["structure_method"] == "refined"), number, "residuals")
    galaxies = list(rows.itertuples(index=False))
    if not galaxies:
        return []
    band_index = inputs.bands.index(band)
    stamps = [_plane(inputs, galaxy, band_index) for galaxy in galaxies]
    noise = rows[f"sky_noise_{band}"].to_numpy(dtype=np.float32)[:, None, None]
    images = np.stack([image for image, _ in stamps]) / noise
    weights = np.stack([weight for _, weight in stamps]) * noise**2
    psf = Moffat((rows[f"psf_fwhm_{band}"] / rows["pixel_scale"]).to_numpy(float), rows["psf_beta"].to_numpy(float))
    fit = fit_profiles(images, weights, psf, _start(rows, band), images_wanted=True)
    assert fit.models is not None
    residual = (images - fit.models) * np.sqrt(np.nan_to_num(weights))
    return [_entry(galaxy, *planes) for galaxy, *planes in zip(galaxies, images, fit.models, residual, strict=True)]


def _plane(inputs: ReportInputs, galaxy: Any, band_index: int) -> np.ndarray:
    """Return image and inverse variance (2, S, S) of a galaxy in one band."""
    return np.asarray(inputs.stamps[galaxy.shard][galaxy.row, :, band_index], dtype=np.float32)


def _start(rows: pd.DataFrame, band: str) -> np.ndarray:
    """Return the catalogue's profiles (N, 5) in the space of the fit."""
    names = ["mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "zero_point", "pixel_scale", "north_angle"]
    value = {name: rows[name].to_numpy(dtype=float) for name in [*names, f"sky_noise_{band}"]}
    zero = value["zero_point"] - 2.5 * np.log10(value[f"sky_noise_{band}"])
    angle = sky_to_pixel_angle(value["position_angle"], value["north_angle"], rows["east_is_left"].to_numpy(dtype=bool))
    size, index = np.log(value["r_eff"] / value["pixel_scale"]), np.log(value["sersic_n"])
    return np.stack([value["mag"] - zero, size, index, *shear_of(value["axis_ratio"], angle)], axis=1)


def _entry(galaxy: Any, image: np.ndarray, model: np.ndarray, residual: np.ndarray) -> Entry:
    size, name = len(image), title(galaxy)
    brightest = max(float(np.percentile(model, 99.8)), 10.0)
    pictures = [
        Picture(jpeg(_grey(image, brightest)), f"{name}, image in the reference band", size),
        Picture(jpeg(_grey(model, brightest)), f"model of {name}, one Sersic profile", size, [], "model"),
        Picture(jpeg(_colour(residual)), f"residual of {name}, image minus model over the noise", size, [], "residual"),
    ]
    chi2 = f"reduced χ² {galaxy.reduced_chi2:.2f}"
    return Entry(name, pictures, [f"n {galaxy.sersic_n:.1f}, r_eff {galaxy.r_eff:.1f}″, {chi2}"])


def _grey(image: np.ndarray, brightest: float) -> np.ndarray:
    """Return a (S, S, 3) uint8 picture, arcsinh of the flux in units of the noise, row 0 at the top."""
    stretch = np.arcsinh(np.clip(np.nan_to_num(image), 0, None)) / np.arcsinh(brightest)
    return np.repeat(np.round(255 * np.clip(stretch, 0, 1))[::-1, :, None], 3, axis=2).astype(np.uint8)


def _colour(residual: np.ndarray) -> np.ndarray:
    """Return a (S, S, 3) uint8 picture of a residual: blue where the model is too bright, red where too faint."""
    share = np.clip(np.nan_to_num(residual) / (2 * MAX_RESIDUAL) + 0.5, 0, 1)
    return np.round(255 * mpl.colormaps["RdBu_r"](share)[::-1, :, :3]).astype(np.uint8)

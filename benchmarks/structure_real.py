"""Our profile parameters of real galaxies: residuals, reduced chi^2, and what an independent pipeline measured.

The galaxies are those of one SDSS field (r, DR7) and of one coadd of the Legacy Surveys (r), in the folder that the
environment variable TUNINGFORK_REAL_DATA names; without it there is nothing to do. The fit has the measured PSF
images, which contain the pixel; the network is told the Moffat profile nearest to them. "pull" is the difference of
two of our estimates in units of the network's error.

    TUNINGFORK_REAL_DATA=... python benchmarks/structure_real.py [--quick] [--model CARD] [--residuals FILE.png]
"""

import argparse
import json
import os
from pathlib import Path

import matplotlib
import numpy as np
import torch
from _structure_ours import CARD, posterior, shipped, targets_of
from _structure_real import RealGalaxies, decals_galaxies, gaussian_widths, sdss_galaxies
from _structure_scores import scatter
from _structure_sets import Sample
from _structure_start import PARAMETERS, starts

from tuningfork.measure.structure.fit import Fit, PsfImages, fit_profiles
from tuningfork.networks.structure import PROFILE, shape_of
from tuningfork.simulate.imaging.moffat import fit_moffat

FEWEST = 5
DISC, LONG = 2.0, 0.85
"""Sersic index below which the list's magnitudes are total; axis ratio below which position angles are compared."""


def fitted(galaxies: RealGalaxies) -> Fit:
    """Fit every galaxy from moments, with the measured PSF."""
    guesses = starts(galaxies.images, np.zeros(galaxies.images.shape, dtype=bool), gaussian_widths(galaxies.psf))
    start = targets_of({name: np.array([one[name] for one in guesses]) for name in PARAMETERS})[:, :5]
    psf = PsfImages(galaxies.psf, contains_pixel=True)
    return fit_profiles(galaxies.images, galaxies.inverse_variance, psf, start, images_wanted=True)


def sample_of(galaxies: RealGalaxies) -> Sample:
    """Return the galaxies as the network sees them, with round Moffat PSFs."""
    fits = [fit_moffat(image / image.sum()) for image in galaxies.psf]
    nearest = np.array([(fit.fwhm, fit.beta) for fit in fits])
    weight = galaxies.inverse_variance
    variance = np.where(weight > 0, 1 / np.where(weight > 0, weight, 1), 1e12).astype(np.float32)
    nothing = np.zeros(galaxies.images.shape, dtype=bool)
    return Sample(galaxies.images, variance, nothing, nearest[:, 0], nearest[:, 1], {}, np.ones(len(galaxies)))


def quality(title: str, galaxies: RealGalaxies, fit: Fit) -> dict[str, float]:
    """Print and return how well a Sersic profile and the stated noise describe the galaxies."""
    good = fit.converged
    chi2 = fit.reduced_chi2[good]
    core = np.abs(fit.residuals[good, 54:75, 54:75]) * np.sqrt(galaxies.inverse_variance[good, 54:75, 54:75])
    low, middle, high = np.percentile(chi2, [5, 50, 95])
    print(
        f"\n{title}: {len(galaxies)} galaxies, {good.sum()} fits converged; reduced chi^2 median {middle:.3f}, "
        f"5-95 % {low:.3f}-{high:.3f}; pixels of the inner 21 x 21 beyond 3 standard deviations: "
        f"{100 * np.mean(core > 3):.2f} % (0.27 % expected)"
    )
    return {f"chi2_{title}": middle, f"chi2_high_{title}": high, f"beyond_3_sigma_{title}": float(np.mean(core > 3))}


def against_list(galaxies: RealGalaxies, fit: Fit) -> dict[str, float]:
    """Print and return the agreement with the independent list of the SDSS field."""
    listed = galaxies.catalogue
    ratio, angle = shape_of(*fit.mean[:, 3:5].T)
    apart = (angle - listed["position_angle"] + 90) % 180 - 90
    excess = fit.mean[:, 0] + 2.5 * np.log10(listed["counts"])
    disc, long = fit.converged & (np.exp(fit.mean[:, 2]) < DISC), fit.converged & (listed["axis_ratio"] < LONG)
    figures = {
        "mag_bias_discs": float(np.median(excess[disc])),
        "mag_scatter_discs": float(scatter(excess[disc])),
        "angle_bias": float(np.median(apart[long])),
        "angle_scatter": float(scatter(apart[long])),
    }
    print(
        f"against the list: magnitudes of {disc.sum()} galaxies with n < {DISC:g} {figures['mag_bias_discs']:+.3f} "
        f"± {figures['mag_scatter_discs']:.3f}; position angles of {long.sum()} galaxies {figures['angle_bias']:+.1f} "
        f"± {figures['angle_scatter']:.1f} deg; axis ratio, PSF taken out, {np.median(ratio[long]):.2f} against "
        f"{np.median(listed['axis_ratio'][long]):.2f} in the list"
    )
    return figures


def network_against_fit(title: str, galaxies: RealGalaxies, fit: Fit, model: Path) -> dict[str, float]:
    """Print and return how far the network is from the fit, where a fit is good."""
    ensemble = shipped(model)
    if ensemble is None:
        return {}
    sample = sample_of(galaxies)
    found = posterior(ensemble, sample)
    good = fit.converged & (np.abs(fit.reduced_chi2 - 1) < 0.2) & (np.exp(fit.mean[:, 2]) < 7.5)
    if good.sum() < FEWEST:
        return {}
    figures = {}
    print(
        f"\n| {title}, network - fit ({good.sum()} galaxies) | median | scatter | scatter of the pull |\n|---|---|---|---|"
    )
    for place, name in enumerate(PROFILE):
        apart = (found.mean[:, place] - fit.mean[:, place])[good]
        error = np.hypot(*(np.sqrt(one.covariance[good, place, place]) for one in (found, fit)))
        print(f"| {name} | {np.median(apart):+.3f} | {scatter(apart):.3f} | {scatter(apart / error):.2f} |")
        figures[f"network_bias_{name}_{title}"] = float(np.median(apart))
        figures[f"network_scatter_{name}_{title}"] = float(scatter(apart))
        figures[f"network_pull_{name}_{title}"] = float(scatter(apart / error))
    return figures


def draw_residuals(path: Path, galaxies: RealGalaxies, fit: Fit) -> None:
    """Write images, models and residuals of up to twelve galaxies."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    number = min(12, len(galaxies))
    figure, axes = plt.subplots(3, number, figsize=(1.3 * number, 4), squeeze=False)
    for column in range(number):
        for row, planes in enumerate((galaxies.images, fit.models, fit.residuals)):
            plane = planes[column] if row == 2 else np.arcsinh(planes[column])
            axes[row, column].imshow(plane[32:96, 32:96], origin="lower", vmin=-4 if row == 2 else -1, vmax=4)
            axes[row, column].axis("off")
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the brighter galaxies only")
    parser.add_argument("--model", type=Path, default=CARD, help="card of a structure network")
    parser.add_argument("--residuals", type=Path, help="picture of images, models and residuals of SDSS")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = os.environ.get("TUNINGFORK_REAL_DATA")
    if not folder:
        print("TUNINGFORK_REAL_DATA names no folder with real data")
        print(json.dumps({"galaxies": 0}))
        return
    sdss = sdss_galaxies(Path(folder), 4e4, 3000 if options.quick else 1200)
    legacy = decals_galaxies(Path(folder))
    figures: dict[str, float] = {"galaxies": len(sdss) + len(legacy)}
    for title, galaxies in (("sdss", sdss), ("decals", legacy)):
        fit = fitted(galaxies)
        figures |= quality(title, galaxies, fit)
        if title == "sdss":
            figures |= against_list(galaxies, fit)
            if options.residuals:
                draw_residuals(options.residuals, galaxies, fit)
        figures |= network_against_fit(title, galaxies, fit, options.model)
    print(json.dumps({key: float(f"{value:.4g}") for key, value in figures.items()}))


if __name__ == "__main__":
    main()

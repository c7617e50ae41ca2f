"""Our estimators behind the same function as the peers: fit alone, network alone, and the two combined."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from _structure_sets import PIXEL_SCALE, Sample
from _structure_start import PARAMETERS, Values

from tuningfork.calibrate.structure_weighting import learn_weights
from tuningfork.core.config.stages import Infer, Structure
from tuningfork.infer.structure import ask_structure
from tuningfork.measure.structure.combine import Combination, StructureCalibration, combine
from tuningfork.measure.structure.fit import FitSettings, Moffat, fit_profiles
from tuningfork.measure.structure.profiles import physical
from tuningfork.measure.structure.recipe import MeasuredProfiles, measure_profiles
from tuningfork.networks.compact import compact_card
from tuningfork.networks.ensemble import Ensemble, load_ensemble
from tuningfork.networks.posterior import Gaussians
from tuningfork.networks.structure import shear_of

CARD = compact_card("structure")
"""The network that comes with the package."""

SETTINGS = Structure(sky_sigma=0.0)
"""As for the peers, the sky is known to be zero."""
INFERENCE = Infer()
BAND = "r"
Estimator = Callable[[Sample, list[Values]], list[Values]]


def table_of(sample: Sample, band: str) -> pa.Table:
    """Return the columns of a stamps table for images in units of the sky noise."""
    number = len(sample)
    return pa.table(
        {
            "pixel_scale": np.full(number, PIXEL_SCALE),
            "zero_point": np.zeros(number),
            f"sky_noise_{band}": np.ones(number),
            f"psf_fwhm_{band}": sample.fwhm * PIXEL_SCALE,
            "psf_beta": sample.beta,
        }
    )


def stamps_of(sample: Sample) -> np.ndarray:
    """Return the stamps (N, 2, 1, S, S); pixels without data, whose variance is enormous, have a weight of zero."""
    weight = np.where(sample.variance < 1e6, 1 / sample.variance, 0).astype(np.float32)
    return np.stack([sample.images, weight], axis=1)[:, :, None]


def targets_of(truth: dict[str, np.ndarray]) -> np.ndarray:
    """Return the targets (N, 6) of the structure network; that of the bulge is not known."""
    shear = shear_of(truth["axis_ratio"], truth["position_angle"])
    values = [truth["mag"], np.log(truth["r_eff"]), np.log(truth["sersic_n"]), *shear]
    return np.stack([*values, np.full(len(truth["mag"]), np.nan)], axis=1)


def listed(found: Gaussians, table: pa.Table, band: str) -> list[Values]:
    """Return `PARAMETERS` of every galaxy, sizes in px."""
    values = physical(found, table, band)
    values["r_eff"] = values["r_eff"] / PIXEL_SCALE
    return [{name: float(values[name][row]) for name in PARAMETERS} for row in range(len(found))]


def with_fit(sample: Sample, start: list[Values]) -> list[Values]:
    """Fit from the peers' start values, without a network."""
    table, stamps = table_of(sample, BAND), stamps_of(sample)
    guess = targets_of({name: np.array([one[name] for one in start]) for name in PARAMETERS})[:, :5]
    settings = FitSettings(sky_sigma=SETTINGS.sky_sigma)
    found = fit_profiles(stamps[:, 0, 0], stamps[:, 1, 0], Moffat(sample.fwhm, sample.beta), guess, settings)
    mean, covariance = np.full((len(sample), 6), np.nan), np.full((len(sample), 6, 6), 1e-6)
    mean[:, :5] = np.where(found.converged[:, None], found.mean, np.nan)
    # The axis ratio of a fit is that of its ellipticity itself, not a posterior mean.
    return listed(Gaussians(mean, covariance * np.eye(6)), table, BAND)


def shipped(card: Path = CARD) -> Ensemble | None:
    """Return the network that comes with the package, if it is there."""
    return load_ensemble([card], "structure", torch.device("cpu")) if card.is_file() else None


def posterior(ensemble: Ensemble, sample: Sample, rotations: int = INFERENCE.rotations) -> Gaussians:
    """Return what the network says about the targets of every galaxy."""
    table = table_of(sample, ensemble.reference_band)
    settings = INFERENCE.model_copy(update={"rotations": rotations})
    return ask_structure(ensemble, table, stamps_of(sample), settings).posterior


def network_alone(ensemble: Ensemble, rotations: int = INFERENCE.rotations) -> Estimator:
    """Return the estimator that asks the network."""

    def estimate(sample: Sample, start: list[Values]) -> list[Values]:
        table = table_of(sample, ensemble.reference_band)
        return listed(posterior(ensemble, sample, rotations), table, ensemble.reference_band)

    return estimate


def refined(ensemble: Ensemble, calibration: StructureCalibration) -> Estimator:
    """Return the estimator that the stage `structure` is: network, fit from its answer, and their combination."""

    def estimate(sample: Sample, start: list[Values]) -> list[Values]:
        table = table_of(sample, ensemble.reference_band)
        return listed(joined(ensemble, calibration, sample).joint, table, ensemble.reference_band)

    return estimate


def joined(ensemble: Ensemble, calibration: StructureCalibration, sample: Sample) -> Combination:
    """Return network and fit combined."""
    return combine(measured(ensemble, sample).estimates, calibration)


def measured(ensemble: Ensemble, sample: Sample) -> MeasuredProfiles:
    """Return what the stage `structure` measures before network and fit are combined."""
    band, stamps = ensemble.reference_band, stamps_of(sample)
    table = table_of(sample, band)
    answers = ask_structure(ensemble, table, stamps, INFERENCE)
    return measure_profiles(answers, table, stamps, band, SETTINGS, ensemble.device)


def calibrated(ensemble: Ensemble, held_out: Sample) -> StructureCalibration:
    """Return the weights of network and fit, learned on galaxies of the same kind as those to be measured."""
    return learn_weights(measured(ensemble, held_out).estimates, targets_of(held_out.truth))

"""Bars of a shard: what every estimator says about them, and the recommended length, angle and ellipticity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.columns import MAPPED
from tuningfork.core.config.stages import Bars
from tuningfork.core.decision_tree import question
from tuningfork.core.files import open_array, read_json
from tuningfork.core.flags import Flag
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import (
    lineage_of,
    numpy_column,
    read_table,
    require_same_sources,
    shard_table,
    write_table,
)
from tuningfork.measure.bars.combination import BarCombination
from tuningfork.measure.bars.estimators import Estimate, of_light, of_maps, of_network, psf_pixels
from tuningfork.measure.bars.geometry import deprojected, kiloparsecs
from tuningfork.measure.bars.length_calibration import LengthCalibration
from tuningfork.networks.ensemble import Ensemble, load_ensemble
from tuningfork.sky.coordinates import left_handed, pixel_to_sky_angle
from tuningfork.stamps.store import StampFiles, open_store

DISCS = ["spiral", "barred_spiral"]
"""Classes that can have a bar; it cannot be seen in a disc that is seen edge-on."""


def measure_bars(
    parameters: Parameters,
    sources: Path,
    stamps: Path,
    saliency: Path,
    morphology: Path,
    structure: Path,
    models: Sequence[Path],
    evaluation: Path,
    output: Path,
) -> None:
    """Write the bars table of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage bars.
    sources, stamps, saliency, morphology, structure : Path
        The shard's tables; the maps stand beside `saliency`.
    models : sequence of Path
        Cards of the morphology networks, for the regressed lengths and the masks.
    evaluation : Path
        evaluation.json, with the calibrations and the weights of the estimators.
    output : Path
        bars.parquet.
    """
    settings = parameters.configuration.bars
    ensemble = load_ensemble(models, "morphology")
    rows, pixels = open_store(StampFiles.beside(stamps), ensemble.bands, ensemble.reference_band)
    tables = {path: read_table(path) for path in (sources, saliency, morphology, structure)}
    for path, table in tables.items():
        require_same_sources(rows, table, path)
    maps = open_array(saliency.with_suffix(".npy"))
    found = estimates(ensemble, rows, pixels, maps, settings)
    values = bar_values(
        rows, tables[sources], tables[morphology], tables[structure], found, ensemble, read_json(evaluation), settings
    )
    lineage = lineage_of(sources, stamps, saliency, morphology, structure, evaluation, *models)
    write_table(output, shard_table("bars", values), parameters.lineage(lineage), method=settings.method)


def estimates(
    ensemble: Ensemble, rows: pa.Table, pixels: np.ndarray, maps: np.ndarray, settings: Bars
) -> dict[str, Estimate]:
    """Return what every estimator says, before calibration.

    Parameters
    ----------
    ensemble : Ensemble
        Of morphology networks.
    rows : pyarrow.Table
    pixels : ndarray
        (N, 2, B, S, S) stamps.
    maps : ndarray
        (N, M, S, S) saliency maps.
    settings : Bars
    """
    psf = psf_pixels(rows, ensemble.reference_band)
    direct, mask = of_network(ensemble, rows, pixels, psf)
    return {
        "direct": direct,
        "mask": mask,
        "saliency": of_maps(maps, psf, settings.method),
        "fourier": of_light(rows, pixels, ensemble.bands, ensemble.reference_band),
    }


@dataclass(frozen=True)
class Calibrations:
    """What turns raw estimates into bars.

    Attributes
    ----------
    lengths : mapping
        Estimator -> calibration of its lengths; `axis_ratio` -> that of the mask's width over length.
    combination : BarCombination
    """

    lengths: Mapping[str, LengthCalibration]
    combination: BarCombination

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Calibrations":
        """Return those under `bar_calibration` and `bar_combination` of a JSON file."""
        lengths = {name: LengthCalibration.from_dict(entry) for name, entry in values["bar_calibration"].items()}
        return cls(lengths, BarCombination.from_dict(values["bar_combination"]))

    def apply(
        self, found: Mapping[str, Estimate], psf: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return the lengths (px) of every estimator, and the standard deviations of their logarithms."""
        lengths = {name: self.lengths[name].apply(one.length, psf) for name, one in found.items()}
        errors = {name: self.lengths[name].error(one.spread) for name, one in found.items()}
        return lengths, errors


def barred(fractions: np.ndarray, morphology: np.ndarray, min_fraction: float) -> np.ndarray:
    """Return which sources count as barred: discs not seen edge-on, by their class, with votes enough for a bar.

    Parameters
    ----------
    fractions : ndarray
        (N,) expected fraction of "yes" among the votes on the bar; NaN counts as not barred.
    morphology : ndarray
        (N,) classes.
    min_fraction : float
    """
    with np.errstate(invalid="ignore"):
        return np.asarray((fractions >= min_fraction) & np.isin(morphology, DISCS))


def bar_values(
    rows: pa.Table,
    sources: pa.Table,
    classes: pa.Table,
    profiles: pa.Table,
    found: Mapping[str, Estimate],
    ensemble: Ensemble,
    evaluation: Mapping[str, Any],
    settings: Bars,
) -> dict[str, Any]:
    """Return the columns of the bars table.

    Every estimator is given wherever there is a stamp; the recommended values, without an estimator's name, for
    barred galaxies only.
    """
    scale, psf = numpy_column(rows, "pixel_scale").astype(float), psf_pixels(rows, ensemble.reference_band)
    calibrations = Calibrations.from_dict(evaluation)
    lengths, errors = calibrations.apply(found, psf)
    combination, of_ratio = calibrations.combination, calibrations.lengths["axis_ratio"]
    length, error, method = combination.lengths(lengths, errors["direct"])
    fractions = numpy_column(classes, f"{question('bar').labels[0]}_fraction")
    bar = barred(fractions, classes["morphology"].cast(pa.string()).to_numpy(), settings.min_fraction)
    length = np.where(bar, length * scale, np.nan)
    given = np.isfinite(length)
    north, east_left = numpy_column(rows, "north_angle"), left_handed(rows["east_is_left"])
    angles = {name: pixel_to_sky_angle(one.angle, north, east_left) for name, one in found.items()}
    angle, angle_error = combination.angle(angles, {name: one.angle_spread for name, one in found.items()})
    angle = np.where(given, angle, np.nan)
    ratio = np.clip(of_ratio.apply(found["mask"].axis_ratio, psf), 0, 1)
    disc = [numpy_column(profiles, name).astype(float) for name in ("axis_ratio", "position_angle")]
    redshift = numpy_column(sources, "redshift").astype(float)
    own = bar_flags(found["saliency"].flags, length, psf * scale, np.isfinite(fractions) & ~bar)
    values = {
        "source_id": rows["source_id"],
        "flags": numpy_column(rows, "flags") | numpy_column(classes, "flags") | own,
        "bar_length_method": [name if has else None for name, has in zip(method, given, strict=True)],
        **_with_error("bar_length", length, error),
        **_with_error("bar_length_deprojected", length * deprojected(angle, *disc), error),
        **_with_error("bar_length_kpc", length * kiloparsecs(redshift, settings), error),
        "bar_position_angle": angle,
        "bar_position_angle_error": np.where(np.isfinite(angle), angle_error, np.nan),
        "bar_strength": found["fourier"].strength,
        "bar_ellipticity": np.where(given, 1 - ratio, np.nan),
        "bar_ellipticity_error": np.where(given, ratio * of_ratio.error(found["mask"].spread), np.nan),
    }
    for name, one in lengths.items():
        values |= _with_error(f"bar_length_{name}", one * scale, errors[name])
    for name in MAPPED:
        values |= {f"bar_length_{name}_raw": found[name].length * scale, f"bar_position_angle_{name}": angles[name]}
    return values


def _with_error(name: str, values: np.ndarray, relative: np.ndarray) -> dict[str, np.ndarray]:
    """Return a length and its standard deviation as columns."""
    return {name: values, f"{name}_error": np.where(np.isfinite(values), values * relative, np.nan)}


def bar_flags(of_maps: np.ndarray, length: np.ndarray, psf_fwhm: np.ndarray, unbarred: np.ndarray) -> np.ndarray:
    """Return the bits that this stage adds.

    Whether the bar is shorter than the PSF is judged by the published `length`, in the unit of `psf_fwhm`.
    """
    with np.errstate(invalid="ignore"):
        short = length < psf_fwhm
    flags = of_maps & ~np.int64(Flag.BAR_SHORTER_THAN_PSF)
    return np.asarray(
        flags | np.where(short, int(Flag.BAR_SHORTER_THAN_PSF), 0) | np.where(unbarred, int(Flag.NOT_BARRED), 0)
    )

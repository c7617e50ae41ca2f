"""Bars on a folder of pictures: one row for every file, whatever it is."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.columns import ESTIMATORS
from tuningfork.core.config.stages import Bars, Saliency
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.files import read_json
from tuningfork.core.flags import Flag
from tuningfork.core.progress import track
from tuningfork.explain.shard import map_stamps
from tuningfork.measure.bars.combination import alone
from tuningfork.measure.bars.estimators import Estimate
from tuningfork.measure.bars.length_calibration import identity
from tuningfork.measure.bars.shard import Calibrations, bar_flags, barred, estimates
from tuningfork.measure.votes.shard import vote_values
from tuningfork.networks.compact import compact_card
from tuningfork.networks.ensemble import Ensemble, load_ensemble
from tuningfork.pictures.read import Reading, read_picture
from tuningfork.pictures.table import check_name, picture_values, table_of, write
from tuningfork.stamps.picture.stamp import STRETCH

TOGETHER = 512
"""Pictures that are in memory at once."""
ROTATIONS, BATCH = 8, 128
BETA = 3.0
"""Exponent of the Moffat profile that is taken for the PSF."""
SIZE_ERROR = 0.16
"""Standard deviation of ln(r90): its scatter among SDSS pictures that were scaled by the galaxy's size."""
AXIS_RATIO = "axis_ratio"
CALIBRATED = (*ESTIMATORS, AXIS_RATIO)


@dataclass(frozen=True)
class How:
    """How pictures are read and measured.

    Attributes
    ----------
    stretch : float
        Q of the pictures' arcsinh stretch; 0 for linear ones.
    psf_fwhm : float or None
        Full width at half maximum of the PSF (px); None: estimated on each.
    models : tuple of Path
        Cards of morphology networks that read one band; none: the one that comes with the package.
    calibration : Path or None
        File with what turns the estimators' lengths into the recommended one; None: the one that comes with the
        package for its own network, none for others.
    saliency_samples : int
        Noisy copies of each stamp behind a saliency map.
    """

    stretch: float = STRETCH
    psf_fwhm: float | None = None
    models: tuple[Path, ...] = ()
    calibration: Path | None = None
    saliency_samples: int = 32

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises
        ------
        ConfigurationError
            One is outside its range.
        """
        for name, value, low, high in (
            ("--stretch", self.stretch, 0.0, 50.0),
            ("--psf-fwhm", self.psf_fwhm or 3.0, 0.5, 500.0),
            ("--saliency-samples", self.saliency_samples, 1, 4096),
        ):
            if not low <= value <= high:
                raise ConfigurationError(f"{name} {value:g}: expected a number from {low:g} to {high:g}")


UNCALIBRATED = Calibrations({name: identity(0) for name in CALIBRATED}, alone())


def measure_files(paths: Sequence[Path], output: Path, how: How) -> pa.Table:
    """Measure the bar on pictures and write the table.

    Parameters
    ----------
    paths : sequence of Path
        JPEG and PNG pictures of one galaxy each, in its middle; other files get a row that says so.
    output : Path
        .parquet or .csv
    how : How

    Returns
    -------
    pyarrow.Table
        A row for each path, in their order; see :data:`tuningfork.pictures.table.COLUMNS`.

    Raises
    ------
    InputError
        A model is missing, damaged or reads several bands.
    ConfigurationError
        The output has another ending.
    """
    check_name(output)
    ensemble = load_ensemble(how.models or (compact_card("morphology"),), "morphology")
    if len(ensemble.bands) != 1:
        raise InputError(f"networks of the bands {ensemble.bands}: pictures need networks that read a single band")
    calibrations = calibrations_of(how, ensemble)
    parts = []
    for first in range(0, len(paths), TOGETHER):
        some = paths[first : first + TOGETHER]
        readings = [read_picture(path, how.stretch, how.psf_fwhm) for path in track(some, "pictures", len(some))]
        parts.append(table_of(measure(ensemble, readings, calibrations, how.saliency_samples)))
    table = pa.concat_tables(parts)
    write(output, table, stretch=how.stretch, networks=digests(ensemble))
    return table


def summary(table: pa.Table) -> str:
    """Return in words what became of the files."""
    measured = table["bar_length_pixels"].is_valid()
    flags = table["flags"].to_numpy()
    barred_too = int(np.count_nonzero(measured.to_numpy() & ((flags & Flag.NOT_BARRED) == 0)))
    number = int(np.count_nonzero(measured.to_numpy()))
    return f"{table.num_rows} files, {number} with a measurement, {barred_too} of them barred"


def calibrations_of(how: How, ensemble: Ensemble) -> Calibrations:
    """Return the calibrations of some networks.

    Without a file of theirs the regressed length stands alone, as it is.

    Raises
    ------
    InputError
        The file that was named cannot be read, or was made with other networks.
    """
    path = how.calibration or compact_card("pictures")
    if how.calibration is None and not path.exists():
        return UNCALIBRATED
    try:
        values = read_json(path)
        made_with = values["networks"]
        calibrations = Calibrations.from_dict(values)
        calibrations = replace(calibrations, lengths={name: calibrations.lengths[name] for name in CALIBRATED})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a calibration of bar lengths on pictures ({error}); make it again") from None
    if made_with == digests(ensemble):
        return calibrations
    if how.calibration is not None:
        raise InputError(f"{path}: made with other networks; make it again with benchmarks/pictures.py")
    return UNCALIBRATED


def digests(ensemble: Ensemble) -> list[str]:
    """Return the hashes of the networks' weights."""
    return [str(card["weights_sha256"]) for card in ensemble.cards]


def store_of(readings: Sequence[Reading], band: str) -> tuple[pa.Table, np.ndarray]:
    """Return table and stamps (N, 2, 1, S, S) of readings with a galaxy, as networks read them; arcsec are pixels."""
    seen = [(reading, reading.stamp) for reading in readings if reading.stamp is not None]
    pixels = np.stack([np.stack([stamp.image, stamp.valid / stamp.sky_noise**2]) for _, stamp in seen])
    number = len(seen)
    rows = {
        "pixel_scale": np.array([reading.binned * stamp.step for reading, stamp in seen]),
        f"psf_fwhm_{band}": np.array([reading.psf_fwhm for reading, _ in seen]),
        f"sky_noise_{band}": np.array([stamp.sky_noise for _, stamp in seen]),
        "psf_beta": np.full(number, BETA),
        "zero_point": np.zeros(number),
        "valid_fraction": np.array([stamp.valid.mean() for _, stamp in seen]),
    }
    return pa.table(rows), pixels[:, :, None].astype(np.float32)


def measure(
    ensemble: Ensemble, readings: Sequence[Reading], calibrations: Calibrations, samples: int
) -> dict[str, Any]:
    """Return the columns of the table of N readings."""
    values = picture_values(readings)
    good = np.flatnonzero(np.isfinite(values["r90"]))
    if not good.size:
        return values
    chosen = [readings[place] for place in good.tolist()]
    rows, pixels = store_of(chosen, ensemble.reference_band)
    maps = np.zeros((len(good), len(ensemble.members), *pixels.shape[-2:]), dtype=np.float16)
    keys = np.array([_key(reading.file) for reading in chosen])
    map_stamps(ensemble, rows, pixels, keys, 0, Saliency(samples=samples), maps)
    found = estimates(ensemble, rows, pixels, maps, Bars())
    votes = vote_values(ensemble, rows, pixels, ROTATIONS, BATCH)
    for name, column in bar_columns(found, votes, rows, ensemble.reference_band, calibrations).items():
        values[name][good] = column
    with np.errstate(invalid="ignore"):
        size = 2 * values["r90"]
        values["bar_length_scaled"] = values["bar_length_pixels"] / size
        relative = np.hypot(values["bar_length_pixels_error"] / values["bar_length_pixels"], SIZE_ERROR)
        values["bar_length_scaled_error"] = values["bar_length_scaled"] * relative
    values["flags"] |= values.pop("bar_flags")
    return values


def _key(name: str) -> int:
    """Return a number for a file, so that the noise behind its map does not depend on the files beside it."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")


def bar_columns(
    found: Mapping[str, Estimate],
    votes: Mapping[str, np.ndarray],
    rows: pa.Table,
    band: str,
    calibrations: Calibrations,
) -> dict[str, np.ndarray]:
    """Return the columns about the bar of pictures with a galaxy."""
    scale = rows["pixel_scale"].to_numpy()
    psf = rows[f"psf_fwhm_{band}"].to_numpy() / scale
    lengths, errors = calibrations.apply(found, psf)
    length, error, method = calibrations.combination.lengths(lengths, errors["direct"])
    angles = {name: one.angle for name, one in found.items()}
    angle, angle_error = calibrations.combination.angle(angles, {name: one.angle_spread for name, one in found.items()})
    ratio = calibrations.lengths[AXIS_RATIO].apply(found["mask"].axis_ratio, psf)
    unbarred = ~barred(votes["bar_yes_fraction"], votes["morphology"].astype(str), Bars().min_fraction)
    return {
        "morphology": votes["morphology"],
        "p_bar": votes["p_bar"],
        "bar_yes_fraction": votes["bar_yes_fraction"],
        "bar_length_pixels": length * scale,
        "bar_length_pixels_error": length * scale * error,
        "bar_position_angle": angle,
        "bar_position_angle_error": angle_error,
        "bar_ellipticity": 1 - np.clip(ratio, 0, 1),
        "bar_length_method": method,
        "bar_flags": bar_flags(found["saliency"].flags, length, psf, unbarred),
        **{f"bar_length_{name}_pixels": lengths[name] * scale for name in ESTIMATORS},
    }

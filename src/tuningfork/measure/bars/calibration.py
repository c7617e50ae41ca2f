"""The calibration of bars learned from held-out galaxies: one relation per estimator, and their combination."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tuningfork.core.calibration_file import ADDED, require, require_names
from tuningfork.core.columns import ESTIMATORS
from tuningfork.measure.bars.combination import BarCombination, direct_alone
from tuningfork.measure.bars.estimators import BarEstimate
from tuningfork.measure.bars.length_calibration import LengthCalibration, identity
from tuningfork.measure.bars.limits import TrainedRange


@dataclass(frozen=True)
class BarCalibration:
    """The relations that convert raw estimates into bars.

    Attributes
    ----------
    lengths : dict
        Each of :data:`tuningfork.core.columns.ESTIMATORS` -> calibration of its lengths.
    axis_ratio : LengthCalibration
        Calibration of the mask's ratio of width to length, in the same form as that of a length.
    combination : BarCombination
    trained : TrainedRange or None
        Range of the bars that were learned from; None: it is not known, and no bar counts as outside.
    """

    lengths: dict[str, LengthCalibration]
    axis_ratio: LengthCalibration
    combination: BarCombination
    trained: TrainedRange | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        require_names("lengths", self.lengths, ESTIMATORS)
        for name in ("names", "angles"):
            known = set(getattr(self.combination, name)) <= set(ESTIMATORS)
            require(known, f"combination.{name} may only have {', '.join(ESTIMATORS)}")


@dataclass(frozen=True)
class CalibratedBars:
    """The bars of N sources, in pixels and in the pixel frame; NaN without a measurement.

    Attributes
    ----------
    lengths, length_errors : dict
        Estimator -> (N,) full length (px), and the standard deviation of its logarithm.
    length, length_error : ndarray
        (N,) the combined length (px), and the standard deviation of its logarithm.
    method : ndarray
        (N,) names of the estimators in the combined length, joined by '+'; None without a length.
    angle, angle_error : ndarray
        (N,) the combined position angle and its standard deviation (deg, from +y counter-clockwise).
    axis_ratio, axis_ratio_error : ndarray
        (N,) ratio of width to length and its standard deviation.
    outside : ndarray
        (N,) bool, whether the combined length lies outside the range of the bars that were learned from.
    """

    lengths: dict[str, np.ndarray]
    length_errors: dict[str, np.ndarray]
    length: np.ndarray
    length_error: np.ndarray
    method: np.ndarray
    angle: np.ndarray
    angle_error: np.ndarray
    axis_ratio: np.ndarray
    axis_ratio_error: np.ndarray
    outside: np.ndarray


def calibrated_bars(
    estimates: Mapping[str, BarEstimate], calibration: BarCalibration, psf_fwhm: np.ndarray
) -> CalibratedBars:
    """Calibrate the estimates of all estimators and combine them.

    Every consumer calls this function: the stage bars, the evaluation, the injection and the pictures command.

    Parameters
    ----------
    estimates : mapping
        Estimator -> its raw estimates for N sources, with the names of :data:`tuningfork.core.columns.ESTIMATORS`.
    calibration : BarCalibration
    psf_fwhm : ndarray
        (N,) px.

    Returns
    -------
    CalibratedBars
    """
    learned, combination = calibration.lengths, calibration.combination
    lengths = {name: learned[name].apply(raw.length, psf_fwhm) for name, raw in estimates.items()}
    errors = {name: learned[name].error(raw.spread) for name, raw in estimates.items()}
    length, error, method = combination.lengths(lengths, errors["direct"])
    beyond = np.zeros(len(length)) if calibration.trained is None else calibration.trained.beyond(length, psf_fwhm)
    # Beyond the range nobody knows the error, but it may well be as large as the way back to the nearest tested length.
    error = np.hypot(error, beyond)
    angles = {name: raw.angle for name, raw in estimates.items()}
    angle, angle_error = combination.angle(angles, {name: raw.angle_spread for name, raw in estimates.items()})
    mask = estimates["mask"]
    ratio = np.clip(calibration.axis_ratio.apply(mask.axis_ratio, psf_fwhm), 0, 1)
    ratio_error = ratio * calibration.axis_ratio.error(mask.spread)
    return CalibratedBars(lengths, errors, length, error, method, angle, angle_error, ratio, ratio_error, beyond > 0)


def uncalibrated() -> BarCalibration:
    """Return the calibration that recommends the uncalibrated regressed length alone."""
    return BarCalibration({name: identity(0) for name in ESTIMATORS}, identity(0), direct_alone())

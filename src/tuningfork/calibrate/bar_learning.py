"""Learning of the calibrations of bar lengths and of the estimators' weights: arrays in, calibrations out."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tuningfork.core.statistics import CENTRAL_68, FEWEST, MAD_TO_SIGMA, angle_difference, robust_scatter
from tuningfork.measure.bars.combination import UNIT_ESTIMATOR, BarCombination, direct_alone
from tuningfork.measure.bars.length_calibration import LengthCalibration, identity
from tuningfork.measure.bars.limits import TrainedRange

TRANSFER_ERROR = 0.15
"""See :class:`~tuningfork.measure.bars.combination.BarCombination`. No length is defined better: the definitions in use
differ by 10 to 20 % for the same bar, and people who draw it by as much (Hoyle+ 2011)."""
CLIPPING_SCATTERS = 4.0
"""Limit to which errors are clipped, in robust scatters, so that a few wrong bars do not dominate the weights."""
RANGE_QUANTILES = 0.005, 0.995
"""Of the true lengths. The extremes themselves are single galaxies, from which no network learns a length."""
RANGE_MARGIN = 0.1
"""Of ln(length), on either side: about the error of a good length, so that bars at the limit are not half of them flagged."""


def fit_lengths(raw: np.ndarray, spread: np.ndarray, truth: np.ndarray, psf_fwhm: np.ndarray) -> LengthCalibration:
    """Fit a calibration by least squares in the logarithms, with one rejection of galaxies beyond three scatters.

    Parameters
    ----------
    raw, spread, truth, psf_fwhm : ndarray
        (N,) raw length (px), the standard deviation of its logarithm that the estimator states, true length (px), PSF
        width (px). Rows without a finite, positive raw length and truth are ignored.

    Returns
    -------
    LengthCalibration
        The identity, with a note, for fewer than ten galaxies.
    """
    good = np.isfinite(raw) & np.isfinite(truth) & (raw > 0) & (truth > 0) & np.isfinite(psf_fwhm)
    n = int(np.count_nonzero(good))
    if n < FEWEST:
        return identity(n)
    x, y = np.log(raw[good]), np.log(truth[good])
    design = np.stack([np.ones(n), x, np.log(psf_fwhm[good])], axis=1)
    keep = np.ones(n, dtype=bool)
    for _ in range(2):
        solution = np.linalg.lstsq(design[keep], y[keep], rcond=None)[0]
        miss = design @ solution - y
        scatter = robust_scatter(miss)
        keep = np.abs(miss) <= 3 * max(scatter, 1e-6)
    stated = np.median((solution[1] * np.nan_to_num(spread[good])) ** 2)
    return LengthCalibration(
        intercept=float(solution[0]),
        slope=float(solution[1]),
        psf_slope=float(solution[2]),
        floor=float(np.sqrt(max(scatter**2 - stated, 0))),
        scatter=scatter,
        n=n,
        note="",
    )


def learn_combination(
    calibrated: Mapping[str, np.ndarray],
    unit: np.ndarray,
    truth: np.ndarray,
    angles: Mapping[str, np.ndarray],
    true_angle: np.ndarray,
    transfer: float = TRANSFER_ERROR,
) -> BarCombination:
    """Learn the weights of the estimators.

    Parameters
    ----------
    calibrated : mapping
        Estimator -> (N,) calibrated lengths.
    unit : ndarray
        (N,) standard deviation of ln(length) by `UNIT_ESTIMATOR`.
    truth : ndarray
        (N,) true lengths, in the same unit as `calibrated`.
    angles : mapping
        Estimator -> (N,) position angles (deg).
    true_angle : ndarray
        (N,) deg.
    transfer : float
        Error of ln(length) on galaxies that are not simulated; it cannot be learned here.

    Returns
    -------
    BarCombination
        The combination of the estimators that measured more than half of the galaxies measured by `UNIT_ESTIMATOR`.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = {name: np.log(values / truth) / unit for name, values in calibrated.items()}
    usable = np.isfinite(errors[UNIT_ESTIMATOR])
    names = [name for name in calibrated if np.isfinite(errors[name][usable]).sum() > usable.sum() / 2]
    together = np.all([np.isfinite(errors[name]) for name in names], axis=0) if names else usable
    n = int(together.sum())
    if UNIT_ESTIMATOR not in names or n < FEWEST:
        return direct_alone()
    clipped = np.stack([_clipped(errors[name][together]) for name in names])
    covariance = np.cov(clipped, bias=True).reshape(len(names), len(names))
    # A hundredth of the variance is added, so that weights of almost equal estimators do not follow their difference.
    covariance[np.diag_indices(len(names))] *= 1.01
    scatters = {name: _angle_scatter(values[together], true_angle[together]) for name, values in angles.items()}
    known = {name: scatter for name, scatter in scatters.items() if np.isfinite(scatter)}
    raw = BarCombination(names, covariance.tolist(), 1.0, known or {UNIT_ESTIMATOR: 1.0}, 0.0, n, transfer=transfer)
    known_lengths = {name: calibrated[name][together] for name in names}
    true = np.log(truth[together])
    combined = raw.lengths(known_lengths, unit[together])
    offset, middle, regression = _regression(np.log(combined.length), combined.learned_error, true)
    raw = replace(raw, offset=offset, middle=middle, regression=regression)
    combined = raw.lengths(known_lengths, unit[together])
    scale = float(np.quantile(np.abs(np.log(combined.length) - true) / combined.learned_error, CENTRAL_68))
    angle, _ = raw.angle({k: v[together] for k, v in angles.items()}, {k: np.zeros(n) for k in angles})
    scatter = _angle_scatter(angle, true_angle[together])
    # The regression is a function of the published error, without the transfer error.
    return replace(
        raw, scale=scale, angle_scatter=scatter if np.isfinite(scatter) else 0.0, regression=regression / scale**2
    )


def learn_range(length: np.ndarray, psf_fwhm: np.ndarray, stamp_size: int) -> TrainedRange | None:
    """Return the range of the true lengths of simulated bars.

    Parameters
    ----------
    length, psf_fwhm : ndarray
        (N,) full length and PSF width (px of the stamp); galaxies with NaN do not count.
    stamp_size : int
        Width of a stamp (px), which holds no longer bar.

    Returns
    -------
    TrainedRange or None
        None for fewer than ten bars.
    """
    good = np.isfinite(length) & np.isfinite(psf_fwhm)
    if np.count_nonzero(good) < FEWEST:
        return None
    limits = []
    for logs in (np.log(length[good]), np.log(length[good] / psf_fwhm[good])):
        low, high = np.quantile(logs, RANGE_QUANTILES)
        limits += [float(np.exp(low - RANGE_MARGIN)), float(np.exp(high + RANGE_MARGIN))]
    shortest, longest, *relative = limits
    return TrainedRange(shortest, min(longest, float(stamp_size)), *relative)


def _regression(measured: np.ndarray, error: np.ndarray, true: np.ndarray) -> tuple[float, float, float]:
    """Return `offset`, `middle` and `regression` of a combination from measured and true ln(length) (N,) and the errors.

    Least squares with weights 1 / error^2, clipped so that a few wrong bars do not decide.
    """
    middle = float(np.median(true))
    design = np.stack([1 / error, -error * (true - middle)], axis=1)
    offset, regression = np.linalg.lstsq(design, _clipped((measured - true) / error), rcond=None)[0]
    return float(offset), middle, max(float(regression), 0.0)


def _clipped(values: np.ndarray) -> np.ndarray:
    middle, reach = np.median(values), CLIPPING_SCATTERS * robust_scatter(values)
    return np.clip(values, middle - reach, middle + reach)


def _angle_scatter(measured: np.ndarray, truth: np.ndarray) -> float:
    """Return the robust scatter (deg), at least a tenth of a degree; NaN for fewer than ten angles."""
    miss = np.abs(angle_difference(measured, truth))
    miss = miss[np.isfinite(miss)]
    return max(MAD_TO_SIGMA * float(np.median(miss)), 0.1) if len(miss) >= FEWEST else np.nan

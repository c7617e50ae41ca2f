"""The calibration of bulge and arm fractions, learned from simulated galaxies.

The predictors of a fraction are the share of the light measured on the map, the answer that the network expects of
volunteers, the width of the PSF and the radius at which the galaxy ends in the noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuningfork.core.calibration_file import require, require_names, require_not_negative
from tuningfork.core.decision_tree import question

BULGE, ARMS = "bulge_fraction", "spiral_arm_fraction"
FEATURES = (BULGE, ARMS)
TRUTH_COLUMNS = {BULGE: "bulge_to_total", ARMS: "arm_strength"}
"""Columns of the training set that hold the true fractions."""
MIN_LOGIT_FRACTION = 0.01
"""Smallest distance of a fraction from 0 and 1 before its logit is taken."""


@dataclass(frozen=True)
class FractionCalibration:
    """A linear relation between the predictors and a fraction or its logit.

    Attributes
    ----------
    coefficients : list of float
        The constant and the coefficient of each predictor; empty without a calibration.
    logit : bool
        Whether the logit of the fraction is linear in the predictors.
    fractions, errors : list of float
        Predicted fractions and the standard deviations at these fractions, which are interpolated linearly.
    n : int
        Number of galaxies that the relation was learned from.
    note : str
        Empty, or the reason why there is no calibration.
    """

    coefficients: list[float]
    logit: bool
    fractions: list[float]
    errors: list[float]
    n: int
    note: str = ""

    def __post_init__(self) -> None:
        number = len(self.fractions)
        require(len(self.errors) == number, "fractions and errors must be of the same length")
        require((number > 0) == bool(self.coefficients), "coefficients, fractions and errors must be there together")
        require(bool((np.diff(self.fractions) >= 0).all()), "fractions must increase")
        require(all(error >= 0 for error in self.errors), "errors must be zero or more")
        require_not_negative(self, "n")

    def apply(self, predictors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the fractions and their standard deviations.

        Parameters
        ----------
        predictors : ndarray
            (N, K)

        Returns
        -------
        fraction, error : ndarray
            (N,)
        """
        if not self.coefficients:
            return np.full(len(predictors), np.nan), np.full(len(predictors), np.nan)
        value = self.coefficients[0] + predictors @ np.array(self.coefficients[1:])
        value = 1 / (1 + np.exp(-value)) if self.logit else np.clip(value, 0, 1)
        return value, np.where(np.isfinite(value), np.interp(value, self.fractions, self.errors), np.nan)


@dataclass(frozen=True)
class FeatureCalibration:
    """The calibration of bulges and spiral arms learned from held-out galaxies.

    Attributes
    ----------
    fractions : dict
        Each of `FEATURES` -> its calibration.
    """

    fractions: dict[str, FractionCalibration]

    def __post_init__(self) -> None:
        require_names("fractions", self.fractions, FEATURES)
        one = np.ones(1)
        for name, calibration in self.fractions.items():
            terms, given = 1 + predictors(name, one, one, one, one).shape[1], len(calibration.coefficients)
            require(given in (0, terms), f"fractions.{name}.coefficients has {given} numbers, but must have {terms}")


def logit_of(fraction: np.ndarray) -> np.ndarray:
    """Return ln(f / (1 - f)) of fractions, limited to at least `MIN_LOGIT_FRACTION` from 0 and 1.

    Parameters
    ----------
    fraction : ndarray

    Returns
    -------
    ndarray
    """
    limited = np.clip(fraction, MIN_LOGIT_FRACTION, 1 - MIN_LOGIT_FRACTION)
    return np.asarray(np.log(limited / (1 - limited)))


def answer_of(name: str, votes: Mapping[str, Any]) -> np.ndarray:
    """Return the answer that the networks expect of volunteers, from 0 to 1.

    Parameters
    ----------
    name : str
        One of `FEATURES`: the bulge's answer is its prominence, 1 if all volunteers call it dominant; that of the arms
        is the fraction of volunteers who see arms.
    votes : mapping
        `{answer}_fraction` -> (N,) expected vote fractions.

    Returns
    -------
    ndarray
        (N,)
    """
    entry = question("bulge_size" if name == BULGE else "spiral_arms")
    columns = [np.asarray(votes[f"{label}_fraction"], dtype=float) for label in entry.labels]
    if name == ARMS:
        return columns[0]
    return np.asarray(sum(step * column for step, column in enumerate(columns)) / (len(columns) - 1))


def predictors(
    name: str, share: np.ndarray | None, answer: np.ndarray | None, psf_fwhm: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Return the predictors of a fraction.

    Parameters
    ----------
    name : str
        One of `FEATURES`.
    share : ndarray or None
        (N,) share of the light; None to omit this predictor.
    answer : ndarray or None
        (N,) result of :func:`answer_of`; None to omit this predictor.
    psf_fwhm, end : ndarray
        (N,) width of the PSF and radius at which the galaxy ends in the noise (px).

    Returns
    -------
    ndarray
        (N, K)
    """
    columns = [np.log(psf_fwhm), np.log(end)]
    if answer is not None:
        columns.append(logit_of(answer))
    if share is not None:
        # The square root of the arms' share is used, because noise from many pixels dominates small shares.
        columns.append(logit_of(share) if name == BULGE else np.sqrt(np.clip(share, 0, 1)))
        if answer is not None and name == ARMS:
            # The light of the arms has the more weight, the more volunteers are expected to see arms.
            columns.append(answer * columns[-1])
    return np.column_stack(columns)


def feature_columns(
    shares: Mapping[str, np.ndarray],
    end: np.ndarray,
    votes: Mapping[str, np.ndarray],
    psf_fwhm: np.ndarray,
    calibration: FeatureCalibration,
) -> dict[str, np.ndarray]:
    """Return the calibrated fractions of bulge and spiral arms, their errors and the raw shares, as columns.

    Parameters
    ----------
    shares : mapping
        Each of `FEATURES` -> (N,) measured share of the light.
    end : ndarray
        (N,) radius at which the galaxy ends in the noise (px).
    votes : mapping
        `{answer}_fraction` -> (N,) expected vote fractions.
    psf_fwhm : ndarray
        (N,) px.
    calibration : FeatureCalibration

    Returns
    -------
    dict
        Column -> (N,), NaN without a measurement.
    """
    values = {}
    for name, share in shares.items():
        columns = predictors(name, share, answer_of(name, votes), psf_fwhm, end)
        values[name], values[f"{name}_error"] = calibration.fractions[name].apply(columns)
        values[f"{name}_raw"] = share
    return values

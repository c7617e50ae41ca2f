"""From shares of the light in regions to fractions of bulge and arms with an honest error, learned on simulations.

What predicts a fraction is the share of the light that was measured on the map, what the network expects people to
answer, and how well the galaxy is seen: the PSF's width and the radius at which the galaxy ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuningfork.core.decision_tree import question

BULGE, ARMS = "bulge_fraction", "spiral_arm_fraction"
FEATURES = (BULGE, ARMS)
TRUTH_COLUMNS = {BULGE: "bulge_to_total", ARMS: "arm_strength"}
"""Columns of the training set that hold the true fractions."""
MIN_LOGIT_FRACTION = 0.01
"""Fractions are kept so far from 0 and 1 before their logit is taken."""


@dataclass(frozen=True)
class FractionCalibration:
    """A linear relation of a fraction, or of its logit, with what predicts it.

    Attributes
    ----------
    coefficients : list of float
        Of a constant and of each predictor; empty if there is no calibration.
    logit : bool
        Whether the relation is one of the logit.
    fractions, errors : list of float
        Predicted fractions and the standard deviations there; between, they are interpolated.
    n : int
        Galaxies behind it.
    note : str
        Empty, or why there is no calibration.
    """

    coefficients: list[float]
    logit: bool
    fractions: list[float]
    errors: list[float]
    n: int
    note: str = ""

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
    """What held-out galaxies teach the recipe for bulges and spiral arms.

    Attributes
    ----------
    fractions : dict
        Each of `FEATURES` -> its calibration.
    """

    fractions: dict[str, FractionCalibration]


def logit_of(fraction: np.ndarray) -> np.ndarray:
    """Return ln(f / (1 - f)) of fractions, which are kept `MIN_LOGIT_FRACTION` away from 0 and 1.

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
        One of `FEATURES`: the prominence of the bulge, 1 if all call it dominant, or the fraction that sees arms.
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
    """Return what predicts a fraction.

    Parameters
    ----------
    name : str
        One of `FEATURES`.
    share : ndarray or None
        (N,) share of the light; None to do without.
    answer : ndarray or None
        (N,) of :func:`answer_of`; None to do without.
    psf_fwhm, end : ndarray
        (N,) px.

    Returns
    -------
    ndarray
        (N, K)
    """
    columns = [np.log(psf_fwhm), np.log(end)]
    if answer is not None:
        columns.append(logit_of(answer))
    if share is not None:
        # Arms are counted in the square root: where they are faint, their noise is that of a sum of many pixels.
        columns.append(logit_of(share) if name == BULGE else np.sqrt(np.clip(share, 0, 1)))
        if answer is not None and name == ARMS:
            # Light counts as that of arms as far as arms are seen.
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
        Column -> (N,), NaN where nothing was measured.
    """
    values = {}
    for name, share in shares.items():
        columns = predictors(name, share, answer_of(name, votes), psf_fwhm, end)
        values[name], values[f"{name}_error"] = calibration.fractions[name].apply(columns)
        values[f"{name}_raw"] = share
    return values

"""From shares of the light in regions to fractions of bulge and arms with an honest error, learned on simulations.

What predicts a fraction is the share of the light that was measured on the map, what the network expects people to
answer, and how well the galaxy is seen: the PSF's width and the radius at which the galaxy ends.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tuningfork.core.decision_tree import question

BULGE, ARMS = "bulge_fraction", "spiral_arm_fraction"
FEATURES = (BULGE, ARMS)
TRUTH = {BULGE: "bulge_to_total", ARMS: "arm_strength"}
"""Columns of the training set that hold the true fractions."""
LIMIT = 0.01
"""Fractions are kept so far from 0 and 1 before their logit is taken."""
LEAST = 30
"""Fewer galaxies give no calibration."""
BINS, A_BIN = 5, 20
"""Most bins of the fraction in which errors are learned, and the fewest galaxies in one."""
LEAST_ERROR = 0.01
"""No fraction is known better, even where validation galaxies were all right."""
WITHIN = 68.27
"""Percentage of the truths within the error."""


@dataclass(frozen=True)
class FeatureCalibration:
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
        """Return the fractions and their standard deviations, (N,) each, of predictors (N, K)."""
        if not self.coefficients:
            return np.full(len(predictors), np.nan), np.full(len(predictors), np.nan)
        value = self.coefficients[0] + predictors @ np.array(self.coefficients[1:])
        value = 1 / (1 + np.exp(-value)) if self.logit else np.clip(value, 0, 1)
        return value, np.where(np.isfinite(value), np.interp(value, self.fractions, self.errors), np.nan)

    def as_dict(self) -> dict[str, Any]:
        """Return the calibration as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "FeatureCalibration":
        """Return the calibration that :meth:`as_dict` wrote."""
        return cls(**values)


def fit(predictors: np.ndarray, truth: np.ndarray, logit: bool) -> FeatureCalibration:
    """Fit a calibration by least squares.

    Parameters
    ----------
    predictors : ndarray
        (N, K).
    truth : ndarray
        (N,) fractions. Rows that are not finite do not count.
    logit : bool
        Whether the logit of the fraction is linear in the predictors.
    """
    good = np.isfinite(predictors).all(axis=1) & np.isfinite(truth)
    n = int(np.count_nonzero(good))
    if n < LEAST:
        return FeatureCalibration(
            [], logit, [], [], n, f"only {n} held-out galaxies with a measurement: not calibrated"
        )
    x, y = predictors[good], truth[good]
    design = np.column_stack([np.ones(n), x])
    solution = np.linalg.lstsq(design, logit_of(y) if logit else y, rcond=None)[0]
    bare = FeatureCalibration(solution.tolist(), logit, [0.0], [0.0], n)
    fractions, errors = _errors(bare.apply(x)[0], y)
    return FeatureCalibration(solution.tolist(), logit, fractions, errors, n)


def _errors(found: np.ndarray, truth: np.ndarray) -> tuple[list[float], list[float]]:
    """Return the median fraction in each bin of galaxies, and how far most truths are from what was found."""
    order = np.argsort(found, kind="stable")
    parts = np.array_split(order, int(np.clip(len(order) // A_BIN, 1, BINS)))
    miss = np.abs(found - truth)
    errors = [max(float(np.percentile(miss[part], WITHIN)), LEAST_ERROR) for part in parts]
    return [float(np.median(found[part])) for part in parts], errors


def logit_of(fraction: np.ndarray) -> np.ndarray:
    """Return ln(f / (1 - f)) of fractions, limited to what can be told from 0 and 1."""
    limited = np.clip(fraction, LIMIT, 1 - LIMIT)
    return np.asarray(np.log(limited / (1 - limited)))


def answer_of(name: str, votes: Mapping[str, Any]) -> np.ndarray:
    """Return what the network expects people to say (N,), from 0 to 1.

    Parameters
    ----------
    name : str
        One of `FEATURES`: the prominence of the bulge, 1 if all call it dominant, or the fraction that sees arms.
    votes : mapping
        `{answer}_fraction` -> (N,) expected vote fractions.
    """
    entry = question("bulge_size" if name == BULGE else "spiral_arms")
    columns = [np.asarray(votes[f"{label}_fraction"], dtype=float) for label in entry.labels]
    if name == ARMS:
        return columns[0]
    return np.asarray(sum(step * column for step, column in enumerate(columns)) / (len(columns) - 1))


def predictors(
    name: str, share: np.ndarray | None, answer: np.ndarray | None, psf_fwhm: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Return what predicts a fraction, (N, K).

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

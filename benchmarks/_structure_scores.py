"""Bias and robust scatter of profile parameters, with bootstrap errors, as tables and flat figures."""

from collections.abc import Mapping, Sequence

import numpy as np

ERRORS = {"mag": "mag", "r_eff": "ln", "sersic_n": "ln", "axis_ratio": "absolute"}
"""How the error of each parameter is taken: differences, or of the natural logarithm."""
RESAMPLES = 400

Catalogue = Mapping[str, np.ndarray]


def errors(found: Catalogue, truth: Catalogue, name: str) -> np.ndarray:
    """Return the errors (N,) of a parameter. A failure, NaN, counts as the constant: the median of the truth.

    An estimator without an answer says no more than the sample does, so it does not gain by giving up.
    """
    values = np.where(np.isfinite(found[name]), found[name], np.median(truth[name]))
    if ERRORS[name] == "ln":
        return np.asarray(np.log(values / truth[name]))
    return np.asarray(values - truth[name])


def bias(error: np.ndarray) -> np.ndarray:
    """Return the median error along the last axis."""
    return np.asarray(np.median(error, axis=-1))


def scatter(error: np.ndarray) -> np.ndarray:
    """Return half of the range that holds the middle 68 % along the last axis."""
    low, high = np.percentile(error, [15.865, 84.135], axis=-1)
    return np.asarray((high - low) / 2)


def resampled(number: int, seed: int = 0) -> np.ndarray:
    """Return rows (RESAMPLES, number) drawn with repetition, the same for all estimators."""
    return np.random.default_rng(seed).integers(0, number, (RESAMPLES, number))


def nothing(truth: Catalogue) -> dict[str, np.ndarray]:
    """Return the answers of the null baseline, the median of the sample."""
    return {name: np.full(len(truth[name]), np.nan) for name in ERRORS}


def table(
    found: Mapping[str, Catalogue], truth: Catalogue, bins: np.ndarray, labels: Sequence[str]
) -> tuple[str, dict[str, float]]:
    """Compare estimators in bins.

    Parameters
    ----------
    found : mapping
        Estimator -> parameter -> (N,).
    truth : mapping
    bins : ndarray
        int (N,), place in `labels`.
    labels : sequence of str

    Returns
    -------
    text : str
        Markdown: bias and scatter with bootstrap errors.
    figures : dict
        `bias_...` and `scatter_<parameter>_<estimator>_<label>`.
    """
    found = {**found, "constant": nothing(truth)}
    lines, figures = [], {}
    for name in ERRORS:
        lines += ["", f"| {name} | {' | '.join(labels)} |", "|---" * (len(labels) + 1) + "|"]
        for who, values in found.items():
            every = errors(values, truth, name)
            cells = []
            for place, label in enumerate(labels):
                error = every[bins == place]
                if len(error) < 2:
                    cells.append("")
                    continue
                drawn = error[resampled(len(error))]
                middle, wide = float(bias(error)), float(scatter(error))
                cells.append(f"{middle:+.4f}±{bias(drawn).std():.4f}, {wide:.4f}±{scatter(drawn).std():.4f}")
                figures |= {f"bias_{name}_{who}_{label}": middle, f"scatter_{name}_{who}_{label}": wide}
            lines.append(f"| {who} | {' | '.join(cells)} |")
    return "\n".join(lines), figures


def against_best(
    found: Mapping[str, Catalogue], truth: Catalogue, bins: np.ndarray, ours: str, peers: Sequence[str]
) -> dict[tuple[str, int], tuple[str, float, float]]:
    """Return (parameter, bin) -> (best peer, ours / its scatter, bootstrap error of that ratio on the same galaxies)."""
    result = {}
    for name in ERRORS:
        for place in np.unique(bins):
            rows = bins == place
            error = {who: errors(found[who], truth, name)[rows] for who in (ours, *peers)}
            best = min(peers, key=lambda who: float(scatter(error[who])))
            drawn = resampled(int(rows.sum()))
            ratios = scatter(error[ours][drawn]) / np.maximum(scatter(error[best][drawn]), 1e-9)
            ratio = float(scatter(error[ours]) / max(scatter(error[best]), 1e-9))
            result[name, int(place)] = (best, ratio, float(ratios.std()))
    return result

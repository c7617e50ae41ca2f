"""The tables of the report about bias: likely label errors, dependences of the bar fraction, the selection function."""

from typing import Any

import numpy as np
import pandas as pd

from tuningfork.evaluate.audit.bias import MIN_SIGNIFICANCE
from tuningfork.report.inputs import ReportInputs

MAX_LABELS = 12
"""Likely label errors that are shown."""
MAX_FALSE_DISCOVERY_RATE = 0.05
"""False discovery rate up to which labels are shown."""
COVARIATE_NAMES = {
    "mag": "magnitude",
    "log_r_eff_over_psf": "log10 of half-light radius / PSF width",
    "axis_ratio": "axis ratio",
    "psf_fwhm": "PSF width (arcsec)",
}


def rows_of(inputs: ReportInputs) -> dict[str, Any]:
    """Return the rows of both tables about votes: `labels` and `slopes`."""
    errors, vote_bias = inputs.label_errors, inputs.vote_bias
    likely = errors[errors["false_discovery_rate"] < MAX_FALSE_DISCOVERY_RATE][:MAX_LABELS]
    slopes: dict[tuple[str, str, str], dict[str, Any]] = {}
    for origin, entry in (vote_bias.get("bars") or {}).items():
        for row in entry["slopes"]:
            sample = f"{origin}, {row['sample']}"
            key = origin, row["sample"], row["covariate"]
            labels = {
                "sample": sample,
                "covariate": COVARIATE_NAMES.get(row["covariate"], row["covariate"]),
                "n": row["n"],
            }
            slopes.setdefault(key, labels)[row["of"]] = row
    return {
        "labels": likely.to_dict("records"),
        "judged": sum(
            entry["n"] for questions in (vote_bias.get("labels") or {}).values() for entry in questions.values()
        ),
        "slopes": list(slopes.values()),
        "significant": MIN_SIGNIFICANCE,
    }


def totals(selection: pd.DataFrame) -> dict[str, Any] | None:
    """Return the figures of all injected galaxies together; None if there are none.

    Parameters
    ----------
    selection : pandas.DataFrame
        The selection function.
    """
    rows = selection[selection["quantity"] == "all"]
    if not len(rows) or not rows["n"].iloc[0]:
        return None
    values = rows.iloc[0].to_dict()
    return {
        str(name): None if isinstance(value, float) and np.isnan(value) else value for name, value in values.items()
    }

"""The tables of the report about bias: likely label errors, dependences of the bar fraction, the selection function."""

from typing import Any

import numpy as np
import pandas as pd

from tuningfork.evaluate.audit.bias import SIGNIFICANT
from tuningfork.report.inputs import ReportInputs

SHOWN = 12
LIKELY = 0.05
"""False discovery rate up to which labels are shown."""
NAMES = {
    "mag": "magnitude",
    "log_r_eff_over_psf": "log10 of half-light radius / PSF width",
    "axis_ratio": "axis ratio",
    "psf_fwhm": "PSF width (arcsec)",
}


def rows_of(inputs: ReportInputs) -> dict[str, Any]:
    """Return the rows of both tables about votes: `labels` and `slopes`."""
    errors, found = inputs.label_errors, inputs.vote_bias
    likely = errors[errors["false_discovery_rate"] < LIKELY][:SHOWN]
    slopes: dict[tuple[str, str, str], dict[str, Any]] = {}
    for origin, entry in (found.get("bars") or {}).items():
        for row in entry["slopes"]:
            sample = f"{origin}, {row['sample']}"
            key = origin, row["sample"], row["covariate"]
            own = {"sample": sample, "covariate": NAMES.get(row["covariate"], row["covariate"]), "n": row["n"]}
            slopes.setdefault(key, own)[row["of"]] = row
    return {
        "labels": likely.to_dict("records"),
        "judged": sum(entry["n"] for one in (found.get("labels") or {}).values() for entry in one.values()),
        "slopes": list(slopes.values()),
        "significant": SIGNIFICANT,
    }


def totals(selection: pd.DataFrame) -> dict[str, Any] | None:
    """Return the figures of all injected galaxies; None if there are none."""
    rows = selection[selection["quantity"] == "all"]
    if not len(rows) or not rows["n"].iloc[0]:
        return None
    values = rows.iloc[0].to_dict()
    return {
        str(name): None if isinstance(value, float) and np.isnan(value) else value for name, value in values.items()
    }

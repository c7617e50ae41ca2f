"""Numbers that stand for missing values in catalogues: -99, -9999 and the like."""

import numpy as np

MARKED = "marked_"
"""Beginning of the name of a column that tells where another one held such a number."""
SIZES = ("radius", "r_eff", "psf_fwhm", "pixel_scale")
"""Columns whose values are positive, and may well be 99."""
OTHERS = ("redshift", "mag", "zero_point", "position_angle", "sersic_n", "axis_ratio", "bulge_to_total")
NEGATIVE = (
    -99.0,
    -99.9,
    -99.99,
    -999.0,
    -999.9,
    -999.99,
    -9999.0,
    -9999.9,
    -99999.0,
    -999999.0,
    -9.999995e8,
    -1e20,
    -1e30,
)
"""SExtractor, SDSS (-9999), Pan-STARRS (-999), UKIDSS and VISTA (-9.999995e8), and others."""
POSITIVE = tuple(-value for value in NEGATIVE)
SAFE_POSITIVE = tuple(value for value in POSITIVE if value >= 9999)
"""Those that no angle in our units can be."""
INTEGERS = (float(np.iinfo(np.int32).min), float(np.iinfo(np.int64).min), float(np.finfo(np.float32).min))
MIN_MARK = 98.0
"""Smallest absolute value that is looked at."""
MIN_REDSHIFT = -1.0
"""No redshift is as small."""


def missing_values(name: str, values: np.ndarray) -> np.ndarray:
    """Return where a column of numbers holds a number that stands for a missing value, or infinity.

    Positions and votes are not looked at. Positions are checked against the range of the coordinates, and a source
    whose position is not valid is kept and flagged; 99 votes may well be votes.

    Parameters
    ----------
    name : str
        Our name of the column.
    values : ndarray
        Values in the unit of the list, shape (N,).

    Returns
    -------
    ndarray of bool
        Shape (N,).
    """
    if not name.startswith((*SIZES, *OTHERS)):
        return np.zeros(len(values), dtype=bool)
    # Most values are small, and need no comparison with each of the numbers.
    large = np.flatnonzero(~(np.abs(values) < MIN_MARK) & ~np.isnan(values))
    small = name.startswith(SIZES) or name == "position_angle"
    marks = (*NEGATIVE, *INTEGERS, *(SAFE_POSITIVE if small else POSITIVE))
    found = np.zeros(len(values), dtype=bool)
    both = np.concatenate([marks, np.array(marks, dtype=np.float32).astype(float)])
    found[large] = np.isinf(values[large]) | np.isin(values[large], both)
    if name == "radius":
        found |= values <= 0
    if name == "redshift":
        found |= values <= MIN_REDSHIFT
    return found

"""Pixels that Pan-STARRS has compressed by an inverse hyperbolic sine (Waters et al. 2020, ApJS 251, 4).

The stored values are v = (2.5 / ln 10) asinh((L - BOFFSET) / (2 BSOFTEN)), where L is linear.
"""

import numpy as np

SOFTENING, OFFSET = "BSOFTEN", "BOFFSET"
"""Keywords of the scale; without the first, pixels are linear."""
MAX_SINH_ARGUMENT = 80.0
"""Largest argument of the hyperbolic sine that float32 can represent; no real pixel is so bright."""


def linear(values: np.ndarray, softening: float, offset: float) -> np.ndarray:
    """Return linear pixels.

    Parameters
    ----------
    values : ndarray
        Stored values after BSCALE and BZERO.
    softening, offset : float
        BSOFTEN and BOFFSET.

    Returns
    -------
    ndarray
        float32; NaN where there is no value.
    """
    steep = np.clip(values.astype(np.float32) * np.float32(np.log(10) / 2.5), -MAX_SINH_ARGUMENT, MAX_SINH_ARGUMENT)
    return np.asarray(np.sinh(steep) * np.float32(2 * softening) + np.float32(offset))

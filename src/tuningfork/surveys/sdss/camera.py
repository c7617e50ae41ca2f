"""Gain and noise of the CCDs of the SDSS imaging camera.

From the table in the data model of the frame files
(https://data.sdss.org/datamodel/files/BOSS_PHOTOOBJ/frames/RERUN/RUN/CAMCOL/frame.html). The psField file of a field
has the same values for that field, and takes precedence.
"""

GAIN = {
    1: {"u": 1.62, "g": 3.32, "r": 4.71, "i": 5.165, "z": 4.745},
    2: {"u": 1.595, "g": 3.855, "r": 4.6, "i": 6.565, "z": 5.155},
    3: {"u": 1.59, "g": 3.845, "r": 4.72, "i": 4.86, "z": 4.885},
    4: {"u": 1.6, "g": 3.995, "r": 4.76, "i": 4.885, "z": 4.775},
    5: {"u": 1.47, "g": 4.05, "r": 4.725, "i": 4.64, "z": 3.48},
    6: {"u": 2.17, "g": 4.035, "r": 4.895, "i": 4.76, "z": 4.69},
}
"""Photo-electrons per count, by camera column and band."""
DARK_VARIANCE = {
    1: {"u": 9.61, "g": 15.6025, "r": 1.8225, "i": 7.84, "z": 0.81},
    2: {"u": 12.6025, "g": 1.44, "r": 1.0, "i": 5.76, "z": 1.0},
    3: {"u": 8.7025, "g": 1.3225, "r": 1.3225, "i": 4.6225, "z": 1.0},
    4: {"u": 12.6025, "g": 1.96, "r": 1.3225, "i": 6.25, "z": 9.61},
    5: {"u": 9.3025, "g": 1.1025, "r": 0.81, "i": 7.84, "z": 1.8225},
    6: {"u": 7.0225, "g": 1.8225, "r": 0.9025, "i": 5.0625, "z": 1.21},
}
"""Variance of read-out noise and dark current (counts^2), by camera column and band."""
LATER_GAIN = {(2, "u"): 1.825}
"""Gains that are valid after run 1100."""
LATER_DARK_VARIANCE = {(2, "i"): 6.25, (4, "i"): 7.5625, (4, "z"): 12.6025, (5, "z"): 2.1025}
"""Variances that are valid after run 1500."""
SATURATION_COUNTS = 20_000.0
"""Counts above which a pixel may be saturated: less than the lowest full well of the CCDs (23,650 in i of column 4)."""


def gain_and_dark_variance(run: int, camcol: int, band: str) -> tuple[float, float]:
    """Return the gain and the dark variance of a CCD.

    Parameters
    ----------
    run : int
    camcol : int
        Camera column, 1 to 6.
    band : str

    Returns
    -------
    gain : float
        Photo-electrons per count.
    dark_variance : float
        Variance of read-out noise and dark current (counts^2).
    """
    gain, dark = GAIN[camcol][band], DARK_VARIANCE[camcol][band]
    if run > 1100:
        gain = LATER_GAIN.get((camcol, band), gain)
    if run > 1500:
        dark = LATER_DARK_VARIANCE.get((camcol, band), dark)
    return gain, dark

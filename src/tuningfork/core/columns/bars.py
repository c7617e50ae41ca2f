"""Columns of the stages `bars` and `features`."""

from tuningfork.core.columns.declaration import F4, NAMES, Column, with_error

ESTIMATORS = {
    "direct": "regressed by the network",
    "mask": "from the mask that the network draws",
    "saliency": "from the saliency map of the bar answer",
    "fourier": "from the Fourier harmonics of the light, without a network",
}
"""Ways to measure a bar, and what each one uses."""
MISSING = {
    "direct": "null only where there is no stamp",
    "mask": "null where the mask shows no bar near the centre",
    "saliency": "null where the map has no region near the centre, which is rare",
    "fourier": "null where no neighbouring rings share a position angle or the harmonics are weak",
}
"""Estimator -> where its columns are null."""
MAPPED = ("mask", "saliency", "fourier")
"""Estimators that measure the length on an image, and give an angle."""

LENGTH_ERROR = "bar_length times the error of ln(bar_length), scaled so that it holds 68 % of the validation bars"
SAME_RELATIVE_ERROR = "{} times the relative error of bar_length; the errors of {} are not included"
ESTIMATOR_ERROR = (
    "bar_length_{} times the standard deviation of ln(bar_length_{}): the estimator's own error and the scatter about the "
    "validation bars, added in quadrature"
)


def _length(name: str, description: str, unit: str = "arcsec", ucd: str = "phys.angSize") -> Column:
    return Column(name, F4, unit, ucd, description, "bars")


def _angle(name: str, description: str) -> Column:
    return Column(name, F4, "deg", "pos.posAng", description, "bars")


BARS = [
    *with_error(
        _length("bar_length", "full bar length as seen on the sky, all estimators combined; null if not barred"),
        LENGTH_ERROR,
    ),
    Column("bar_length_method", NAMES, None, "meta.code.class", "estimators that have a weight in bar_length", "bars"),
    *with_error(
        _length("bar_length_deprojected", "bar_length in the plane of the disc, by its axis ratio and position angle"),
        SAME_RELATIVE_ERROR.format("bar_length_deprojected", "the disc's axis ratio and position angle"),
    ),
    *with_error(
        _length("bar_length_kpc", "bar_length at the distance of the source list's redshift", "kpc", "phys.size"),
        SAME_RELATIVE_ERROR.format("bar_length_kpc", "redshift and cosmology"),
    ),
    *with_error(
        _angle("bar_position_angle", "position angle of the bar, north through east, all estimators combined"),
        "standard deviation: the robust scatter on validation bars, or the spread within the estimators if that is larger",
    ),
    Column(
        "bar_strength",
        F4,
        None,
        "stat.param",
        "largest amplitude of the light's second Fourier harmonic in the bar, relative to the mean light",
        "bars",
    ),
    *with_error(
        Column("bar_ellipticity", F4, None, "src.ellipticity", "1 - width / length of the bar, from its mask", "bars"),
        "width / length times the standard deviation of its logarithm",
    ),
    *(
        entry
        for name, text in ESTIMATORS.items()
        for entry in with_error(
            _length(f"bar_length_{name}", f"full bar length {text}, calibrated on simulations; {MISSING[name]}"),
            ESTIMATOR_ERROR.format(name, name),
        )
    ),
    *(_length(f"bar_length_{name}_raw", f"full bar length {ESTIMATORS[name]}, before calibration") for name in MAPPED),
    *(_angle(f"bar_position_angle_{name}", f"position angle of the bar {ESTIMATORS[name]}") for name in MAPPED),
]

FRACTION_ERROR = "error that holds 68 % of the validation galaxies with a similar fraction"
FEATURES = [
    *with_error(
        Column(
            "bulge_fraction",
            F4,
            None,
            "phot.flux;arith.ratio",
            "share of the light that belongs to the bulge, by the bulge answer and its saliency map, calibrated on "
            "simulations",
            "features",
        ),
        FRACTION_ERROR,
    ),
    Column(
        "bulge_fraction_raw",
        F4,
        None,
        "phot.flux;arith.ratio",
        "share of the galaxy's light in the central region of the bulge answer's saliency map",
        "features",
    ),
    *with_error(
        Column(
            "spiral_arm_fraction",
            F4,
            None,
            "phot.flux;arith.ratio",
            "share of the light that belongs to spiral arms and rings, by the arms answer and the mask of the arms, "
            "calibrated on simulations",
            "features",
        ),
        FRACTION_ERROR,
    ),
    Column(
        "spiral_arm_fraction_raw",
        F4,
        None,
        "phot.flux;arith.ratio",
        "share of the galaxy's light within the mask of the spiral arms",
        "features",
    ),
]

"""Columns of the stage `structure`: the light profile."""

from tuningfork.core.columns.declaration import F4, NAMES, Column, with_error

HALF_WIDTH = "half the width of the interval that holds the true {} of 68 % of simulated galaxies like this one"

PROFILE = [
    Column("mag", F4, "mag", "phot.mag", "total magnitude in the reference band (AB)", "structure"),
    Column("r_eff", F4, "arcsec", "phys.angSize", "half-light radius along the major axis", "structure"),
    Column("sersic_n", F4, None, "stat.param", "Sersic index", "structure"),
    Column("axis_ratio", F4, None, "phys.size.axisRatio", "ratio of minor to major axis", "structure"),
    Column(
        "position_angle", F4, "deg", "pos.posAng", "position angle of the major axis, north through east", "structure"
    ),
]
"""What describes one Sersic profile."""
BULGE_TO_TOTAL = Column(
    "bulge_to_total",
    F4,
    None,
    "phot.flux;arith.ratio",
    "share of the light that belongs to the bulge, by the network",
    "structure",
)
STRUCTURE = [
    *(entry for column in (*PROFILE, BULGE_TO_TOTAL) for entry in with_error(column, HALF_WIDTH.format(column.name))),
    *(
        Column(
            f"{first}_{second}_correlation",
            F4,
            None,
            "stat.correlation",
            f"correlation of the errors of {text}",
            "structure",
        )
        for first, second, text in (
            ("mag", "r_eff", "mag and ln r_eff"),
            ("mag", "sersic_n", "mag and ln sersic_n"),
            ("r_eff", "sersic_n", "ln r_eff and ln sersic_n"),
        )
    ),
    *(
        Column(
            f"{column.name}_network",
            column.dtype,
            column.unit,
            column.ucd,
            f"{column.name} by the network alone",
            "structure",
        )
        for column in PROFILE
    ),
    Column(
        "profile_class",
        NAMES,
        None,
        "src.morph.type",
        "'spheroid' if sersic_n is above 2.5, else 'disc': the shape of the light, whatever volunteers see in it",
        "structure",
    ),
    Column(
        "structure_method",
        NAMES,
        None,
        "meta.code.class",
        "source of the light profile: 'network', or 'refined' if a least-squares fit was combined with the network",
        "structure",
    ),
    Column(
        "reduced_chi2",
        F4,
        None,
        "stat.fit.chi2",
        "chi^2 per degree of freedom of the least-squares fit; null where none was made",
        "structure",
    ),
]

"""Hypothesis strategies for the celestial coordinates of FITS headers: right ones in many spellings, and wrong ones."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from astropy.coordinates import FK4, FK5, BarycentricMeanEcliptic, FK4NoETerms
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from hypothesis import strategies as st

SPELLINGS = {
    1.0: ("deg", "DEG", "degree", "Degrees", "", None),
    60.0: ("arcmin", "ARCMIN"),
    3600.0: ("arcsec", "Arcseconds"),
    3.6e6: ("mas",),
    np.pi / 180: ("rad", "RADIANS"),
}
"""Units per degree, and how their names are written."""
ZENITHAL, OF_THE_EQUATOR, CONIC = (
    ("TAN", "SIN", "ARC", "ZEA", "STG", "ZPN", "TPV", "SIP"),
    ("CAR", "SFL", "AIT", "CEA", "MER", "HPX"),
    ("COE", "COP"),
)


@dataclass(frozen=True)
class Sky:
    """What a header says: frame, projection and linear part, with the longitude first."""

    frame: Any
    names: tuple[str, str]
    system: dict[str, Any]
    code: str
    crval: tuple[float, float]
    crpix: tuple[float, float]
    cd: np.ndarray
    shape: tuple[int, int]
    pv: tuple[dict[int, float], dict[int, float]] = ({}, {})
    more: dict[str, Any] = field(default_factory=dict)

    def types(self) -> tuple[str, str]:
        code = "TAN-SIP" if self.code == "SIP" else self.code
        lon, lat = (f"{name:-<4}-" for name in self.names)
        return lon + code, lat + code

    def plain(self) -> WCS:
        """Return the WCS, written in the plainest way."""
        return WCS(written(self, Writing()))


@dataclass(frozen=True)
class Writing:
    """How a header is written."""

    swapped: bool = False
    form: str = "CD"
    per_degree: tuple[float, float] = (1.0, 1.0)
    units: tuple[str | None, str | None] = ("deg", "deg")
    key: str = ""
    lower: bool = False
    other_axes: tuple[tuple[str, str], ...] = ()


def written(sky: Sky, how: Writing) -> fits.Header:
    """Return the header of a sky."""
    order, key = (1, 0) if how.swapped else (0, 1), how.key
    header = fits.Header()
    height, width = sky.shape
    header["NAXIS"], header["NAXIS1"], header["NAXIS2"] = 2, width, height
    for axis, world in enumerate(order, 1):
        scale = how.per_degree[world]
        kind = sky.types()[world]
        header[f"CTYPE{axis}{key}"] = kind.lower() if how.lower else kind
        if how.units[world] is not None:
            header[f"CUNIT{axis}{key}"] = how.units[world]
        header[f"CRVAL{axis}{key}"], header[f"CRPIX{axis}{key}"] = sky.crval[world] * scale, sky.crpix[axis - 1]
        row = sky.cd[world] * scale
        step = float(np.hypot(*row))
        for pixel in (1, 2):
            if how.form == "CD":
                header[f"CD{axis}_{pixel}{key}"] = row[pixel - 1]
            else:
                header[f"PC{axis}_{pixel}{key}"] = row[pixel - 1] / step
        if how.form == "PC":
            header[f"CDELT{axis}{key}"] = step
        for m, value in sky.pv[world].items():
            header[f"PV{axis}_{m}{key}"] = value
    for axis, (kind, unit) in enumerate(how.other_axes, 3):
        header[f"CTYPE{axis}{key}"], header[f"CUNIT{axis}{key}"], header[f"CRPIX{axis}{key}"] = kind, unit, 1.0
    for name, value in {**sky.system, **sky.more}.items():
        header[name + key if name in {"RADESYS", "EQUINOX", "LONPOLE", "LATPOLE"} else name] = value
    return header


def years(value: float) -> Time:
    return Time(value, format="jyear", scale="tt")


def besselian(value: float) -> Time:
    return Time(value, format="byear", scale="tt")


@st.composite
def frames(draw: st.DrawFn) -> tuple[Any, tuple[str, str], dict[str, Any]]:
    """Frame of astropy, axes, and the keywords that say which it is."""
    kind = draw(st.sampled_from(["icrs", "fk5", "fk4", "fk4-no-e", "ecliptic", "galactic", "supergalactic"]))
    if kind in {"galactic", "supergalactic"}:
        first = kind[0].upper()
        return kind, (f"{first}LON", f"{first}LAT"), draw(st.sampled_from([{}, {"RADESYS": "FK5", "EQUINOX": 2000.0}]))
    year = draw(st.sampled_from([1875.0, 1950.0, 1975.0, 1991.25, 2000.0, 2015.5]) | st.floats(1850, 2050))
    if kind == "ecliptic":
        said = draw(st.sampled_from([{"EQUINOX": year, "RADESYS": "FK5"}, {}]))
        return BarycentricMeanEcliptic(equinox=years(said.get("EQUINOX", 2000.0))), ("ELON", "ELAT"), said
    equatorial = ("RA", "DEC")
    if kind == "icrs":
        return (
            "icrs",
            equatorial,
            draw(st.sampled_from([{}, {"RADESYS": "icrs"}, {"RADECSYS": "ICRS", "EQUINOX": year}])),
        )
    where = draw(st.sampled_from(["EQUINOX", "EPOCH"]))
    if kind == "fk5":
        said = [{"RADESYS": "FK5", where: year}, {where: f"J{year:.3f}"}, {"RADECSYS": "fk5", where: f" {year:.3f} "}]
        chosen = draw(st.sampled_from(said))
        exact = chosen[where] == year
        return FK5(equinox=years(year if exact else float(f"{year:.3f}"))), equatorial, chosen
    system = "FK4" if kind == "fk4" else "FK4-NO-E"
    frame = FK4 if kind == "fk4" else FK4NoETerms
    if draw(st.booleans()):
        return frame(equinox=besselian(1950.0)), equatorial, {"RADESYS": system}
    return frame(equinox=besselian(year)), equatorial, {"RADESYS": system, where: year}


@st.composite
def skies(draw: st.DrawFn) -> Sky:
    """A frame, a projection and an image somewhere on it."""
    frame, names, system = draw(frames())
    code = draw(st.sampled_from([*ZENITHAL, *ZENITHAL, *OF_THE_EQUATOR, *CONIC]))
    shape = draw(st.integers(40, 64)), draw(st.integers(40, 64))
    scale = draw(st.sampled_from([0.03, 0.262, 0.4, 1.0, 7.0])) / 3600
    turn = np.deg2rad(draw(st.sampled_from([0.0, 90.0, 180.0]) | st.floats(-180, 180)))
    stretch, mirror = draw(st.floats(0.85, 1.15)), draw(st.sampled_from([-1, -1, 1]))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    cd = scale * np.diag([mirror, 1.0]) @ rotation @ np.diag([stretch, 1.0])
    offset = np.array([draw(st.floats(-40, 40)), draw(st.floats(-40, 40))])
    lon = draw(st.sampled_from([0.0, 359.9999, 180.0, -0.001]) | st.floats(0, 360))
    lat = draw(st.sampled_from([0.0, 90.0, -90.0, 89.9999]) | st.floats(-89, 89))
    more: dict[str, Any] = {}
    pv: tuple[dict[int, float], dict[int, float]] = ({}, {})
    if code in OF_THE_EQUATOR:
        # The reference point is on the equator, and the image up to 30 deg from it.
        away = np.deg2rad(draw(st.floats(0, 360)))
        offset = np.linalg.solve(cd, draw(st.floats(0, 30)) * np.array([np.cos(away), np.sin(away)]))
        lat = 0.0
    elif code in CONIC:
        lat = draw(st.floats(25, 65)) * draw(st.sampled_from([-1, 1]))
        pv = ({}, {1: lat, 2: draw(st.floats(0, 10))})
    elif code == "ZPN":
        pv = ({}, {0: 0.0, 1: 1.0, 3: draw(st.floats(-10, 10))})
    elif code == "TPV":
        pv = tuple({1: 1.0, 2: draw(st.floats(-1e-3, 1e-3)), 4: draw(st.floats(-1e-2, 1e-2))} for _ in range(2))  # type: ignore[assignment]
    elif code == "SIP":
        more = {"A_ORDER": 2, "B_ORDER": 3}
        more |= {name: draw(st.floats(-1e-5, 1e-5)) for name in ("A_2_0", "A_1_1", "A_0_2", "B_2_0", "B_0_2", "B_0_3")}
    if code in ZENITHAL and draw(st.booleans()):
        more["LONPOLE"] = draw(st.floats(0, 360))
    crpix = ((shape[1] + 1) / 2 + offset[0], (shape[0] + 1) / 2 + offset[1])
    return Sky(frame, names, system, code, (lon, lat), crpix, cd, shape, pv, more)


@st.composite
def writings(draw: st.DrawFn) -> Writing:
    """A way to write a header that does not change what it means."""
    per_degree = draw(st.sampled_from(sorted(SPELLINGS))), draw(st.sampled_from(sorted(SPELLINGS)))
    return Writing(
        draw(st.booleans()),
        draw(st.sampled_from(["CD", "PC"])),
        per_degree,
        tuple(draw(st.sampled_from(SPELLINGS[scale])) for scale in per_degree),  # type: ignore[arg-type]
        draw(st.sampled_from(["", "", "B"])),
        draw(st.booleans()),
        draw(st.sampled_from([(), (("FREQ", "GHZ"), ("STOKES", "")), (("VELO-ABC", "parsnips"),)])),
    )


@st.composite
def right_headers(draw: st.DrawFn) -> tuple[Sky, fits.Header]:
    """A sky, and a header that says the same in another way."""
    sky, how = draw(skies()), draw(writings())
    if sky.code == "SIP" or any(name in sky.system for name in ("EPOCH", "RADECSYS")):
        # They have no alternate versions.
        how = replace(how, key="")
    if sky.code == "TPV":
        # Its polynomial has one meaning only with a CD matrix, and the longitude first.
        how = replace(how, swapped=False, form="CD")
    return sky, written(sky, how)


VALUES = st.one_of(
    st.sampled_from(
        ["", "NaN", "10.0", "deg", "FK6", "RA---TAN", "DEC--TAN", "HPLN-TAN", "GLAT-CAR", "LINEAR", "RA---TNX"]
    ),
    st.sampled_from([0, 1, -1, 0.0, 1e-300, 1e300, -1e5, 90.0, 2**31, True, fits.card.UNDEFINED]),
    st.text("ABCDEFGLNORTZ-. 0123456789", max_size=12),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
)
EXTRA = (
    "CRVAL1", "CD1_1", "CD2_2", "CDELT1", "CROTA2", "PC1_2", "PV2_1", "PV1_4", "LONPOLE", "LATPOLE", "RADESYS", "EQUINOX", "EPOCH",
    "CUNIT1", "CTYPE2", "CTYPE3", "CTYPE1A", "A_ORDER", "B_ORDER", "A_2_0", "AP_ORDER", "WCSAXES", "CPDIS1", "CQDIS2", "D2IMDIS1", "WAT1_001", "PS1_0",
    "RESTFRQ", "VELREF", "CRVAL4", "DATE-OBS",
)  # fmt: skip


@st.composite
def spoiled_headers(draw: st.DrawFn) -> tuple[Sky, fits.Header]:
    """A sky, and a plain header of it in which some cards are missing, or have any value, or are added."""
    # astropy passes over an equinox that is text.
    sky = draw(
        skies().filter(lambda sky: not any(isinstance(sky.system.get(name), str) for name in ("EQUINOX", "EPOCH")))
    )
    header = written(sky, Writing(form="CD" if sky.code == "TPV" else draw(st.sampled_from(["CD", "PC"]))))
    names = [name for name in header if not name.startswith("NAXIS")]
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from([*names, *EXTRA]))
        if draw(st.integers(0, 3)) == 0:
            header.remove(name, ignore_missing=True)
        else:
            header[name] = draw(VALUES)
    return sky, header

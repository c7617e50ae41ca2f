"""What the names of the extensions of a FITS file say: that they are images of the sky, weights, masks, or not used."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from astropy.io import fits

WEIGHT, VARIANCE, ERROR, MASK, OTHER = "weight", "variance", "error", "mask", "other"
ROLES = {
    WEIGHT: {"invvar", "ivar", "wgt", "weight", "weights", "wht"},
    VARIANCE: {"stat", "var", "variance"},
    ERROR: {"err", "error", "errors", "noise", "rms", "sigma", "std", "stddev", "unc", "uncert", "uncertainty"},
    MASK: {"badpix", "bitmask", "bpm", "dq", "flag", "flags", "flg", "mask", "msk", "qual", "quality"},
    OTHER: {
        "area", "back", "background", "bkg", "chi", "con", "context", "cov", "coverage", "ctx", "det", "detection",
        "exp", "exposure", "exptime", "model", "nexp", "nimage", "resid", "residual", "seg", "segm", "segmap",
        "segmentation", "sky", "wt",
    },
}  # fmt: skip
"""What an image of this EXTNAME holds. Of the last, nothing is used; wt is a variance in Pan-STARRS and a weight elsewhere."""
ROLE_OF = {name: role for role, names in ROLES.items() for name in names}
BESIDE = sorted(
    {
        *ROLES[WEIGHT],
        *ROLES[VARIANCE],
        *ROLES[ERROR],
        *ROLES[MASK],
        *ROLES[OTHER] & {"ctx", "seg", "segm", "segmap", "wt"},
    }
)
"""Names by which a file beside an image is known as something that belongs to it."""
SKY = {"data", "flux", "image", "img", "map", "sci", "science"}
"""Words in the name of an extension that do not say anything else than that it is an image of the sky."""


class Name(NamedTuple):
    """What the name of an extension says: `role` is None for an image of the sky, `band` is empty if it names none."""

    role: str | None
    band: str


def name_of(header: fits.Header, bands: Sequence[str]) -> Name:
    """Return what the header of an image says that it holds.

    EXTNAME is split into words at '-', '_', '.' and blanks: SCI_R, r.image and R are images of the sky in the band r,
    VAR_R is its variance. A variance, error, mask or weight with another word, such as VAR_POISSON, is only a part of it and not used.

    Parameters
    ----------
    header : astropy.io.fits.Header
    bands : sequence of str

    Returns
    -------
    Name
    """
    name = str(header.get("EXTNAME", "")).strip()
    if name.lower() in {band.lower() for band in bands}:
        return Name(None, name)
    role, rest = _split(name)
    kind = str(header.get("IMAGETYP", "")).strip().lower()
    if role is None and ROLE_OF.get(kind, OTHER) != OTHER:
        role = ROLE_OF[kind]
    if not rest or rest.lower() in {band.lower() for band in bands}:
        return Name(role, rest)
    return Name(None if role is None else OTHER, "")


def _split(name: str) -> tuple[str | None, str]:
    """Return the role that the first or last word of a name states, and the other words without those in `SKY`."""
    words = [word for word in re.split(r"[-_. ]+", name) if word and not word.isdigit()]
    roles = [ROLE_OF.get(word.lower().rstrip("0123456789")) for word in words]
    place = next((place for place in (0, len(words) - 1) if words and roles[place]), None)
    rest = [word for number, word in enumerate(words) if number != place and word.lower() not in SKY]
    return (None if place is None else roles[place]), " ".join(rest)


def says_sky(name: str) -> bool:
    """Return whether the name of an extension consists of words for an image of the sky, such as SCI or 1-1.SCI."""
    words = [word for word in re.split(r"[-_. ]+", name) if word and not word.isdigit()]
    return bool(words) and all(word.lower().rstrip("0123456789") in SKY for word in words)

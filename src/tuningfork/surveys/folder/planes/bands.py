"""Which image of a FITS file is a band: by its keywords BAND and FILTER, by its EXTNAME, or by the order of the images."""

import re
from collections.abc import Sequence
from typing import Any

from astropy.io import fits

from tuningfork.surveys.folder.planes.roles import name_of, says_sky

MARKS = ("BAND", "FILTER")
"""Keywords by which an image names its band, besides EXTNAME."""
SEPARATORS = r"[\s,;/|'\"\[\]()]+"
"""What stands between the bands of planes in one keyword."""
PLANE_KEY = "BAND"
"""Beginning of the keywords with the band of each plane, which count from 0 or from 1."""


def band_named(text: str, bands: Sequence[str]) -> str | None:
    """Return the configured band that a text names, or None.

    The whole text goes before its first word (`r DECam SDSS c0002 ...`), and letters of the same case before those of the
    other. A text that fits several bands, such as `g r`, names none.

    Parameters
    ----------
    text : str
    bands : sequence of str

    Returns
    -------
    str or None
    """
    words = [word for word in re.split(r"[\s.;()]+", text) if word]
    found = [_alike(word, bands) for word in [text.strip(), *words]]
    return found[0] or next((band for band in found[1:2] if set(found[1:]) <= {band, None}), None)


def _alike(word: str, bands: Sequence[str]) -> str | None:
    """Return the band of this name or, if there is only one, the one that differs in the case of letters."""
    alike = [band for band in bands if band.lower() == word.lower()]
    return word if word in bands else alike[0] if len(alike) == 1 else None


def marks_of(header: fits.Header, bands: Sequence[str]) -> dict[str, str]:
    """Return what an image says about its band: keyword -> text. EXTNAME counts if it names a configured band.

    Parameters
    ----------
    header : astropy.io.fits.Header
    bands : sequence of str

    Returns
    -------
    dict
    """
    texts = {key: value.strip() for key in MARKS if isinstance(value := header.get(key), str)}
    return {key: text for key, text in (texts | {"EXTNAME": name_of(header, bands).band}).items() if text}


def bands_of(header: fits.Header, bands: Sequence[str]) -> list[str]:
    """Return the configured bands that an image names; more than one contradict each other."""
    found = (band_named(text, bands) for text in marks_of(header, bands).values())
    return list(dict.fromkeys(band for band in found if band is not None))


def stated_planes(header: fits.Header, number: int, bands: Sequence[str]) -> list[str] | None:
    """Return the bands of the planes of a cube as its header states them, or None.

    The statement is BANDS (`irg`, `i,r,g` or `i r g`), else BAND0, BAND1, ... or BAND1, BAND2, ..., else FILTER if it lists
    as many bands as there are planes. A band of another case than the configured one is that one.

    Parameters
    ----------
    header : astropy.io.fits.Header
    number : int
        Planes.
    bands : sequence of str
        The configured bands.

    Returns
    -------
    list of str or None

    Raises
    ------
    ValueError
        If BANDS lists another number of bands.
    """
    text = header.get("BANDS")
    if isinstance(text, str) and text.strip():
        listed = _listed(text, number)
        if listed is None:
            raise ValueError(
                f"its keyword BANDS is {text.strip()!r}; expected the band of each of its {number} planes, such as 'g,r,i'"
            )
        return [band_named(word, bands) or word for word in listed]
    for first in (0, 1):
        values = [header.get(f"{PLANE_KEY}{plane}") for plane in range(first, first + number)]
        if all(isinstance(value, str) and value.strip() for value in values):
            return [band_named(str(value), bands) or str(value).strip() for value in values]
    text = header.get("FILTER")
    listed = _listed(text, number) if isinstance(text, str) else None
    named = [band_named(word, bands) or word for word in listed or ()]
    return named if len(set(named)) == number and set(named) & set(bands) else None


def _listed(text: str, number: int) -> list[str] | None:
    """Return the words of a list, or its letters if there is one for each of `number` planes."""
    words = [word for word in re.split(SEPARATORS, text) if word]
    if len(words) == 1 and len(words[0]) == number:
        words = list(words[0])
    return words if len(words) == number else None


def planes_of(header: fits.Header, number: int, bands: list[str]) -> list[str]:
    """Return the bands of the planes of a cube: those that its header states, else all bands.

    Parameters
    ----------
    header : astropy.io.fits.Header
    number : int
        Planes.
    bands : list of str
        All bands, in the order of planes without a statement.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If BANDS lists another number of bands.
    """
    return stated_planes(header, number, bands) or bands


def plane_number(header: fits.Header, number: int, band: str, bands: list[str]) -> int:
    """Return the number of the plane of a cube that holds a band.

    Parameters
    ----------
    header : astropy.io.fits.Header
    number : int
        Number of planes.
    band : str
    bands : list of str
        All bands, in the order of planes without a statement.

    Returns
    -------
    int
        From 0.

    Raises
    ------
    ValueError
        If there is not exactly one.
    """
    planes = planes_of(header, number, bands)
    if len(planes) != number or planes.count(band) != 1:
        named = " ".join(stated_planes(header, number, bands) or ())
        raise ValueError(f"{number} planes {named}, no band {band}; survey.folder.bands is {bands}")
    return planes.index(band)


def candidates(science: Sequence[Any], band: str, bands: list[str], combined: bool) -> list[Any]:
    """Return the images that may be a band, by what they say; those of the best name alone.

    Parameters
    ----------
    science : sequence of HDU
        The images of the sky in a file.
    band : str
    bands : list of str
        All bands.
    combined : bool
        Whether the file holds all bands. If not, images without a word about the band are candidates, too.

    Returns
    -------
    list of HDU
    """
    marked = [hdu for hdu in science if band in bands_of(hdu.header, bands)]
    chosen = marked or ([] if combined else list(science))
    ranks = [_rank(hdu, bands) for hdu in chosen]
    best = [hdu for hdu, rank in zip(chosen, ranks, strict=True) if rank == min(ranks)]
    largest = max((_pixels(hdu) for hdu in chosen), default=0)
    # A small image before one of an unknown name may be its thumbnail.
    return best if not ranks or min(ranks) == 0 or max(map(_pixels, best)) == largest else chosen


def _rank(hdu: Any, bands: Sequence[str]) -> int:
    """Return how much the name of an image says that it is one: 0 by a known word or band, 1 without a name, 2 else."""
    name = str(hdu.header.get("EXTNAME", "")).strip()
    known = name_of(hdu.header, bands).band or says_sky(name)
    return 0 if known else 1 if name in {"", "PRIMARY"} else 2


def _pixels(hdu: Any) -> int:
    return int(hdu.shape[-1]) * int(hdu.shape[-2])


def find_image(science: Sequence[Any], band: str, bands: list[str], combined: bool) -> Any:
    """Return the image of a band.

    Parameters
    ----------
    science : sequence of HDU
        The images of the sky in a file, none of them a cube.
    band : str
    bands : list of str
        All bands, in the order of images that say nothing.
    combined : bool
        Whether the file holds all bands.

    Returns
    -------
    HDU

    Raises
    ------
    ValueError
        If no image, or more than one, can be the band, or an image is of a band that is not configured.
    """
    if combined:
        _require_marks(science, bands)
    found = candidates(science, band, bands, combined)
    if len(found) > 1:
        raise ValueError(
            f"it holds {len(found)} images that may be the band {band} ({', '.join(label(hdu, science) for hdu in found)}); "
            "expected one: split the file, so that each image, such as a chip of a camera, has a file of its own, or give "
            "the right one alone the EXTNAME SCI"
        )
    return found[0] if found else _by_order(science, band, bands)


def label(hdu: Any, science: Sequence[Any]) -> str:
    """Return the name of an extension, with EXTVER if it is not the first of its name, for messages."""
    if hdu.name:
        return f"{hdu.name},{hdu.ver}" if hdu.ver > 1 else str(hdu.name)
    return f"image {next(number for number, other in enumerate(science, 1) if other is hdu)} without a name"


def _require_marks(science: Sequence[Any], bands: list[str]) -> None:
    """Check that no image names two bands and, unless all bands are named, none a band that is not configured."""
    found = [bands_of(hdu.header, bands) for hdu in science]
    for hdu, named in zip(science, found, strict=True):
        if len(named) > 1:
            said = ", ".join(f"{key} {text!r}" for key, text in marks_of(hdu.header, bands).items())
            raise ValueError(f"extension {label(hdu, science)} names several bands ({said}); correct its keywords")
    lacking = [band for band in bands if band not in {name for named in found for name in named}]
    strange = next((hdu for hdu, named in zip(science, found, strict=True) if not named and _marked(hdu, bands)), None)
    if strange is not None and lacking:
        key, text = next(iter(marks_of(strange.header, bands).items()))
        raise ValueError(
            f"extension {label(strange, science)} has {key} = {text!r}, which is none of survey.folder.bands {bands}, and no "
            f"image is marked as band {lacking[0]}; correct {key}, or put the names of the file into survey.folder.bands"
        )


def _marked(hdu: Any, bands: Sequence[str]) -> bool:
    return bool(marks_of(hdu.header, bands))


def _by_order(science: Sequence[Any], band: str, bands: list[str]) -> Any:
    """Return the image of a band in a file whose images say nothing about their bands."""
    names = {re.sub(r"\d", "", "" if hdu.name == "PRIMARY" else hdu.name) for hdu in science}
    if len(science) != len(bands) or len(names) > 1 or any(_marked(hdu, bands) for hdu in science):
        raise ValueError(
            f"it holds {len(science)} images ({', '.join(hdu.name or 'without a name' for hdu in science)}), none of them "
            f"marked as band {band}; survey.folder.bands is {bands}"
        )
    return science[bands.index(band)]

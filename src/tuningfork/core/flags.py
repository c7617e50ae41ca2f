"""Bit flags of the catalogue: why a measurement is missing or should be doubted.

Each stage sets its own bits and hands on those of its input; `catalogue/merge.py` combines the tables with OR:

* sources: NO_POSITION and DUPLICATE_ID (`surveys/lists/sources/rows.py`), BLENDED (`surveys/detection/detection.py`,
  `surveys/des/survey.py`);
* stamps: OUTSIDE_TILES to BAD_WCS, and SATURATED to TOO_FEW_PIXELS (`stamps/shard.py`);
* classify: STAR_OR_ARTIFACT, by the votes (`measure/votes/recipe.py`);
* structure: STAR_OR_ARTIFACT, by the profile (`measure/structure/stars.py`), and STRUCTURE_...
  (`measure/structure/recipe.py`);
* bars: NOT_BARRED and BAR_... (`measure/bars/recipe.py`; those of the saliency map in `measure/bars/maps.py`);
* catalogue: NOT_BARRED for every source with STAR_OR_ARTIFACT (`catalogue/artifacts.py`).

For loose pictures, `pictures/table.py` takes the place of sources and stamps, and sets PSF_TOO_WIDE.
"""

from enum import IntFlag

import numpy as np


class Flag(IntFlag):
    """One bit per reason; `MEANINGS` has a text for each."""

    NO_POSITION = 1 << 0
    DUPLICATE_ID = 1 << 1
    OUTSIDE_TILES = 1 << 2
    BAD_TILE = 1 << 3
    MISSING_BAND = 1 << 4
    PADDED = 1 << 5
    MASKED = 1 << 6
    STITCHED = 1 << 7
    NO_SIGNAL = 1 << 8
    LARGER_THAN_STAMP = 1 << 9
    BAD_WCS = 1 << 10
    BLENDED = 1 << 11
    STAR_OR_ARTIFACT = 1 << 12
    SATURATED = 1 << 13
    NO_VALID_PIXELS = 1 << 14
    TOO_FEW_PIXELS = 1 << 15
    STRUCTURE_OUTSIDE_TRAINING = 1 << 16
    STRUCTURE_TRUNCATED = 1 << 17
    STRUCTURE_BLENDED = 1 << 18
    STRUCTURE_NOT_REFINED = 1 << 19
    NOT_BARRED = 1 << 20
    BAR_SHORTER_THAN_PSF = 1 << 21
    BAR_REACHES_EDGE = 1 << 22
    BAR_OFF_CENTRE = 1 << 23
    BAR_NOT_MEASURED = 1 << 24
    BAR_IN_PIECES = 1 << 25
    BAR_ESTIMATOR_MISSING = 1 << 26
    BAR_OUTSIDE_TRAINING = 1 << 27
    PSF_TOO_WIDE = 1 << 28


MEANINGS: dict[Flag, str] = {
    Flag.NO_POSITION: "right ascension or declination is missing or impossible; measured only in an image of its own",
    Flag.DUPLICATE_ID: "another source of the input has the same source_id",
    Flag.OUTSIDE_TILES: "no tile of the survey covers the source; nothing was measured",
    Flag.BAD_TILE: "every tile that covers the source failed to arrive or to open; nothing was measured",
    Flag.MISSING_BAND: "at least one band has no pixels here; measured without it",
    Flag.PADDED: "part of the stamp lies outside the imaging and was padded",
    Flag.MASKED: "pixels within 3 arcsec of the centre are masked in the reference band",
    Flag.STITCHED: "the stamp was assembled from more than one tile",
    Flag.NO_SIGNAL: "the centre of the stamp is not above the noise in the reference band",
    Flag.LARGER_THAN_STAMP: "by the survey's radius, the galaxy is larger than the stamp",
    Flag.BAD_WCS: "the tile's coordinates contradict the source list; nothing was measured on it",
    Flag.BLENDED: "the source list says that the source was separated from a neighbour that touches it",
    Flag.STAR_OR_ARTIFACT: "a star, a trail, a ghost, a piece of a larger galaxy or noise, by the votes or as concentrated as the PSF; no "
    "galaxy, so it has neither profile nor bar",
    Flag.SATURATED: "by the survey's own mask, pixels within a PSF width of the centre are saturated in the reference band",
    Flag.NO_VALID_PIXELS: "the tile shows the place of the source, but all pixels of its stamp there are NaN, blank, masked or of zero "
    "weight; nothing was measured",
    Flag.TOO_FEW_PIXELS: "the tile shows the place of the source, but fewer than a fortieth of the stamp's pixels are valid: the image is "
    "too small, or masked; nothing was measured",
    Flag.STRUCTURE_OUTSIDE_TRAINING: "a profile parameter lies at the edge of the range that the network was trained on",
    Flag.STRUCTURE_TRUNCATED: "more than a tenth of the profile's light lies beyond the edge of the stamp",
    Flag.STRUCTURE_BLENDED: "neighbours, stars in front or a merging galaxy add more than a tenth of the galaxy's light within two half-light radii",
    Flag.STRUCTURE_NOT_REFINED: "the least-squares fit failed or disagrees with the network; the profile is that of the network alone",
    Flag.NOT_BARRED: "edge-on, an artifact, or a bar_probability below the threshold; bar_length is null, its estimators are kept",
    Flag.BAR_SHORTER_THAN_PSF: "the bar is shorter than the PSF's full width at half maximum",
    Flag.BAR_REACHES_EDGE: "the bar reaches the edge of the stamp in the saliency map; its length is a lower limit",
    Flag.BAR_OFF_CENTRE: "the bar in the saliency map is not centred on the galaxy",
    Flag.BAR_NOT_MEASURED: "no estimator found a bar: the source has no stamp that could be measured",
    Flag.BAR_IN_PIECES: "the saliency map has several separate regions; the one at the centre was measured",
    Flag.BAR_ESTIMATOR_MISSING: "the source counts as barred, but at least one estimator found no bar; the length rests on the others",
    Flag.BAR_OUTSIDE_TRAINING: "bar_length is outside the range of the bars in the training set; its error is enlarged, and may still be too small",
    Flag.PSF_TOO_WIDE: "pictures only: the PSF is so wide for the galaxy that bar lengths below two PSF widths mean nothing",
}


def decode(flags: int) -> list[str]:
    """Return the names of the bits set in `flags`, lowest first.

    >>> decode(33)
    ['NO_POSITION', 'PADDED']
    """
    return [flag.name or "" for flag in Flag if int(flags) & flag]


def count(flags: np.ndarray) -> dict[str, int]:
    """Return how many rows have each flag.

    Parameters
    ----------
    flags : ndarray of int
        (N,) bit flags.

    Returns
    -------
    dict
        Name of the flag -> number of rows.
    """
    flags = np.asarray(flags, dtype=np.int64)
    return {flag.name or "": int(np.count_nonzero(flags & flag.value)) for flag in Flag}

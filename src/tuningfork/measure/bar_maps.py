"""Length, width and angle of a bar on a saliency map or a mask: arrays in, numbers out.

A map is a (S, S) array, row = y, column = x, the galaxy at index S // 2 in both. Lengths are in pixels and full
(end to end); angles are in degrees from the +y axis, counter-clockwise (towards -x), in [0, 180).
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from tuningfork.core.flags import Flag
from tuningfork.networks.morphology import MASK_SHRINK as CELL

SMOOTHING = 1.0
"""Gaussian width (px) of the smoothing before `moments`: it removes the grid that strided convolutions leave."""
THRESHOLD = 0.5
"""Height of the contour that `moments` measures inside, between the background (0) and the central peak (1)."""
PAPER_START, PAPER_STEP, PAPER_CORRELATION, PAPER_PIXELS = 0.5, 1e-4, 0.85, 40
"""First threshold, step, correlation and number of pixels of Bhambra+ 2022, from their code."""
MASK_LEVEL = 0.3
"""Height of the contour on a mask, in units of its largest value near the centre."""
MASK_FAINTEST = 0.02
"""A mask below this everywhere near the centre shows no bar."""
NOTHING = 5
"""A region with fewer pixels has no shape."""
_EIGHT = np.ones((3, 3), dtype=int)


@dataclass(frozen=True)
class BarShape:
    """What one map says about the bar.

    Attributes
    ----------
    length, width : float
        Full extent along and across the bar (px); NaN where it was not measured.
    angle : float
        Position angle in the pixel frame (deg).
    flags : int
        Bits of :class:`tuningfork.core.flags.Flag`.
    """

    length: float
    width: float
    angle: float
    flags: int

    def times(self, factor: float) -> "BarShape":
        """Return the shape with its lengths multiplied by a factor."""
        return replace(self, length=self.length * factor, width=self.width * factor)


NOT_MEASURED = BarShape(np.nan, np.nan, np.nan, int(Flag.BAR_NOT_MEASURED))


def moments(
    saliency: np.ndarray, psf_fwhm: float, threshold: float = THRESHOLD, smoothing: float = SMOOTHING
) -> BarShape:
    """Measure the bar from second moments, the same way at every angle.

    The map is smoothed, the median of its border zone is taken off as background, and the connected region above
    `threshold` times the central peak that holds the centre is kept. The ellipse that has the second moments of
    the map in that region gives length and width (four standard deviations) and angle.

    Parameters
    ----------
    saliency : ndarray
        (S, S) map, non-negative, any scale.
    psf_fwhm : float
        Full width at half maximum of the PSF (px): how far from the centre the region may lie.
    threshold : float
        Height of the contour between background (0) and central peak (1).
    smoothing : float
        Standard deviation of the smoothing (px).

    Returns
    -------
    BarShape
        With the flag BAR_NOT_MEASURED if the map has no region near the centre.
    """
    image = np.asarray(saliency, dtype=np.float64)
    if not np.isfinite(image).all() or np.ptp(image) == 0:
        return NOT_MEASURED
    image = ndimage.gaussian_filter(image, smoothing) if smoothing > 0 else image
    radius = _radius(image.shape)
    image = image - np.median(image[radius > 0.4 * len(image)])
    reach = max(psf_fwhm, 2.0)
    peak = image[radius <= reach].max()
    if peak <= 0:
        return NOT_MEASURED
    region = _central_region(image > threshold * peak, radius, reach)
    if np.count_nonzero(region) < NOTHING:
        return NOT_MEASURED
    return _ellipse(image, region, psf_fwhm, len(image) // 2)


def mask_shape(mask: np.ndarray, psf_fwhm: float) -> BarShape:
    """Measure the bar on the mask that a network gives, whose cells hold the part of them that lies on the bar.

    The second moments of the cells in the connected region about the centre are those of the bar: a filled ellipse
    is four standard deviations long, and averaging over cells adds a twelfth of a cell squared.

    Parameters
    ----------
    mask : ndarray
        (s, s) probabilities, in cells of 4 x 4 px.
    psf_fwhm : float
        Full width at half maximum of the PSF (px).

    Returns
    -------
    BarShape
        In pixels of the stamp.
    """
    cells = np.asarray(mask, dtype=np.float64)
    # The galaxy's pixel, S // 2, lies beside the middle of the stamp by half a pixel.
    middle = (len(cells) - 1) / 2 + 0.5 / CELL
    rows, columns = np.indices(cells.shape)
    radius = np.hypot(rows - middle, columns - middle)
    reach = max(psf_fwhm / CELL, 1.0)
    peak = cells[radius <= reach].max()
    if not np.isfinite(cells).all() or peak < MASK_FAINTEST:
        return NOT_MEASURED
    region = _central_region(cells > MASK_LEVEL * peak, radius, reach)
    if not region.any():
        return NOT_MEASURED
    return _ellipse(cells, region, psf_fwhm / CELL, middle, 1 / 12).times(CELL)


def _radius(shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = np.indices(shape)
    return np.hypot(rows - shape[0] // 2, columns - shape[1] // 2)


def _central_region(mask: np.ndarray, radius: np.ndarray, reach: float) -> np.ndarray:
    """Return the connected region of `mask` that comes nearest to the centre, empty if none is within `reach`."""
    labels, _ = ndimage.label(mask, structure=_EIGHT)
    distance = np.where(mask, radius, np.inf)
    nearest = np.unravel_index(np.argmin(distance), mask.shape)
    if distance[nearest] > reach:
        return np.zeros_like(mask)
    return np.asarray(labels == labels[nearest])


def _ellipse(image: np.ndarray, region: np.ndarray, psf_fwhm: float, middle: float, blur: float = 0.0) -> BarShape:
    """Return the ellipse of the same second moments, less `blur`, about the light's own centre."""
    rows, columns = np.nonzero(region)
    weights = image[region]
    total = weights.sum()
    y, x = (weights @ rows) / total, (weights @ columns) / total
    dy, dx = rows - y, columns - x
    values, vectors = np.linalg.eigh(
        np.array(
            [
                [weights @ (dx * dx), weights @ (dx * dy)],
                [weights @ (dx * dy), weights @ (dy * dy)],
            ]
        )
        / total
    )
    width, length = 4 * np.sqrt(np.maximum(values - blur, 1 / 12))
    along_x, along_y = vectors[:, 1]
    last = len(image) - 1
    flags = 0
    if length < psf_fwhm:
        flags |= Flag.BAR_SHORTER_THAN_PSF
    if min(rows.min(), columns.min()) == 0 or max(rows.max(), columns.max()) == last:
        flags |= Flag.BAR_REACHES_EDGE
    offset = np.hypot(y - middle, x - middle)
    if offset > max(psf_fwhm, 0.25 * length):
        flags |= Flag.BAR_OFF_CENTRE
    return BarShape(float(length), float(width), _angle(along_x, along_y), int(flags))


def _angle(dx: float, dy: float) -> float:
    """Return the position angle of a direction: from +y, counter-clockwise."""
    return float(np.rad2deg(np.arctan2(-dx, dy)) % 180) % 180


def paper(saliency: np.ndarray, psf_fwhm: float) -> BarShape:
    """Measure the bar by the published algorithm (Bhambra, Joachimi & Lahav 2022, MNRAS 511, 5032), as a baseline.

    On the map scaled to [0, 1] a threshold rises from 0.5 in steps of 1e-4 until the row and column numbers of the
    pixels above it correlate by more than 0.85 in absolute value, or fewer than 40 pixels are left; the length is
    the largest distance between two of those pixels. The correlation cannot see bars along the pixel axes, which
    come out far too short; :func:`moments` has no such preferred direction.

    Parameters
    ----------
    saliency : ndarray
        (S, S) map.
    psf_fwhm : float
        Full width at half maximum of the PSF (px), for the flag only.

    Returns
    -------
    BarShape
        Without a width, which the algorithm does not give.
    """
    image = np.asarray(saliency, dtype=np.float64)
    if not np.isfinite(image).all() or np.ptp(image) == 0:
        return NOT_MEASURED
    image = (image - image.min()) / np.ptp(image)
    rows, columns = _paper_pixels(image)
    if len(rows) < 2:
        return NOT_MEASURED
    length, dx, dy = _farthest_pair(rows, columns)
    flags = Flag(0)
    if length < psf_fwhm:
        flags |= Flag.BAR_SHORTER_THAN_PSF
    if min(rows.min(), columns.min()) == 0 or max(rows.max(), columns.max()) == len(image) - 1:
        flags |= Flag.BAR_REACHES_EDGE
    return BarShape(length, np.nan, _angle(dx, dy), int(flags))


def _paper_pixels(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the pixels at which the published search stops.

    The pixels above a threshold are the first of those sorted by brightness, so that running sums give the
    correlation at every threshold at once; in whole numbers they are exact.
    """
    order = np.argsort(-image, axis=None, kind="stable")
    rows, columns = np.unravel_index(order, image.shape)
    steps = np.arange(round((1 - PAPER_START) / PAPER_STEP) + 1)
    ascending = image.ravel()[order][::-1]
    kept = image.size - np.searchsorted(ascending, PAPER_START + PAPER_STEP * steps, side="right")
    sums = [
        np.concatenate([[0], np.cumsum(values)])[kept]
        for values in (rows, columns, rows * rows, columns * columns, rows * columns)
    ]
    covariance = kept * sums[4] - sums[0] * sums[1]
    variances = (kept * sums[2] - sums[0] ** 2).astype(float) * (kept * sums[3] - sums[1] ** 2)
    correlated = np.abs(covariance) > PAPER_CORRELATION * np.sqrt(variances)
    stop = np.argmax((kept < PAPER_PIXELS) | (correlated & (variances > 0)))
    return rows[: kept[stop]], columns[: kept[stop]]


def _farthest_pair(rows: np.ndarray, columns: np.ndarray) -> tuple[float, float, float]:
    """Return the largest distance between two pixels and its components along x and y.

    Only the first and last pixel of a row can belong to the farthest pair.
    """
    present = np.unique(rows)
    first = np.full(present[-1] + 1, np.iinfo(np.int64).max)
    last = np.full(present[-1] + 1, -1)
    np.minimum.at(first, rows, columns)
    np.maximum.at(last, rows, columns)
    y = np.concatenate([present, present])
    x = np.concatenate([first[present], last[present]])
    squares = (y[:, None] - y) ** 2 + (x[:, None] - x) ** 2
    one, other = np.unravel_index(np.argmax(squares), squares.shape)
    return float(np.sqrt(squares[one, other])), float(x[other] - x[one]), float(y[other] - y[one])


METHODS = {"moments": moments, "paper": paper}

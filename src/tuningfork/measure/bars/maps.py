"""Length, width and angle of a bar on a saliency map or a mask: arrays in, numbers out.

A map is a (S, S) array, row = y, column = x, with the galaxy at index S // 2 along both axes. Lengths are full lengths
(end to end) in pixels. Angles are in degrees from the +y axis, counter-clockwise (towards -x), in [0, 180).
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from tuningfork.core.flags import Flag
from tuningfork.networks.morphology import MASK_SHRINK as CELL

MAP_SMOOTHING = 1.0
"""Gaussian width (px) of the smoothing before `moments`; it removes the grid pattern of strided convolutions."""
CONTOUR_HEIGHT = 0.5
"""Height of the contour within which the first moments are taken, from the background (0) to the central peak (1)."""
WINDOW_COVARIANCE = 3.0
"""Covariance of the Gaussian weight of the moments, in units of the covariance of the weighted light."""
ELLIPSE_LENGTH_DEVIATIONS = 4.28
"""Length of a uniform ellipse in standard deviations of its light under that Gaussian weight."""
MAX_WINDOW_ITERATIONS, WINDOW_TOLERANCE = 30, 1e-3
"""Largest number of iterations of the Gaussian weight, and the relative change at which it has converged."""
PAPER_START, PAPER_STEP, PAPER_CORRELATION, PAPER_PIXELS = 0.5, 1e-4, 0.85, 40
"""First threshold, step of the threshold, correlation and number of pixels in the code of Bhambra+ 2022."""
MIN_MASK_PEAK = 0.02
"""Smallest peak of a mask near the centre that counts as a bar."""
MIN_REGION_PIXELS = 5
"""Smallest number of pixels of a region whose shape is measured."""
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)


@dataclass(frozen=True)
class BarShape:
    """The bar on one map.

    Attributes
    ----------
    length, width : float
        Full extent along and across the bar (px); NaN without a measurement.
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


def moments(saliency: np.ndarray, psf_fwhm: float) -> BarShape:
    """Measure the bar from adaptive second moments, without a preferred direction.

    The map is smoothed, and the median of its border zone is subtracted as background. Second moments are taken under a
    Gaussian weight whose shape is that of the map, found by iteration (Bernstein & Jarvis 2002, AJ 123, 583) from the
    connected region at the centre. Unlike a threshold in units of the peak, the moments weight a central peak only by
    its light. The length of a uniform ellipse is `ELLIPSE_LENGTH_DEVIATIONS` standard deviations under this weight.

    Parameters
    ----------
    saliency : ndarray
        (S, S) map, non-negative, any scale.
    psf_fwhm : float
        Full width at half maximum of the PSF (px), which limits the distance of the region from the centre.

    Returns
    -------
    BarShape
        With the flag BAR_NOT_MEASURED if the map has no region near the centre.
    """
    image = np.asarray(saliency, dtype=np.float64)
    if not np.isfinite(image).all() or np.ptp(image) == 0:
        return NOT_MEASURED
    image = ndimage.gaussian_filter(image, MAP_SMOOTHING)
    radius = _radius(image.shape)
    image = image - np.median(image[radius > 0.4 * len(image)])
    reach = max(psf_fwhm, 2.0)
    peak = image[radius <= reach].max()
    if peak <= 0:
        return NOT_MEASURED
    region, pieces = central_region(image > CONTOUR_HEIGHT * peak, radius, reach)
    if np.count_nonzero(region) < MIN_REGION_PIXELS:
        return NOT_MEASURED
    start = Ellipse.of(image, region)
    ellipse = _adapted(np.maximum(image, 0), start)
    shape = _shape(ellipse, ELLIPSE_LENGTH_DEVIATIONS, len(image) // 2, len(image), psf_fwhm, pieces)
    cut = region[[0, -1]].any() or region[:, [0, -1]].any()
    return replace(shape, flags=int(shape.flags | Flag.BAR_REACHES_EDGE)) if cut else shape


@dataclass(frozen=True)
class Ellipse:
    """Centre and second moments of light: y, x (px) and the covariance (2, 2) of x and y (px^2)."""

    y: float
    x: float
    covariance: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, region: np.ndarray) -> "Ellipse":
        """Return the ellipse of an image inside a region.

        Parameters
        ----------
        image : ndarray
            (S, S) weights.
        region : ndarray
            bool (S, S).
        """
        rows, columns = np.nonzero(region)
        return cls.weighted(image[region], rows, columns)

    @classmethod
    def weighted(cls, weights: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> "Ellipse":
        """Return the ellipse of weighted points.

        Parameters
        ----------
        weights, rows, columns : ndarray
            (N,) weights and pixel positions.

        Returns
        -------
        Ellipse
        """
        total = weights.sum()
        y, x = (weights @ rows) / total, (weights @ columns) / total
        dy, dx = rows - y, columns - x
        cross = weights @ (dx * dy)
        return cls(y, x, np.array([[weights @ (dx * dx), cross], [cross, weights @ (dy * dy)]]) / total)


def _adapted(image: np.ndarray, start: Ellipse) -> Ellipse:
    """Return the moments under a Gaussian weight with `WINDOW_COVARIANCE` times their covariance."""
    ellipse = start
    widest = (len(image) / 5) ** 2
    for _ in range(MAX_WINDOW_ITERATIONS):
        values, vectors = np.linalg.eigh(ellipse.covariance)
        values = np.clip(values, 1 / WINDOW_COVARIANCE, widest / WINDOW_COVARIANCE)
        inverse = vectors / values @ vectors.T
        # The weight is cut off at three standard deviations.
        reach = int(3 * np.sqrt(WINDOW_COVARIANCE * values[1])) + 1
        top, left = max(round(ellipse.y) - reach, 0), max(round(ellipse.x) - reach, 0)
        part = image[top : round(ellipse.y) + reach + 1, left : round(ellipse.x) + reach + 1]
        rows, columns = np.indices(part.shape)
        dy, dx = rows + top - ellipse.y, columns + left - ellipse.x
        square = inverse[0, 0] * dx**2 + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy**2
        weights = part * np.exp(-square / (2 * WINDOW_COVARIANCE))
        if weights.sum() <= 0:
            return start
        before = ellipse
        ellipse = Ellipse.weighted(weights.ravel(), (rows + top).ravel(), (columns + left).ravel())
        if np.abs(ellipse.covariance - before.covariance).max() < WINDOW_TOLERANCE * np.trace(before.covariance):
            break
    return ellipse


def mask_shape(mask: np.ndarray, psf_fwhm: float) -> BarShape:
    """Measure the bar on the mask of a network; each cell holds the share of its area that lies on the bar.

    The bar is measured from adaptive second moments as in :func:`moments`, in which the wide, faint wings of uncertain
    masks have little weight. The size of the cells adds a twelfth of a squared cell to the variances.

    Parameters
    ----------
    mask : ndarray
        (s, s) probabilities, in cells of 4 x 4 px.
    psf_fwhm : float
        Full width at half maximum of the PSF (px).

    Returns
    -------
    BarShape
        Lengths are in pixels of the stamp.
    """
    cells = np.asarray(mask, dtype=np.float64)
    # The galaxy's pixel, S // 2, lies half a pixel from the middle of the stamp.
    middle = (len(cells) - 1) / 2 + 0.5 / CELL
    rows, columns = np.indices(cells.shape)
    radius = np.hypot(rows - middle, columns - middle)
    reach = max(psf_fwhm / CELL, 1.0)
    peak = cells[radius <= reach].max()
    if not np.isfinite(cells).all() or peak < MIN_MASK_PEAK:
        return NOT_MEASURED
    region, pieces = central_region(cells > CONTOUR_HEIGHT * peak, radius, reach)
    if not region.any():
        return NOT_MEASURED
    ellipse = _adapted(cells, Ellipse.of(cells, region))
    ellipse = replace(ellipse, covariance=ellipse.covariance - np.eye(2) / 12)
    return _shape(ellipse, ELLIPSE_LENGTH_DEVIATIONS, middle, len(cells), psf_fwhm / CELL, pieces).times(CELL)


def _radius(shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = np.indices(shape)
    return np.hypot(rows - shape[0] // 2, columns - shape[1] // 2)


def central_region(mask: np.ndarray, radius: np.ndarray, reach: float) -> tuple[np.ndarray, int]:
    """Return the connected region nearest to the centre, and the number of other regions above a third of its size.

    Parameters
    ----------
    mask : ndarray
        bool (S, S).
    radius : ndarray
        (S, S) distance from the centre (px).
    reach : float
        Largest distance of the region from the centre (px).

    Returns
    -------
    region : ndarray
        bool (S, S).
    others : int
    """
    labels, _ = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    distance = np.where(mask, radius, np.inf)
    nearest = np.unravel_index(np.argmin(distance), mask.shape)
    if distance[nearest] > reach:
        return np.zeros_like(mask), 0
    sizes = np.bincount(labels.ravel())
    central = labels[nearest]
    others = np.delete(sizes, [0, central])
    return np.asarray(labels == central), int(np.count_nonzero(others > max(sizes[central] / 3, MIN_REGION_PIXELS)))


def _shape(ellipse: Ellipse, extent: float, middle: float, size: int, psf_fwhm: float, pieces: int) -> BarShape:
    """Return the bar whose axes are `extent` standard deviations long."""
    values, vectors = np.linalg.eigh(ellipse.covariance)
    width, length = extent * np.sqrt(np.maximum(values, 1 / 12))
    along_x, along_y = vectors[:, 1]
    flags = Flag(0)
    if length < psf_fwhm:
        flags |= Flag.BAR_SHORTER_THAN_PSF
    ends = [(centre, length / 2 * abs(step)) for centre, step in ((ellipse.x, along_x), (ellipse.y, along_y))]
    if any(centre - half < 0 or centre + half > size - 1 for centre, half in ends):
        flags |= Flag.BAR_REACHES_EDGE
    if np.hypot(ellipse.y - middle, ellipse.x - middle) > max(psf_fwhm, 0.25 * length):
        flags |= Flag.BAR_OFF_CENTRE
    if pieces:
        flags |= Flag.BAR_IN_PIECES
    return BarShape(float(length), float(width), _angle(along_x, along_y), int(flags))


def _angle(dx: float, dy: float) -> float:
    """Return the position angle (deg) of a direction, from +y, counter-clockwise."""
    return float(np.rad2deg(np.arctan2(-dx, dy)) % 180) % 180


def paper(saliency: np.ndarray, psf_fwhm: float) -> BarShape:
    """Measure the bar by the published algorithm (Bhambra, Joachimi & Lahav 2022, MNRAS 511, 5032), as a baseline.

    On the map scaled to [0, 1] a threshold rises from 0.5 in steps of 1e-4 until the absolute correlation of the row
    and column numbers of the pixels above it exceeds 0.85, or fewer than 40 pixels are left. The length is the largest
    distance between two of these pixels. The correlation is insensitive to bars along the pixel axes, whose lengths are
    strongly underestimated; :func:`moments` has no such preferred direction.

    Parameters
    ----------
    saliency : ndarray
        (S, S) map.
    psf_fwhm : float
        Full width at half maximum of the PSF (px), for the flag only.

    Returns
    -------
    BarShape
        Without a width, which the algorithm does not measure.
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

    The pixels above a threshold come first in the order of brightness, so that running sums give the correlations at
    all thresholds at once. The sums are exact because they are integers.
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
    start, end = np.unravel_index(np.argmax(squares), squares.shape)
    return float(np.sqrt(squares[start, end])), float(x[end] - x[start]), float(y[end] - y[start])


METHODS = {"moments": moments, "paper": paper}

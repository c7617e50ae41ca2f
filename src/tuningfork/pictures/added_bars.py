"""Simulated bars added to pictures of real galaxies without one: the light is real, and the bar is known.

People call a galaxy smooth if they see neither arms nor a bar. A bar that is drawn with the picture's PSF into such a
galaxy, in its light before the stretch, has the noise, the neighbours and the faults of a real picture around it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.decision_tree import vote_columns
from tuningfork.core.seeds import generator_for
from tuningfork.core.tables import numpy_column
from tuningfork.simulate.galaxies.bars import bar_on_sky, draw_boxiness, draw_light
from tuningfork.simulate.galaxies.priors import log_uniform
from tuningfork.simulate.imaging.observe import fit
from tuningfork.simulate.light.canvas import Light, north_up
from tuningfork.stamps.store import CHECKSUM_COLUMN

MOST_COPIES = 100
"""Of one galaxy."""
LARGEST_BOXINESS = 4.0
AXIS_RATIOS, LIGHT = (0.15, 0.5), (0.06, 0.5)
"""Of the bars: width over length in the plane of the disc, and light in units of the galaxy's."""
LENGTHS, SHORTEST_IN_PSFS = (8.0, 56.0), 2.0
"""Full lengths in pixels of the stamp, in which 90 % of a galaxy's light lie within 32; never fewer PSF widths than this."""
LEAST_COS_INCLINATION = 0.35
MOMENT_RADIUS = 30.0
"""Radius of the circle in which the galaxy's shape is measured (px)."""
CANVAS = 192
"""Width of the image on which a bar is drawn, from whose middle the stamp is cut (px)."""
SMOOTH = "smooth_or_featured_smooth_votes"
UNBARRED = {"bar_length": np.nan, "bar_position_angle": np.nan, "bar_axis_ratio": np.nan, "bar_strength": 0.0}
"""The truth about the bar of a galaxy that has none."""


def smooth_rows(votes: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return which galaxies more than half of the people call smooth.

    Parameters
    ----------
    votes : mapping
        Column -> (N,) numbers of votes.

    Returns
    -------
    ndarray
        bool (N,)
    """
    none = np.zeros(len(next(iter(votes.values()))))
    smooth = votes.get(SMOOTH, none)
    total = sum((np.asarray(values) for name, values in votes.items() if name.startswith("smooth_or_featured")), none)
    return np.asarray((total > 0) & (smooth > total / 2))


def with_bar(
    stamp: np.ndarray, psf: float, beta: float, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, float]]:
    """Return a stamp with a simulated bar in its galaxy.

    Parameters
    ----------
    stamp : ndarray
        (2, 1, S, S): light and inverse variance.
    psf, beta : float
        Full width at half maximum (px) and exponent of the PSF's Moffat profile.
    rng : numpy.random.Generator

    Returns
    -------
    stamp : ndarray
        float32 (2, 1, S, S); pixels without data stay as they are.
    truth : dict
        `bar_length` (px), `bar_position_angle` (deg), `bar_axis_ratio` and `bar_strength`.
    """
    light, valid = stamp[0, 0], stamp[1, 0] > 0
    cos_inclination, angle, flux = _shape(light)
    length = log_uniform(rng, max(LENGTHS[0], SHORTEST_IN_PSFS * psf), LENGTHS[1])
    bar = bar_on_sky(
        length,
        rng.uniform(*AXIS_RATIOS),
        rng.uniform(0, 2 * np.pi),
        draw_light(rng),
        draw_boxiness(rng, LARGEST_BOXINESS),
        cos_inclination,
        angle,
    )
    share = log_uniform(rng, *LIGHT)
    drawn = north_up(CANVAS, 1.0).draw([Light(bar, np.array([share * flux]))], [psf], beta)[0]
    result = np.array(stamp, dtype=np.float32)
    result[0, 0] += np.where(valid, fit(drawn, light.shape[-1]), 0)
    return result, {
        "bar_length": length,
        "bar_position_angle": bar.position_angle,
        "bar_axis_ratio": bar.axis_ratio,
        "bar_strength": share / (1 + share),
    }


def _shape(light: np.ndarray) -> tuple[float, float, float]:
    """Return the cosine of the inclination and the position angle (deg) of a disc that looks like the galaxy, and its flux."""
    size = light.shape[-1]
    y, x = np.indices(light.shape) - size // 2
    inside = np.hypot(x, y) < MOMENT_RADIUS
    weight = np.where(inside, np.maximum(light, 0), 0)
    flux = max(float(weight.sum()), 1e-12)
    xx, yy, xy = (float((weight * value).sum()) / flux for value in (x * x, y * y, x * y))
    half, apart = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    ratio = np.sqrt(max(half - apart, 0) / max(half + apart, 1e-12))
    angle = np.rad2deg(np.arctan2(2 * xy, xx - yy)) / 2 - 90
    return float(np.clip(ratio, LEAST_COS_INCLINATION, 1)), float(angle % 180), flux


@dataclass(frozen=True)
class BarredCopies:
    """Copies of the smooth galaxies among pictures, with a bar in each.

    Attributes
    ----------
    table : pyarrow.Table
        N rows of the pictures, with `file`, votes and imaging.
    copies : int
        Of each smooth galaxy.
    band : str
        Name of the pictures' band.
    """

    table: pa.Table
    copies: int
    band: str

    @cached_property
    def rows(self) -> np.ndarray:
        """Rows of the pictures of which there are copies, (M,): smooth galaxies in which a bar can be seen."""
        resolved = self._psf * SHORTEST_IN_PSFS < LENGTHS[1] / 2
        return np.repeat(np.flatnonzero(self._smooth & resolved), self.copies)

    @cached_property
    def _votes(self) -> list[str]:
        return [name for name in vote_columns() if name in self.table.column_names]

    @cached_property
    def _smooth(self) -> np.ndarray:
        return smooth_rows({name: numpy_column(self.table, name) for name in self._votes})

    @cached_property
    def _psf(self) -> np.ndarray:
        """Widths of the PSF (px of the stamps)."""
        return numpy_column(self.table, f"psf_fwhm_{self.band}") / numpy_column(self.table, "pixel_scale").astype(float)

    def drawn(self, pixels: np.ndarray) -> Iterator[tuple[np.ndarray, dict[str, float]]]:
        """Yield the copies.

        Parameters
        ----------
        pixels : ndarray
            (N, 2, 1, S, S), stamps of the pictures.

        Yields
        ------
        stamp : ndarray
            float32 (2, 1, S, S)
        truth : dict
            As of :func:`with_bar`, but the length in the unit of the pixel scale.
        """
        scale = numpy_column(self.table, "pixel_scale").astype(float)
        beta = numpy_column(self.table, "psf_beta")
        for place, row in enumerate(self.rows.tolist()):
            rng = generator_for(0, "added bars", self.table["file"][row].as_py(), place % self.copies)
            stamp, truth = with_bar(np.asarray(pixels[row]), float(self._psf[row]), float(beta[row]), rng)
            yield stamp, truth | {"bar_length": truth["bar_length"] * scale[row]}

    def joined(self, truths: Sequence[Mapping[str, float]], checksums: np.ndarray) -> pa.Table:
        """Return the rows of the pictures and of the copies, with the truth about bars where it is known.

        The smooth galaxies themselves count as unbarred. The copies got no votes.

        Parameters
        ----------
        truths : sequence of mapping
            Of the M copies.
        checksums : ndarray
            Of their stamps, (M,).

        Returns
        -------
        pyarrow.Table
            N + M rows; of other galaxies nothing is known, and the truth is NaN.
        """
        copied: dict[str, Any] = {name: self.table[name].take(pa.array(self.rows)) for name in self.table.column_names}
        copied |= {name: pa.array(np.zeros(len(self.rows)), self.table[name].type) for name in self._votes}
        copied[CHECKSUM_COLUMN] = pa.array(checksums, self.table[CHECKSUM_COLUMN].type)
        whole = pa.concat_tables([self.table, pa.table(copied).select(self.table.column_names)])
        for name, value in UNBARRED.items():
            known = np.where(self._smooth, value, np.nan)
            values = np.concatenate([known, [truth[name] for truth in truths]])
            whole = whole.append_column(name, pa.array(values.astype(np.float32)))
        return whole.set_column(whole.column_names.index("index"), "index", pa.array(np.arange(len(whole))))

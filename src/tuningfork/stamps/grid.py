"""The grids of stamps on the pixels of a tile."""

from dataclasses import dataclass

import numpy as np

from tuningfork.sky.coordinates import directions
from tuningfork.stamps.positions import Located
from tuningfork.stamps.scaling import Scaling
from tuningfork.stamps.state import State
from tuningfork.stamps.windows import Windows

UNIQUE_TILE_RANK = 1e6
"""What a source gains in rank (arcsec) in the tile that the survey's rule names."""


@dataclass(frozen=True)
class Grid:
    """The stamps of some sources, on the pixels of one tile.

    Attributes
    ----------
    located : Located
        The M sources in the tile.
    step : ndarray
        Width of the stamps' pixels in pixels of the tile, (M,).
    span : ndarray of int
        Pixels of the tile across each stamp, (M,).
    corner : ndarray of int
        The first of them (x, y), so that pixel `span // 2` holds the source, (M, 2).
    scale : ndarray
        Width of the stamps' pixels (arcsec), (M,).
    rank : ndarray
        Of two tiles that are equally complete, the one of higher rank is taken: the one that the survey's rule names, or
        the one in which the source is farther from the edge, (M,).
    overhang : ndarray of int
        Pixels of the tile that each stamp lacks on the left, below, on the right and above, (M, 4).
    """

    located: Located
    step: np.ndarray
    span: np.ndarray
    corner: np.ndarray
    scale: np.ndarray
    rank: np.ndarray
    overhang: np.ndarray

    @classmethod
    def of(cls, located: Located, scaling: Scaling, unique: np.ndarray) -> "Grid":
        """Return the grids of the stamps of located sources.

        Parameters
        ----------
        located : Located
            M sources in a tile.
        scaling : Scaling
        unique : ndarray of bool
            For which of them the survey's rule says that this tile counts, (M,).

        Returns
        -------
        Grid
        """
        scale = directions(located.matrix)[0]
        step = scaling.steps(located.sources, scale)
        span = scaling.spans(step)
        corner = np.floor(located.position + 0.5).astype(np.int64) - span[:, None] // 2
        end = corner + span[:, None] - np.array(located.shape[::-1])
        overhang = np.clip(np.concatenate([-corner, end], axis=1), 0, span[:, None])
        return cls(
            located, step, span, corner, scale * step, located.margin * scale + UNIQUE_TILE_RANK * unique, overhang
        )

    def at(self, chosen: np.ndarray) -> "Grid":
        """Return the grids of some of the sources.

        Parameters
        ----------
        chosen : ndarray
            Indices of the sources in this grid, or a mask over them.

        Returns
        -------
        Grid
        """
        return Grid(
            self.located.at(chosen),
            self.step[chosen],
            self.span[chosen],
            self.corner[chosen],
            self.scale[chosen],
            self.rank[chosen],
            self.overhang[chosen],
        )

    @property
    def sources(self) -> np.ndarray:
        """Which sources, (M,)."""
        return self.located.sources

    @property
    def cover(self) -> np.ndarray:
        """Fraction of each stamp that lies in the tile, (M,)."""
        left, below, right, above = self.overhang.T
        inside = np.maximum(self.span - left - right, 0) * np.maximum(self.span - below - above, 0)
        return np.asarray(inside / self.span**2)

    @property
    def windows(self) -> Windows:
        """Where the stamps lie in the tile."""
        return Windows.on_grid(self.corner, self.span, self.step, _offset(self.located.position))

    def settle(self, state: State, number: int, quality: np.ndarray, zero_point: float) -> None:
        """Make this tile the best one of the sources.

        Parameters
        ----------
        state : State
        number : int
            Number of this tile.
        quality : ndarray of int
            How complete the stamps are, (M,).
        zero_point : float
            AB magnitude of one flux unit.
        """
        sources = self.sources
        state.forget_pixels(sources)
        state.tile[sources], state.quality[sources], state.rank[sources] = number, quality, self.rank
        state.position[sources], state.matrix[sources] = self.located.position, self.located.matrix
        state.corner[sources], state.step[sources], state.span[sources] = self.corner, self.step, self.span
        state.overhang[sources], state.scale[sources], state.zero_point[sources] = self.overhang, self.scale, zero_point


def windows_elsewhere(state: State, located: Located) -> Windows:
    """Return where stamps whose grids are settled lie in another image.

    Parameters
    ----------
    state : State
    located : Located
        Their sources in that image.

    Returns
    -------
    Windows
    """
    sources = located.sources
    grids = state.span[sources], state.step[sources], _offset(state.position[sources])
    turn = np.linalg.solve(located.matrix, state.matrix[sources])
    shift = (state.corner[sources] - state.position[sources])[..., None]
    return Windows.mapped(located.position + (turn @ shift)[..., 0], turn, *grids)


def _offset(position: np.ndarray) -> np.ndarray:
    return np.asarray(position - np.floor(position + 0.5))

"""Boxes around shards, for queries to catalogue services."""

from collections.abc import Iterator

import numpy as np

from tuningfork.sky.shards import Shard


class Surroundings:
    """A box in right ascension and declination that may cross right ascension zero.

    Positions on its edges lie in the box, except on the southern edge if the box sits on top of another one (`above`).

    Parameters
    ----------
    ra, half : float
        Central right ascension and half of the width (deg).
    dec_min, dec_max : float
        Southern and northern edge (deg).
    above : bool
        Whether the southern edge belongs to the box below.
    """

    def __init__(self, ra: float, half: float, dec_min: float, dec_max: float, above: bool = False) -> None:
        self.ra, self.half, self.dec_min, self.dec_max = ra, half, max(dec_min, -90.0), min(dec_max, 90.0)
        self.above = above

    @classmethod
    def around(cls, shard: Shard) -> "Surroundings":
        """Return a box that contains the shard."""
        ra, dec = shard.boundary(steps=8)
        centre, _ = shard.centre
        half = float(np.abs((ra - centre + 180) % 360 - 180).max())
        pole = np.abs(dec).max() > 89.9
        slack = 1e-3 + 0.02 * float(np.ptp(dec))
        return cls(centre, 180.0 if pole else half * 1.02 + 1e-3, float(dec.min()) - slack, float(dec.max()) + slack)

    @property
    def wraps(self) -> bool:
        """Whether the box crosses right ascension zero."""
        return self.half < 180 and not (self.ra - self.half >= 0 and self.ra + self.half <= 360)

    def condition(self, ra: str = "ra", dec: str = "dec") -> str:
        """Return an SQL or ADQL condition: the position in the columns `ra` and `dec` lies in the box."""
        low, high = (self.ra - self.half) % 360, self.ra + self.half
        high = high if high == 360 else high % 360
        within = f"{ra} BETWEEN {low:.8f} AND {high:.8f}"
        if self.half >= 180:
            within = f"{ra} BETWEEN 0 AND 360"
        elif self.wraps:
            within = f"{ra} >= {low:.8f} OR {ra} <= {high:.8f}"
        edge = f" AND {dec} <> {self.dec_min:.8f}" if self.above else ""
        return f"({within}) AND ({dec} BETWEEN {self.dec_min:.8f} AND {self.dec_max:.8f}{edge})"

    def enlarged(self, margin: float) -> "Surroundings":
        """Return the box with `margin` (deg) added on every side."""
        widest = min(max(abs(self.dec_min - margin), abs(self.dec_max + margin)), 90.0)
        half = self.half + margin / max(float(np.cos(np.deg2rad(widest))), 1e-3)
        return Surroundings(self.ra, min(half, 180.0), self.dec_min - margin, self.dec_max + margin)

    def halves(self) -> Iterator["Surroundings"]:
        """Yield the southern and the northern half, which have no position in common."""
        middle = (self.dec_min + self.dec_max) / 2
        yield Surroundings(self.ra, self.half, self.dec_min, middle, self.above)
        yield Surroundings(self.ra, self.half, middle, self.dec_max, above=True)

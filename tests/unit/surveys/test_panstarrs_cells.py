"""The sky cells of Pan-STARRS1: they cover the sky, and lie where a real image says."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.base import STAMP_MARGIN
from tuningfork.surveys.near import depth
from tuningfork.surveys.panstarrs.cells import RINGS, cell, cells_around


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 360, exclude_max=True), st.floats(-29, 89.9))
def test_every_place_north_of_the_limit_lies_in_a_cell_of_its_shard(ra: float, dec: float) -> None:
    order = 8
    shard = Shard(order, int(pixels(np.array([ra]), np.array([dec]), order)[0]))
    cells = cells_around(shard, STAMP_MARGIN)
    deepest = max(float(depth(tile, np.array([ra]), np.array([dec]))[0]) for tile in cells)
    # Neighbours share 120 arcsec within a projection cell, and at least 100 arcsec where projection cells meet.
    assert deepest > 50 / 3600
    assert len(cells) < 60
    assert [tile.name for tile in cells] == sorted({tile.name for tile in cells})


def test_rings_follow_each_other() -> None:
    for ring, after in pairwise(RINGS):
        assert after.first == ring.first + ring.count
        assert after.dec == ring.dec + 4


def test_the_geometry_is_that_of_a_real_image(real_data: Path) -> None:
    """The header of a cut-out says which sky cell it is from, how large that is and, by whole pixels, where it was."""
    header = fits.getheader(real_data / "three_surveys_one_galaxy" / "PS1_r.fits.gz")
    tile = cell(header["SKYCELL"].removeprefix("skycell."))
    width, height = (int(limits.split(":")[1]) for limits in header["CELL.TRIMSEC"].strip("[]").split(","))
    with pytest.warns(FITSFixedWarning):
        wcs = WCS(header)
    x, y = (np.asarray(values) for values in wcs.all_world2pix(*np.array(tile.corners).T, 1))
    assert np.ptp(x) == pytest.approx(width - 1, abs=0.01)
    assert np.ptp(y) == pytest.approx(height - 1, abs=0.01)
    np.testing.assert_allclose(x, np.rint(x), atol=0.01)
    np.testing.assert_allclose(y, np.rint(y), atol=0.01)

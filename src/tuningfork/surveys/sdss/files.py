"""The SDSS catalogue and the list of its fields, from the flat files of the Science Archive Server.

The list of fields is made once from the files of the window function (window_flist.fits, one row per field, and
window_blist.fits, which gives the primary field of every part of the sky) and kept in the cache. The objects of a
field are in its photoObj file (https://data.sdss.org/datamodel/files/PHOTO_RESOLVE/ and .../BOSS_PHOTOOBJ/).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tuningfork.core.errors import InputError, TransferError
from tuningfork.core.tables import numpy_column, read_table
from tuningfork.sky.coordinates import distance
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import STAMP_MARGIN, Tile
from tuningfork.surveys.near import depth
from tuningfork.surveys.sdss.archive import (
    FRAME_HEIGHT,
    FRAME_WIDTH,
    PIXEL_SCALE,
    SDSS_BANDS,
    Archive,
    FieldName,
    corners,
)
from tuningfork.surveys.transfer.network import Network

HALF_FRAME_DIAGONAL = float(np.hypot(FRAME_WIDTH, FRAME_HEIGHT)) / 2 * PIXEL_SCALE / 3600
"""Half of the diagonal of a frame (deg)."""
PRIMARY_MODE, GALAXY_TYPE = 1, 3
"""MODE of the primary detection of an object, as in SkyServer's view PhotoPrimary."""
FIELD_COLUMNS = ["RERUN", "RUN", "CAMCOL", "FIELD", "RA", "DEC", "NODE", "INCL", "PSF_FWHM"]
OBJECT_COLUMNS = ["OBJID", "RA", "DEC", "MODE", "OBJC_TYPE", "PETROMAG", "PETROTH50"]


class FlatFiles:
    """The flat files; they give the same answers as :class:`tuningfork.surveys.sdss.skyserver.SkyServer`, except redshifts.

    Parameters
    ----------
    archive : Archive
    bands : sequence of str
        Bands whose PSF widths become facts of the tiles.
    network : Network
    """

    def __init__(self, archive: Archive, bands: Sequence[str], network: Network) -> None:
        self._archive, self._bands, self._network = archive, bands, network
        self._list: pa.Table | None = None

    def galaxies(self, shard: Shard, band: str, mag_min: float, mag_max: float) -> dict[int, tuple[float, ...]]:
        """Return the primary galaxies of the fields around a shard.

        Parameters
        ----------
        shard : Shard
        band : str
            Band of the magnitude.
        mag_min, mag_max : float
            Limits of the Petrosian magnitude.

        Returns
        -------
        dict
            objid -> ra, dec (deg), redshift (always NaN), magnitude, radius (arcsec).

        Raises
        ------
        TransferError
            If a file could not be fetched.
        """
        galaxies: dict[int, tuple[float, ...]] = {}
        for tile in self.fields(shard, STAMP_MARGIN):
            url, name = self._archive.objects(FieldName.parse(tile.name))
            path = self._network.path(self._network.file(url, name))
            for number, values in _galaxies(path, SDSS_BANDS.index(band), mag_min, mag_max):
                galaxies.setdefault(number, values)
        return galaxies

    def fields(self, shard: Shard, margin: float) -> list[Tile]:
        """Return the fields that are primary somewhere and come within `margin` (deg) of the shard, in order of name."""
        fields, reach = self._fields(), shard.radius + margin + HALF_FRAME_DIAGONAL
        near = distance(numpy_column(fields, "ra"), numpy_column(fields, "dec"), *shard.centre) <= reach
        tiles = [tile for tile in self._tiles(fields.filter(pa.array(near))) if _touches(tile, shard, margin)]
        return sorted(tiles, key=lambda tile: tile.name)

    def locate(self, fields: Sequence[FieldName]) -> list[Tile]:
        """Return the fields with these names.

        Raises
        ------
        InputError
            If one of them is not in the list.
        """
        known = self._fields()
        known = known.filter(pc.is_in(known["run"], pa.array(sorted({name.run for name in fields}), pa.int32())))
        tiles = {tile.name: tile for tile in self._tiles(known)}
        for name in fields:
            if str(name) not in tiles:
                release = self._archive.release
                raise InputError(f"SDSS tile {name}: Data Release {release} has no such field that is primary anywhere")
        return [tiles[str(name)] for name in fields]

    def _tiles(self, fields: pa.Table) -> list[Tile]:
        tiles = []
        for row in fields.to_pylist():
            name = FieldName(*(row[key] for key in ("rerun", "run", "camcol", "field")))
            widths = {f"psf_width_{band}": row[f"psf_width_{band}"] for band in self._bands}
            facts = {key: value for key, value in widths.items() if np.isfinite(value)}
            outline = corners(row["ra"], row["dec"], row["node"], row["incl"])
            tiles.append(Tile(str(name), row["ra"], row["dec"], outline, facts=facts))
        return tiles

    def _fields(self) -> pa.Table:
        """Return the fields that are primary somewhere."""
        if self._list is None:
            name = self._network.make(f"{self._archive.folder}/fields.parquet", self._write_list)
            self._list = read_table(self._network.path(name))
        return self._list

    def _write_list(self, path: Path) -> None:
        """Fetch the files of the window function and write the columns that are needed."""
        files = []
        for name in ("window_flist.fits", "window_blist.fits"):
            url, cached = self._archive.window(name)
            files.append(self._network.path(self._network.file(url, cached)))
        primary = np.unique(_read(files[1], ["IPRIMARY"])["IPRIMARY"])
        fields = _read(files[0], FIELD_COLUMNS)
        primary = primary[(primary >= 0) & (primary < len(fields))]
        chosen = fields[primary]
        columns = {key.lower(): chosen[key].astype(np.int32) for key in ("RERUN", "RUN", "CAMCOL", "FIELD")}
        columns |= {key.lower(): chosen[key].astype(float) for key in ("RA", "DEC", "NODE", "INCL")}
        columns |= {f"psf_width_{band}": chosen["PSF_FWHM"][:, number] for number, band in enumerate(SDSS_BANDS)}
        pq.write_table(pa.table(columns), path)


def _touches(tile: Tile, shard: Shard, margin: float) -> bool:
    """Return whether a field touches a shard or comes within `margin` (deg) of it."""
    if not tile.corners:
        return True
    edge = depth(tile, *shard.boundary(steps=64)) > -margin
    return bool(edge.any() or shard.contains(*np.array(tile.corners).T).any())


def _galaxies(path: Path, band: int, mag_min: float, mag_max: float) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Yield objid and ra, dec, redshift (NaN), magnitude and radius of the primary galaxies in a photoObj file."""
    objects = _read(path, OBJECT_COLUMNS)
    try:
        mag, radius = (objects[key][:, band].astype(float) for key in ("PETROMAG", "PETROTH50"))
        chosen = (
            (objects["MODE"] == PRIMARY_MODE)
            & (objects["OBJC_TYPE"] == GALAXY_TYPE)
            & (mag >= mag_min)
            & (mag <= mag_max)
        )
        for row in np.flatnonzero(chosen):
            ra, dec = (float(objects[key][row]) for key in ("RA", "DEC"))
            yield int(objects["OBJID"][row]), (ra, dec, np.nan, float(mag[row]), float(radius[row]))
    except (IndexError, ValueError) as error:
        raise TransferError(f"{path}: not a photoObj file of SDSS ({error}); delete it and run again") from None


def _read(path: Path, columns: list[str]) -> np.ndarray:
    """Return columns of the table in a FITS file, with names in upper case."""
    try:
        with fitsio.FITS(str(path), upper=True) as file:
            rows = file[1].read(columns=columns)
    except (OSError, ValueError, IndexError) as error:
        raise TransferError(
            f"{path}: not the expected table ({' '.join(str(error).split())}); delete it and run again"
        ) from None
    return np.asarray(rows).astype(rows.dtype.newbyteorder("="))

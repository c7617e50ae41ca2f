"""The sources of a user's folder that are images, or whose images are named in a table."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pandas as pd
import pyarrow as pa
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.core.files import as_text
from tuningfork.sky.coordinates import directions, jacobian, wrapped
from tuningfork.sky.frames import pixel_positions, sky_positions
from tuningfork.sky.shards import Shard, shards_of_positions, valid_position
from tuningfork.surveys.base import OwnImages
from tuningfork.surveys.folder.coordinates import upright_wcs
from tuningfork.surveys.folder.facts import PIXEL_SCALE, facts_of, imaging_of
from tuningfork.surveys.folder.images import footprint
from tuningfork.surveys.folder.names import Layout, keys_of, safe_name, stem
from tuningfork.surveys.lists.sources.rows import sources_of
from tuningfork.surveys.lists.sources.table import UserTable, home_of

logger = logging.getLogger(__name__)

HOW_TO_SCALE = "the width of a pixel (arcsec), or name the image in the column file of a table that has it in the column pixel_scale"


@dataclass(frozen=True)
class ImagePlace:
    """Position of an image on the sky.

    Attributes
    ----------
    wcs : astropy.wcs.WCS or None
    ra, dec : float
        Centre (deg); NaN if unknown.
    corners : tuple of (ra, dec)
        Corners (deg); empty if unknown.
    fault : str
        Why the image cannot be read, or its WCS not be used; empty if neither is so.
    stated_scale : float or None
        Width of a pixel (arcsec) by a keyword of the header such as PIXSCALE.
    """

    wcs: WCS | None = None
    ra: float = np.nan
    dec: float = np.nan
    corners: tuple[tuple[float, float], ...] = ()
    fault: str = ""
    stated_scale: float | None = None

    @property
    def scale(self) -> float:
        """Width of a pixel at the centre (arcsec); NaN without a WCS."""
        if self.wcs is None:
            return np.nan
        x, y = pixel_positions(self.wcs, np.array([self.ra]), np.array([self.dec]))
        return float(directions(jacobian(self.wcs, x, y))[0][0])

    def coordinates(self, path: Path, wcs: WCS | None, scale: float | None, shape: tuple[int, int]) -> tuple[WCS, bool]:
        """Return the WCS of one band of the image, or the one that is assumed, and whether it gives positions on the sky.

        Parameters
        ----------
        path : Path
            File of the band.
        wcs : astropy.wcs.WCS or None
            What its header says.
        scale : float or None
            Width of a pixel (arcsec), if the user has given one.
        shape : tuple of int
            Height and width.

        Returns
        -------
        astropy.wcs.WCS, bool

        Raises
        ------
        InputError
            If there is neither a WCS nor a scale, or another band has a WCS.
        """
        if wcs is not None:
            return wcs, True
        if self.wcs is not None:
            raise InputError(
                f"{as_text(path)}: this band has no WCS that can be used, and another band of the image has one"
            )
        if scale is None:
            raise InputError(
                f"{as_text(path)}: {self.fault or 'it has no WCS'}; to measure it at its centre, set survey.folder.pixel_scale to "
                f"{HOW_TO_SCALE}"
            )
        return upright_wcs(scale, shape), False


class ImagePlaces(Mapping[str, ImagePlace]):
    """Positions of the images on the sky, each determined when it is first needed.

    Parameters
    ----------
    layouts : mapping
        Name -> image.
    bands : list of str
    """

    def __init__(self, layouts: Mapping[str, Layout], bands: list[str]) -> None:
        self._layouts = layouts
        self._bands = bands
        self._known: dict[str, ImagePlace] = {}

    def __getitem__(self, name: str) -> ImagePlace:
        if name not in self._known:
            self._known[name] = self._measure(self._layouts[name])
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layouts)

    def __len__(self) -> int:
        return len(self._layouts)

    def _measure(self, layout: Layout) -> ImagePlace:
        try:
            wcs, (height, width), fault, scale = footprint(layout, self._bands)
        except InputError as error:
            logger.warning("%s", error)
            return ImagePlace(fault=str(error))
        if wcs is None:
            return ImagePlace(fault=fault, stated_scale=scale)
        x, y = np.array([-0.5, width - 0.5, width - 0.5, -0.5]), np.array([-0.5, -0.5, height - 0.5, height - 0.5])
        ra, dec = sky_positions(wcs, np.append(x, (width - 1) / 2), np.append(y, (height - 1) / 2))
        corners = tuple((float(a), float(b)) for a, b in zip(ra[:4], dec[:4], strict=True))
        known = np.isfinite(ra).all() and np.isfinite(dec).all()
        return ImagePlace(wcs, float(ra[4]), float(dec[4]), corners if known else ())


class FolderSources:
    """The images in a folder, or the rows of a table that names the image of each source.

    Parameters
    ----------
    layouts : mapping
        Name -> image.
    places : mapping
        Name -> position of the image.
    table : UserTable, optional
        Table whose column `file` names a file, or an image, in the folder; without a table every image is a source.
    bands : sequence of str
        Bands, for the columns that describe the imaging in one of them.
    """

    def __init__(
        self,
        layouts: Mapping[str, Layout],
        places: Mapping[str, ImagePlace],
        table: UserTable | None = None,
        bands: Sequence[str] = (),
    ) -> None:
        self._layouts = layouts
        self._places = places
        self._table = table
        self._bands = bands

    @cached_property
    def _frame(self) -> pd.DataFrame:
        return (
            pd.DataFrame({"name": [layout.title or name for name, layout in self._layouts.items()]})
            if self._table is None
            else self._table.whole()
        )

    @cached_property
    def _own(self) -> list[str | None]:
        """For each source, the name of its own image, or None."""
        if self._table is None:
            return list(self._layouts)
        return [
            None if pd.isna(file) or not str(file).strip() else self._image_of(str(file).strip())
            for file in self._frame["file"]
        ]

    @property
    def images(self) -> set[str]:
        """Names of the images that show a source, as far as they exist."""
        return {name for name in self._own if name is not None and name in self._layouts}

    @property
    def without_scale(self) -> list[Path]:
        """First files of the images that show a source, but have neither a WCS nor a pixel scale in header or table.

        Images that cannot be read, or whose WCS is at fault, are left out: they are flagged, and do not end a run.
        """
        return [
            next(iter(self._layouts[name].files.values()))
            for name in sorted(self.images)
            if self._places[name].wcs is None
            and not self._places[name].fault
            and self._places[name].stated_scale is None
            and PIXEL_SCALE not in self.facts.get(name, {})
        ]

    @cached_property
    def _by_name(self) -> dict[str, str]:
        """Image of each name that a row may give: that of a file, of the image as the user wrote it, or of its tile."""
        names: dict[str, str] = {}
        for layout in self._layouts.values():
            for path in layout.files.values():
                names |= {key: layout.name for key in keys_of(path.name) if key not in names}
        for layout in self._layouts.values():
            names.setdefault(layout.name, layout.name)
            names.setdefault(normalize("NFC", layout.title), layout.name)
        return names

    def _image_of(self, file: str) -> str:
        """Return the image to which the `file` of a row refers, by one of its files or by its name."""
        name = Path(file).name
        wanted = (name, normalize("NFC", name), safe_name(name), normalize("NFC", stem(Path(name)) or name))
        known = next((self._by_name[text] for text in wanted if text in self._by_name), None)
        return safe_name(stem(Path(name)) or name) if known is None else known

    @cached_property
    def _positions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Right ascension and declination (deg, NaN if unknown), and whether a source is at the centre of its image."""
        frame, count = self._frame, len(self._frame)
        ra, dec = (
            frame[name].to_numpy(dtype=float).copy() if name in frame else np.full(count, np.nan)
            for name in ("ra", "dec")
        )
        stated = valid_position(ra, dec)
        ra[~stated], dec[~stated] = np.nan, np.nan
        centred = np.zeros(count, dtype=bool)
        for row, name in enumerate(self._own):
            image_place = self._places[name] if name is not None and name in self._layouts else ImagePlace()
            centred[row] = name is not None and not (stated[row] and image_place.wcs is not None)
            if not stated[row]:
                ra[row], dec[row] = image_place.ra, image_place.dec
        return wrapped(ra), dec, centred

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """What the table says about the imaging of each image, by its name.

        Raises
        ------
        InputError
            If a value is out of range, or two rows disagree about an image.
        """
        if self._table is None:
            return {}
        ra, dec, centred = self._positions
        # A source at the centre of its image may have the position of anything.
        ra, dec = (np.where(centred, np.nan, values) for values in (ra, dec))
        return facts_of(self._own, ra, dec, imaging_of(self._table, self._bands), self._table.what)

    def shards(self, order: int) -> list[Shard]:
        """Return the shards that contain sources; at least one."""
        ra, dec, _ = self._positions
        return shards_of_positions(ra, dec, order) or [Shard(order, 0)]

    def sources(self, shard: Shard) -> pa.Table:
        """Return the sources of a shard.

        Sources without a position belong to the shard of the first source that has one.

        Parameters
        ----------
        shard : Shard

        Returns
        -------
        pyarrow.Table
            Table of the stage `sources`.
        """
        ra, dec, centred = self._positions
        chosen = shard.contains(ra, dec)
        if shard == (home_of(ra, dec, shard.order) or Shard(shard.order, 0)):
            chosen |= ~valid_position(ra, dec)
        rows = self._frame.assign(ra=ra, dec=dec)[chosen]
        ids, names, twice = (
            (rows.index.to_numpy(dtype=np.int64), list(rows["name"]), np.zeros(len(rows), dtype=bool))
            if self._table is None
            else self._table.identify(rows)
        )
        order = np.argsort(ids, kind="stable")
        row_numbers = np.flatnonzero(chosen)[order]
        own = [self._own[row] for row in row_numbers]
        facts = {name: self.facts[name] for name in sorted({name for name in own if name in self.facts})}
        own_images = OwnImages(own, [bool(centred[row]) for row in row_numbers], facts)
        return own_images.attach(sources_of(rows, ids, names, twice))

"""Galaxies of the Legacy Surveys: from Astro Data Lab by TAP, or from the tractor files of the bricks.

Both are the same catalogue (Lang et al. 2016, The Tractor): primary sources other than point sources and the duplicates
(DUP) that stand for a star within a large galaxy. Fluxes are as observed, not corrected for Galactic extinction, so that
magnitudes are comparable with the images.
"""

from collections.abc import Iterable
from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
from astropy.table import Column

from tuningfork.core.columns.table import shard_table
from tuningfork.core.config.sources import Sources
from tuningfork.core.errors import InputError, TransferError
from tuningfork.sky.shards import Shard
from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.tap import DATA_LAB_LIMIT, ask_around
from tuningfork.surveys.transfer.network import Network

MAX_ROWS = 100_000
"""Rows requested at a time; a box with more is queried in parts."""
TRACTOR_COLUMNS = ("release", "brickid", "objid", "brickname", "ra", "dec", "shape_r")
EXCLUDED_TYPES = ("PSF", "DUP")
"""Types of sources that are not galaxies."""
GALAXY_QUERY = """
SELECT release, brickid, objid, brickname, ra, dec, shape_r, flux_{band} AS flux
FROM ls_dr{release}.tractor_s
WHERE {box} AND brick_primary = 1 AND type <> 'PSF' AND type <> 'DUP' AND flux_{band} BETWEEN {faint!r} AND {bright!r}"""
"""Query of the table tractor_s, which covers the southern part, whose bricks this survey reads."""
NANOMAGGY_ZERO_POINT = 22.5
"""AB magnitude of one nanomaggy."""


def ls_id(release: np.ndarray, brickid: np.ndarray, objid: np.ndarray) -> np.ndarray:
    """Return Data Lab's LS_ID: release, brick and object packed into 24, 24 and 16 bits.

    Parameters
    ----------
    release, brickid, objid : ndarray of int
        Shape (N,).

    Returns
    -------
    ndarray of int64
        Shape (N,).
    """
    parts = (np.asarray(part, dtype=np.int64) for part in (release, brickid, objid))
    high, middle, low = parts
    return np.asarray(high << 40 | middle << 16 | low)


def _fluxes(selection: Sources) -> tuple[float, float]:
    """Return the faintest and the brightest flux (nanomaggies) that are selected."""
    faint, bright = (
        float(10 ** (0.4 * (NANOMAGGY_ZERO_POINT - limit))) for limit in (selection.mag_max, selection.mag_min)
    )
    return faint, bright


def from_tap(network: Network, url: str, release: int, band: str, shard: Shard, selection: Sources) -> pa.Table:
    """Return the galaxies of the shard, from a TAP service.

    Parameters
    ----------
    network : Network
    url : str
        Base address of the service.
    release : int
        Data release.
    band : str
        Band of the magnitude.
    shard : Shard
    selection : Sources
        Limits of the magnitude.

    Returns
    -------
    pyarrow.Table
        Table of the stage `sources`.

    Raises
    ------
    TransferError
        If no valid answer was received.
    """
    faint, bright = _fluxes(selection)

    def query(box: Surroundings) -> str:
        text = GALAXY_QUERY.format(release=release, band=band, box=box.condition(), faint=faint, bright=bright)
        return " ".join(text.split())

    answer = ask_around(network, url, query, Surroundings.around(shard), DATA_LAB_LIMIT, MAX_ROWS)
    missing = [name for name in (*TRACTOR_COLUMNS, "flux") if name not in answer.colnames]
    if missing:
        raise TransferError(f"{url}: the answer has no column {missing[0]}; it has {', '.join(answer.colnames)}")
    return _table({name: _plain(answer[name]) for name in (*TRACTOR_COLUMNS, "flux")}, shard)


def _plain(column: Column) -> np.ndarray:
    """Return the values of a VOTable's column, in which text may be bytes."""
    if column.dtype.kind == "f":
        return np.asarray(np.ma.filled(column, np.nan))
    if column.dtype.kind in "SO":
        return np.array([value.decode() if isinstance(value, bytes) else str(value) for value in column])
    return np.asarray(column)


def from_files(paths: Iterable[Path], band: str, shard: Shard, selection: Sources) -> pa.Table:
    """Return the galaxies of the shard, from the tractor files of its bricks, with one file in memory at a time.

    Parameters
    ----------
    paths : iterable of Path
        Tractor files.
    band : str
        Band of the magnitude.
    shard : Shard
    selection : Sources
        Limits of the magnitude.

    Returns
    -------
    pyarrow.Table
        Table of the stage `sources`.

    Raises
    ------
    InputError
        If a file is not a tractor file.
    """
    parts = [_galaxies(path, band, shard, selection) for path in paths]
    if not parts:
        return _table({name: np.empty(0) for name in (*TRACTOR_COLUMNS, "flux")}, shard)
    return _table({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, shard)


def _galaxies(path: Path, band: str, shard: Shard, selection: Sources) -> dict[str, np.ndarray]:
    wanted = [*TRACTOR_COLUMNS, "brick_primary", "type", f"flux_{band}"]
    try:
        with fitsio.FITS(str(path), lower=True) as file:
            rows = file[1].read(columns=wanted)
    except (OSError, ValueError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not the tractor catalogue of a brick ({reason}); delete it and run again") from None
    faint, bright = _fluxes(selection)
    flux = rows[f"flux_{band}"].astype(float)
    kind = np.char.strip(rows["type"].astype(str))
    chosen = rows["brick_primary"].astype(bool) & ~np.isin(kind, EXCLUDED_TYPES) & (flux >= faint) & (flux <= bright)
    chosen[chosen] = shard.contains(rows["ra"][chosen], rows["dec"][chosen])
    return {name: rows[name][chosen] for name in TRACTOR_COLUMNS} | {"flux": flux[chosen]}


def _table(rows: dict[str, np.ndarray], shard: Shard) -> pa.Table:
    """Return the table of the stage sources, with each source once."""
    numbers, first = np.unique(ls_id(rows["release"], rows["brickid"], rows["objid"]), return_index=True)
    rows = {name: values[first] for name, values in rows.items()}
    inside = shard.contains(rows["ra"].astype(float), rows["dec"].astype(float))
    rows = {name: values[inside] for name, values in rows.items()}
    radius = rows["shape_r"].astype(float)
    return shard_table(
        "sources",
        {
            "source_id": numbers[inside],
            "flags": np.zeros(int(inside.sum()), dtype=np.int64),
            "name": [
                f"{str(brick).strip()}-{int(objid)}"
                for brick, objid in zip(rows["brickname"], rows["objid"], strict=True)
            ],
            "ra": rows["ra"].astype(float),
            "dec": rows["dec"].astype(float),
            "survey_mag": NANOMAGGY_ZERO_POINT - 2.5 * np.log10(rows["flux"].astype(float)),
            "survey_radius": np.where(radius > 0, radius, np.nan),
        },
    )

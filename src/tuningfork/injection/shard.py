"""The stage inject: injects simulated barred galaxies into the images of a shard and measures them."""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tuningfork.core.columns import of_stage, schema
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, read_table, write_table
from tuningfork.injection.cut import cut_stamps, source_rows
from tuningfork.injection.measures import RecipeCalibrations, measure_sources
from tuningfork.injection.place import Injection, groups, place_galaxies
from tuningfork.networks.ensemble import load_ensemble
from tuningfork.sky.shards import Shard
from tuningfork.stamps.store import StampFiles, open_store
from tuningfork.surveys.jobs import reach
from tuningfork.surveys.manifest import read_tiles
from tuningfork.surveys.registry import open_survey
from tuningfork.surveys.transfer.network import Network

logger = logging.getLogger(__name__)

MAX_GROUP_GALAXIES = 256
"""Largest number of galaxies whose stamps and maps exist at once."""
MIN_SEPARATION_STAMPS = 1.5
"""Smallest distance of two galaxies that are injected together, in widths of a stamp."""
TRUTH_FIELDS = (
    "mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "cos_inclination", "bulge_fraction", "arm_strength",
    "bar_length", "bar_position_angle", "bar_axis_ratio", "bar_strength", "redshift",
)  # fmt: skip
"""True properties of a galaxy that are written, as `true_...`."""
STAMP_COLUMNS = ("pixel_scale", "psf_fwhm", "sky_noise", "valid_fraction")
"""Properties of its stamp that are written; `psf_fwhm` (arcsec) and `sky_noise` are those of the reference band."""
VOTE_COLUMNS = ("bar_vote_share", "bar_yes_fraction")
SCHEMA = pa.schema(
    [
        ("source_id", pa.int64()),
        ("shard", pa.string()),
        ("ra", pa.float64()),
        ("dec", pa.float64()),
        *((f"true_{name}", pa.float32()) for name in TRUTH_FIELDS),
        ("tile", pa.string()),
        *((name, pa.float32()) for name in STAMP_COLUMNS),
        ("morphology", pa.string()),
        *((name, pa.float32()) for name in VOTE_COLUMNS),
        *schema(of_stage("bars")),
        ("flags", pa.int64()),
        ("recovered", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class InjectionInputs:
    """The files from which the galaxies injected into a shard are measured.

    Attributes
    ----------
    tiles : Path
        Manifest of the shard's tiles.
    models : sequence of Path
        Cards of the morphology networks.
    votes, bars : Path
        calibration/votes.json and calibration/bars.json.
    """

    tiles: Path
    models: Sequence[Path]
    votes: Path
    bars: Path


def inject_shard(
    parameters: Parameters, *, shard: str, inputs: InjectionInputs, transfer: Transfer, output: Path
) -> None:
    """Write the truth and the measurements of barred galaxies that are injected into the images of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage inject.
    shard : str
        Name of the shard.
    inputs : InjectionInputs
    transfer : Transfer
        Settings of downloads and of the cache.
    output : Path
        The Parquet file to write: one row per galaxy, columns of `SCHEMA`.

    Raises
    ------
    InputError
        A file is missing, damaged or of other bands.
    """
    configuration, description = parameters.configuration, parameters.survey
    network = Network(transfer)
    survey = open_survey(parameters, network)
    ensemble = load_ensemble(inputs.models, "morphology")
    calibrations = RecipeCalibrations.read(inputs.votes, inputs.bars)
    fetched = list(read_tiles(read_table(inputs.tiles)).values())
    usable = [entry.tile for entry in fetched if description.reference_band in entry.files]
    number, population = configuration.selection.galaxies, configuration.simulate.population
    placed = place_galaxies(configuration.seed, Shard.parse(shard), number, population, usable)
    if len(placed) < number:
        logger.warning("shard %s: the outlines of its tiles have room for only %d galaxies", shard, len(placed))
    half = reach(source_rows(placed), configuration.stamps, description).max(initial=0.0)
    parts = [SCHEMA.empty_table()]
    output.parent.mkdir(parents=True, exist_ok=True)
    for group in groups(placed, MIN_SEPARATION_STAMPS * 2 * float(half), MAX_GROUP_GALAXIES):
        with tempfile.TemporaryDirectory(prefix=".inject-", dir=output.parent) as folder:
            stamps = StampFiles(Path(folder) / "stamps.parquet", Path(folder) / "stamps.npy")
            cut_stamps(parameters, survey, network, fetched, group, stamps)
            rows, pixels = open_store(stamps, ensemble.bands, ensemble.reference_band)
            tables = measure_sources(ensemble, source_rows(group), rows, pixels, configuration, calibrations)
            parts.append(rows_of(shard, group, rows, *tables, description.reference_band))
        logger.info("shard %s: %d of %d galaxies", shard, sum(part.num_rows for part in parts), len(placed))
    lineage = parameters.lineage(lineage_of(inputs.tiles, inputs.votes, inputs.bars, *inputs.models))
    write_table(output, pa.concat_tables(parts).sort_by("source_id"), lineage)


def rows_of(
    shard: str, group: Sequence[Injection], stamps: pa.Table, classes: pa.Table, bars: pa.Table, band: str
) -> pa.Table:
    """Return the truth and the measurements of galaxies, in their order.

    A galaxy counts as recovered if the pipeline publishes a bar length for it.

    Parameters
    ----------
    shard : str
        Name of the shard.
    group : sequence of Injection
    stamps, classes, bars : pyarrow.Table
        Of the stages stamps, classify and bars, for these galaxies.
    band : str
        The reference band.

    Returns
    -------
    pyarrow.Table
        Columns of `SCHEMA`.
    """
    names = {"psf_fwhm": f"psf_fwhm_{band}", "sky_noise": f"sky_noise_{band}"}
    values = {"shard": [shard] * len(group), "ra": [injection.ra for injection in group]}
    values["dec"] = [injection.dec for injection in group]
    truth = {
        name: np.array([getattr(injection.galaxy, name) for injection in group], dtype=float) for name in TRUTH_FIELDS
    }
    columns = {name: pa.array(column) for name, column in values.items()}
    columns |= {f"true_{name}": pa.array(column, from_pandas=True) for name, column in truth.items()}
    columns |= {"tile": stamps["tile"]} | {name: stamps[names.get(name, name)] for name in STAMP_COLUMNS}
    columns |= {name: classes[name] for name in ("morphology", *VOTE_COLUMNS)}
    columns |= {name: bars[name] for name in bars.column_names}
    columns["recovered"] = pc.is_valid(bars["bar_length"])
    arrays = [
        (column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column).cast(field.type)
        for field, column in ((field, columns[field.name]) for field in SCHEMA)
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)

"""What the report reads: summaries of the whole run, and the galaxies of some of its shards."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tuningfork.catalogue.hats import ORDER, first_pixel
from tuningfork.core.columns import TRUTH
from tuningfork.core.errors import InputError
from tuningfork.core.files import read_json
from tuningfork.core.stage.benchmarks import StageCost, read_benchmarks
from tuningfork.core.tables import lineage_of, open_rows, read_table, require_columns, require_same_sources
from tuningfork.injection.function import SCHEMA
from tuningfork.networks.model_file import read_card
from tuningfork.sky.shards import Shard
from tuningfork.stamps.store import StampFiles, open_store, require_checksums, survey_of

MAX_OVERVIEW_ROWS = 20_000
"""Rows of the catalogue that the map and the histograms show; a larger catalogue is thinned evenly."""
MAX_LABEL_ERRORS = 100
"""Number of likely label errors that are read."""
OVERVIEW_COLUMNS = ["ra", "dec", "morphology", "mag", "r_eff", "sersic_n", "axis_ratio", "bar_vote_share", "bar_length"]
ORIENTATION_COLUMNS = ["north_angle", "east_is_left"]
ACCOUNTING_KEYS = ("name", "survey", "bands", "reference_band", "versions", "shards", "total")
TOTAL_KEYS = ("rows_out", "sources_in", "measured", "classes", "flags", "tiles")
EVALUATION_KEYS = ("splits", "morphology", "agreement", "confusion", "bar_auc", "structure", "bars", "bars_published")


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """The files that the report reads.

    Attributes
    ----------
    sources, saliency, features : sequence of Path
        Tables of the shards whose galaxies are shown, all in the same order of shards.
    stamps : sequence of StampFiles
        The stamps of these shards.
    saliency_maps, arm_masks : sequence of Path
        Arrays of these shards: saliency maps, and masks of the spiral arms.
    catalogue, accounting : Path
        catalogue.parquet and accounting.json of the whole run.
    evaluation, evaluation_table : Path
        Figures of merit (JSON), and the test galaxies behind them (Parquet).
    vote_bias, label_errors : Path
        The audit of the votes: vote_bias.json and label_errors.parquet.
    selection : Path or None
        The selection function, if galaxies were put into the images.
    models : sequence of Path
        Model cards.
    explanations, explanation_maps : Path
        explanations.parquet and its Grad-CAM maps.
    benchmarks : Path
        Folder of Snakemake's benchmark files; it need not exist.
    """

    sources: Sequence[Path]
    stamps: Sequence[StampFiles]
    saliency: Sequence[Path]
    saliency_maps: Sequence[Path]
    features: Sequence[Path]
    arm_masks: Sequence[Path]
    catalogue: Path
    accounting: Path
    evaluation: Path
    evaluation_table: Path
    vote_bias: Path
    label_errors: Path
    selection: Path | None
    models: Sequence[Path]
    explanations: Path
    explanation_maps: Path
    benchmarks: Path


@dataclass(frozen=True)
class ReportInputs:
    """The content of the files that the report shows.

    Attributes
    ----------
    accounting, evaluation : dict
        Content of accounting.json and of the evaluation's summary.
    held_out : pandas.DataFrame
        Truth and measurement of each simulated test galaxy.
    vote_bias : dict
        Content of vote_bias.json.
    label_errors : pandas.DataFrame
        The first rows of label_errors.parquet.
    selection : pandas.DataFrame
        The selection function; it has no rows if no galaxies were injected.
    cards : list of dict
        Model cards, each with its `name`.
    overview : pandas.DataFrame
        Evenly thinned rows of the whole catalogue.
    galaxies : pandas.DataFrame
        The catalogue's rows of the shown shards, with the truth where it is known, the orientation of the stamp,
        and `shard` and `row`, which locate stamp and map.
    stamps, maps, masks : dict
        Shard -> (N, 2, B, S, S) stamps, (N, M, S, S) saliency maps, packed masks of the spiral arms; all stay on
        disk.
    bands : list of str
        Bands of the stamps.
    explanations : pandas.DataFrame
    explanation_maps : ndarray
        (K, S, S), in the order of the rows of `explanations`.
    stage_costs : list of StageCost
        Time and memory of each stage; empty without benchmark files.
    lineage : dict
        Stage -> hash of its parameters.
    """

    accounting: dict[str, Any]
    evaluation: dict[str, Any]
    held_out: pd.DataFrame
    vote_bias: dict[str, Any]
    label_errors: pd.DataFrame
    selection: pd.DataFrame
    cards: list[dict[str, Any]]
    overview: pd.DataFrame
    galaxies: pd.DataFrame
    stamps: dict[str, np.ndarray]
    maps: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]
    bands: list[str]
    explanations: pd.DataFrame
    explanation_maps: np.ndarray
    stage_costs: list[StageCost]
    lineage: dict[str, str]

    def images(self, galaxy: Any) -> np.ndarray:
        """Return the image of a row of `galaxies`.

        Returns
        -------
        ndarray
            (B, S, S) flux.
        """
        return np.asarray(self.stamps[galaxy.shard][galaxy.row, 0], dtype=float)

    def noise(self, galaxy: Any) -> np.ndarray:
        """Return the sky noise of a row of `galaxies`.

        Returns
        -------
        ndarray
            (B,) standard deviation of the sky per pixel (flux units).
        """
        return np.array([getattr(galaxy, f"sky_noise_{band}") for band in self.bands], dtype=float)

    def saliency(self, galaxy: Any) -> np.ndarray:
        """Return the saliency map of a row of `galaxies`.

        Returns
        -------
        ndarray
            (S, S) mean of the networks' maps.
        """
        return np.asarray(self.maps[galaxy.shard][galaxy.row], dtype=float).mean(axis=0)

    def arm_mask(self, galaxy: Any) -> np.ndarray:
        """Return the mask of the spiral arms of a row of `galaxies`.

        Returns
        -------
        ndarray
            (S, S) uint8, 0 or 1.
        """
        packed = self.masks[galaxy.shard][galaxy.row]
        return np.unpackbits(packed, axis=-1, count=self.stamps[galaxy.shard].shape[-1])


def read_inputs(files: ReportFiles) -> ReportInputs:
    """Read everything that the report shows.

    Parameters
    ----------
    files : ReportFiles

    Returns
    -------
    ReportInputs

    Raises
    ------
    InputError
        A file is missing or unreadable, or two files were made with different parameters.
    """
    stamp_tables = [store.table for store in files.stamps]
    of_shards = (files.sources, stamp_tables, files.saliency, files.features)
    single = [files.catalogue, files.evaluation_table, files.label_errors, files.explanations]
    summaries = [files.accounting, files.evaluation, files.vote_bias, *files.models]
    selection = [files.selection] if files.selection else []
    lineage = lineage_of(*(path for tables in of_shards for path in tables), *single, *selection, *summaries)
    shards = [path.stem for path in files.sources]
    arrays = ([store.pixels for store in files.stamps], files.saliency_maps, files.arm_masks)
    if any([path.stem for path in paths] != shards for paths in (*of_shards, *arrays)):
        raise InputError(
            "the files of sources, stamps, saliency and features must belong to the same shards, in the same order"
        )
    opened = dict(zip(shards, _shards(files), strict=True))
    accounting, overview, galaxies = _catalogued(files, opened)
    explanations, explanation_maps = _explained(files, opened)
    return ReportInputs(
        accounting=accounting,
        evaluation=_summary(files.evaluation, EVALUATION_KEYS),
        held_out=read_table(files.evaluation_table).to_pandas(),
        vote_bias=_summary(files.vote_bias, ()),
        label_errors=read_table(files.label_errors)[:MAX_LABEL_ERRORS].to_pandas(),
        selection=(read_table(files.selection) if files.selection else SCHEMA.empty_table()).to_pandas(),
        cards=[read_card(path) | {"name": f"{path.parent.name}/{path.stem}"} for path in files.models],
        overview=overview,
        galaxies=galaxies,
        stamps={name: shard.stamps for name, shard in opened.items()},
        maps={name: shard.maps for name, shard in opened.items()},
        masks={name: shard.masks for name, shard in opened.items()},
        bands=survey_of(stamp_tables[0])[0],
        explanations=explanations.to_pandas(),
        explanation_maps=explanation_maps,
        stage_costs=read_benchmarks(files.benchmarks),
        lineage=lineage,
    )


@dataclass(frozen=True)
class _Shard:
    """The files of a shown shard: tables of sources and stamps, and arrays that stay on disk."""

    sources: pa.Table
    rows: pa.Table
    stamps: np.ndarray
    maps: np.ndarray
    masks: np.ndarray


def _shards(files: ReportFiles) -> Iterator[_Shard]:
    """Yield the shown shards, after the checks that the stages make: the same sources everywhere, and their pixels."""
    lists = (files.sources, files.saliency, files.features, files.stamps, files.saliency_maps, files.arm_masks)
    for sources, saliency, features, store, maps_path, masks_path in zip(*lists, strict=True):
        rows, stamps = open_store(store, *survey_of(store.table))
        require_columns(rows, ["source_id", *ORIENTATION_COLUMNS], store.table)
        known, mapped = read_table(sources), read_table(saliency)
        for path, table in ((sources, known), (saliency, mapped), (features, read_table(features, ["source_id"]))):
            require_same_sources(rows, table, path)
        maps = open_rows(maps_path, rows.num_rows, saliency)
        require_checksums(mapped, maps, StampFiles(saliency, maps_path))
        masks = open_rows(masks_path, rows.num_rows, features)
        size = stamps.shape[-1]
        for path, array, shape in ((maps_path, maps, (size, size)), (masks_path, masks, (size, -(-size // 8)))):
            if array.shape[-2:] != shape:
                raise InputError(
                    f"{path}: an array of the shape {array.shape} for stamps of {size} pixels; delete it and run again"
                )
        yield _Shard(known, rows, stamps, maps, masks)


def _summary(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Return the content of a JSON file that must have these keys."""
    try:
        values = read_json(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the workflow, which makes it") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable ({error}); delete it and run again") from None
    _require_keys(path, values, keys)
    return dict(values)


def _require_keys(path: Path, values: Any, keys: Sequence[str]) -> None:
    lacking = [key for key in keys if key not in values] if isinstance(values, dict) else list(keys)
    if lacking or not isinstance(values, dict):
        raise InputError(f"{path}: without {', '.join(lacking) or 'any key'}; delete it and run again")


def _explained(files: ReportFiles, opened: Mapping[str, _Shard]) -> tuple[pa.Table, np.ndarray]:
    """Return the explanations and their maps; the sources must be those of the rows that the table names."""
    path = files.explanations
    table = read_table(path)
    require_columns(table, ["source_id", "shard", "row"], path)
    for source_id, name, row in zip(*(table[key].to_pylist() for key in ("source_id", "shard", "row")), strict=True):
        ids = opened[name].rows["source_id"] if name in opened else None
        if ids is not None and not (0 <= row < len(ids) and ids[row].as_py() == source_id):
            raise InputError(f"{path}: row {row} of shard {name} is not source {source_id}; delete it and run again")
    maps = open_rows(files.explanation_maps, table.num_rows, path)
    require_checksums(table, maps, StampFiles(path, files.explanation_maps))
    return table, maps


def _catalogued(files: ReportFiles, opened: Mapping[str, _Shard]) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Return the accounting, the thinned catalogue and the galaxies of the shown shards; all must fit together."""
    accounting = _summary(files.accounting, ACCOUNTING_KEYS)
    _require_keys(files.accounting, accounting["total"], TOTAL_KEYS)
    with _catalogue(files.catalogue) as catalogue:
        number, counted = catalogue.metadata.num_rows, accounting["total"]["rows_out"]
        if number != counted:
            raise InputError(
                f"{files.catalogue}: {number} rows, but {files.accounting} counts {counted}; delete both and run again"
            )
        overview = _thinned(catalogue)
        galaxies = [_galaxies(files.catalogue, name, shard) for name, shard in opened.items()]
    return accounting, overview, pd.concat(galaxies, ignore_index=True)


@contextlib.contextmanager
def _catalogue(path: Path) -> Iterator[pq.ParquetFile]:
    """Yield the open catalogue; a fault while it is read is one of the file."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the workflow, which makes it") from None
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise InputError(f"{path}: not a readable catalogue ({error}); delete it and run again") from None


def _galaxies(catalogue: Path, name: str, opened: _Shard) -> pd.DataFrame:
    """Return the catalogue's rows of one shard with truth, orientation, and place in the shard's files."""
    shard = Shard.parse(name)
    low = first_pixel(shard)
    high = low + (1 << 2 * (ORDER - shard.order))
    rows = pq.read_table(catalogue, filters=[("_healpix_29", ">=", low), ("_healpix_29", "<", high)]).to_pandas()
    truth = [column.name for column in TRUTH if column.name in opened.sources.column_names]
    places = opened.rows.select(["source_id", *ORIENTATION_COLUMNS]).to_pandas()
    known = opened.sources.select(truth).to_pandas()
    places = pd.concat([places, known], axis=1).assign(row=np.arange(len(places)), shard=name)
    # Of sources that share an identifier only the first is shown.
    places, rows = places.drop_duplicates("source_id"), rows.drop_duplicates("source_id")
    return rows.merge(places, on="source_id", how="inner", validate="1:1")


def _thinned(catalogue: pq.ParquetFile) -> pd.DataFrame:
    """Return evenly chosen rows of the catalogue, reading one row group at a time."""
    step = max(1, -(-catalogue.metadata.num_rows // MAX_OVERVIEW_ROWS))
    return pd.concat(_every(catalogue, step), ignore_index=True)


def _every(file: pq.ParquetFile, step: int) -> Iterator[pd.DataFrame]:
    start = 0
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=OVERVIEW_COLUMNS).to_pandas()
        yield rows.iloc[-start % step :: step]
        start += len(rows)

"""What the report reads: summaries of the whole run, and the galaxies of a sample of its shards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tuningfork.catalogue.hats import ORDER, first_pixel
from tuningfork.core.columns import TRUTH
from tuningfork.core.errors import InputError
from tuningfork.core.files import open_array, read_json
from tuningfork.core.tables import detail_of, lineage_of, read_table
from tuningfork.injection.function import SCHEMA
from tuningfork.networks.model_file import read_card
from tuningfork.sky.shards import Shard

MOST_ROWS = 20_000
"""Rows of the catalogue that are drawn on a map or counted in a histogram; more of them are thinned evenly."""
MOST_LABELS = 100
"""Likely label errors that are read."""
OVERVIEW = ["ra", "dec", "morphology", "mag", "r_eff", "sersic_n", "axis_ratio", "p_bar", "bar_length"]
ORIENTATION = ["north_angle", "east_is_left"]


@dataclass(frozen=True)
class Inputs:
    """All that the report shows.

    Attributes
    ----------
    accounting, evaluation : dict
        As in accounting.json and evaluation.json.
    held_out : pandas.DataFrame
        Truth and prediction of each held-out simulated galaxy.
    vote_bias : dict
        As in vote_bias.json.
    label_errors : pandas.DataFrame
        The first rows of label_errors.parquet.
    selection : pandas.DataFrame
        The selection function; without rows if no galaxies were injected.
    cards : list of dict
        Model cards, each with its `name`.
    overview : pandas.DataFrame
        Evenly thinned rows of the whole catalogue.
    galaxies : pandas.DataFrame
        The catalogue's rows of the sampled shards, with the truth where it is known, the orientation of the stamp,
        and `shard` and `row`, which say where stamp and map are.
    stamps, maps, masks : dict
        Shard -> (N, 2, B, S, S) stamps, (N, M, S, S) saliency maps, packed masks of the spiral arms, all on disk.
    bands : list of str
        Of the stamps.
    explanations : pandas.DataFrame
    explanation_maps : ndarray
        (K, S, S), in the order of the rows.
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
    lineage: dict[str, str]

    def images(self, galaxy: Any) -> np.ndarray:
        """Return the (B, S, S) image of a row of `galaxies`."""
        return np.asarray(self.stamps[galaxy.shard][galaxy.row, 0], dtype=float)

    def noise(self, galaxy: Any) -> np.ndarray:
        """Return the (B,) sky noise of a row of `galaxies`."""
        return np.array([getattr(galaxy, f"sky_noise_{band}") for band in self.bands], dtype=float)

    def saliency(self, galaxy: Any) -> np.ndarray:
        """Return the (S, S) mean of the maps of a row of `galaxies`."""
        return np.asarray(self.maps[galaxy.shard][galaxy.row], dtype=float).mean(axis=0)

    def arm_mask(self, galaxy: Any) -> np.ndarray:
        """Return the mask (S, S), 0 or 1, of the spiral arms of a row of `galaxies`."""
        packed = self.masks[galaxy.shard][galaxy.row]
        return np.unpackbits(packed, axis=-1, count=self.stamps[galaxy.shard].shape[-1])


def read_inputs(
    sources: Sequence[Path],
    stamps: Sequence[Path],
    saliency: Sequence[Path],
    features: Sequence[Path],
    catalogue: Path,
    accounting: Path,
    evaluation: Path,
    evaluation_table: Path,
    vote_bias: Path,
    label_errors: Path,
    selection: Path | None,
    models: Sequence[Path],
    explanations: Path,
    maps: Path,
) -> Inputs:
    """Read everything; the arguments are those of :func:`tuningfork.report.page.build_report`.

    Raises
    ------
    InputError
        A file is missing, is not what it should be, or they were made with different parameters.
    """
    tables = [*sources, *stamps, *saliency, *features, catalogue, evaluation_table, label_errors, explanations]
    tables += [selection] if selection else []
    lineage = lineage_of(*tables, accounting, evaluation, vote_bias, *models)
    shards = [path.stem for path in sources]
    if any([path.stem for path in paths] != shards for paths in (stamps, saliency, features)):
        raise InputError(
            "the tables of sources, stamps, saliency and features must be of the same shards, in the same order"
        )
    parts = [_galaxies(catalogue, *paths) for paths in zip(sources, stamps, strict=True)]
    return Inputs(
        accounting=read_json(accounting),
        evaluation=read_json(evaluation),
        held_out=read_table(evaluation_table).to_pandas(),
        vote_bias=read_json(vote_bias),
        label_errors=read_table(label_errors)[:MOST_LABELS].to_pandas(),
        selection=read_table(selection).to_pandas() if selection else SCHEMA.empty_table().to_pandas(),
        cards=[read_card(path) | {"name": f"{path.parent.name}/{path.stem}"} for path in models],
        overview=_thinned(catalogue),
        galaxies=pd.concat(parts, ignore_index=True),
        stamps={path.stem: open_array(path.with_suffix(".npy")) for path in stamps},
        maps={path.stem: open_array(path.with_suffix(".npy")) for path in saliency},
        masks={path.stem: open_array(path.with_suffix(".npy")) for path in features},
        bands=list(detail_of(stamps[0], "bands")),
        explanations=read_table(explanations).to_pandas(),
        explanation_maps=open_array(maps),
        lineage=lineage,
    )


def _galaxies(catalogue: Path, sources: Path, stamps: Path) -> pd.DataFrame:
    """Return the catalogue's rows of one shard, with truth, orientation and place."""
    shard = Shard.parse(sources.stem)
    low = first_pixel(shard)
    high = low + (1 << 2 * (ORDER - shard.order))
    rows = pq.read_table(catalogue, filters=[("_healpix_29", ">=", low), ("_healpix_29", "<", high)]).to_pandas()
    known = read_table(sources).to_pandas()
    truth = [column.name for column in TRUTH if column.name in known]
    places = read_table(stamps, ["source_id", *ORIENTATION]).to_pandas()
    places = pd.concat([places, known[truth]], axis=1).assign(row=np.arange(len(places)), shard=shard.name)
    # Of sources that share an identifier only the first is shown.
    places, rows = places.drop_duplicates("source_id"), rows.drop_duplicates("source_id")
    return rows.merge(places, on="source_id", how="inner", validate="1:1")


def _thinned(catalogue: Path) -> pd.DataFrame:
    """Return evenly chosen rows of the catalogue, reading one row group at a time."""
    file = pq.ParquetFile(catalogue)
    step = max(1, -(-file.metadata.num_rows // MOST_ROWS))
    return pd.concat(_every(file, step), ignore_index=True)


def _every(file: pq.ParquetFile, step: int) -> Iterator[pd.DataFrame]:
    start = 0
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=OVERVIEW).to_pandas()
        yield rows.iloc[-start % step :: step]
        start += len(rows)

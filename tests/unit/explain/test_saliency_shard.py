"""The saliency table of a shard says how its maps were made."""

from pathlib import Path

import numpy as np
import pytest
from helpers.small_networks import model_card, parameters, stamp_store

from tuningfork.core.files import open_array
from tuningfork.core.tables import detail_of, lineage_of, read_table
from tuningfork.explain.shard import saliency_shard
from tuningfork.stamps.store import StampFiles


@pytest.mark.parametrize("tolerance", [0.0, 1.0])
@pytest.mark.parametrize("method", ["smoothgrad", "vargrad", "integrated_gradients"])
def test_the_table_holds_the_copies_that_each_map_took(method: str, tolerance: float, tmp_path: Path) -> None:
    stamps, table = stamp_store(tmp_path / "8-5.parquet", 4), tmp_path / "maps.parquet"
    settings = {"method": method, "tolerance": tolerance, "samples": 24, "rotations": 2}
    saliency_shard(
        parameters("saliency", saliency=settings),
        stamps=StampFiles(stamps, stamps.with_suffix(".npy")),
        models=[model_card(tmp_path, "morphology")],
        output=table.with_suffix(".npy"),
        table=table,
    )
    taken = 16 if tolerance and method != "integrated_gradients" else 24
    # The first source has no stamp that could be read.
    assert read_table(table)["copies"].to_pylist() == [None, taken, taken, taken]
    assert detail_of(table, "method") == method


def test_the_maps_of_a_shard_have_a_row_for_every_source(tmp_path: Path) -> None:
    stamps = stamp_store(tmp_path / "8-5.parquet", 6)
    models = [model_card(tmp_path, "morphology", member) for member in range(2)]
    settings, made = {"samples": 3, "batch_size": 8}, []
    for name in ("made", "again"):
        table = tmp_path / f"{name}.parquet"
        saliency_shard(
            parameters("saliency", saliency=settings),
            stamps=StampFiles(stamps, stamps.with_suffix(".npy")),
            models=models,
            output=table.with_suffix(".npy"),
            table=table,
        )
        made.append(open_array(table.with_suffix(".npy")))
    maps, rows = made[0], read_table(table)
    assert maps.shape == (6, 2, 64, 64)
    assert maps.dtype == np.float16
    assert not maps[0].any()
    assert np.all(maps[1:].max(axis=(2, 3)) == 1)
    assert np.all(maps[1:].min(axis=(2, 3)) == 0)
    assert rows["scale_1"].is_valid().to_pylist() == [False] + [True] * 5
    assert rows["source_id"].equals(read_table(stamps)["source_id"])
    assert lineage_of(table) == {"stamps": "t0", "train-morphology": "m0", "saliency": "saliency-digest"}
    assert np.array_equal(made[1], maps)

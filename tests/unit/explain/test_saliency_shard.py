"""The saliency table of a shard says how its maps were made."""

from pathlib import Path

import pytest
from helpers.small_networks import model_card, parameters, stamp_store

from tuningfork.core.tables import detail_of, read_table
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

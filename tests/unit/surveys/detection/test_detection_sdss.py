"""Detection on a real SDSS field, fetched from a loopback server, against an independent stack of the same sky."""

from pathlib import Path

import numpy as np
import pandas as pd
from helpers.frozen import parameters
from helpers.sdss_server import SdssServer, shared_field

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.tables import read_table
from tuningfork.sky.coordinates import distance
from tuningfork.surveys.jobs import list_sources

GLARE = 60 / 3600
"""Within this distance (deg) of something brighter than 15 mag the stack's list is broken into pieces."""


def test_galaxies_of_a_real_field(real_data: Path, tmp_path: Path) -> None:
    field = shared_field(real_data)
    stack = pd.DataFrame([{"ra": s.ra, "dec": s.dec, "mag": s.mag, "galaxy": bool(s.galaxy)} for s in field.sources])
    bright = stack[stack["mag"] < 15]
    apart = distance(
        stack["ra"].to_numpy()[:, None],
        stack["dec"].to_numpy()[:, None],
        bright["ra"].to_numpy(),
        bright["dec"].to_numpy(),
    )
    stack = stack[(apart.min(axis=1) > GLARE) & (stack["mag"] < 19.7)]
    parts = []
    with SdssServer(real_data, field) as server:
        sources = {"mag_max": 20.3, "catalogue": {"kind": "detection"}}
        stages = parameters(
            tmp_path / "params", {"survey": {"name": "sdss", "sdss": server.settings}, "sources": sources}
        )
        for shard in ("8-300650", "8-300736"):
            path = tmp_path / f"{shard}.parquet"
            list_sources(
                parameters=stages["sources"],
                shard=shard,
                transfer=Transfer(rate=1000.0, cache=str(tmp_path / "cache")),
                output=path,
            )
            parts.append(read_table(path).to_pandas())
    found = pd.concat(parts, ignore_index=True)
    assert found["source_id"].is_unique
    apart = 3600 * distance(
        stack["ra"].to_numpy()[:, None],
        stack["dec"].to_numpy()[:, None],
        found["ra"].to_numpy(),
        found["dec"].to_numpy(),
    )
    seen, galaxy = apart.min(axis=1) < 1.5, stack["galaxy"].to_numpy()
    assert galaxy.sum() > 20
    assert seen[galaxy].mean() > 0.8
    assert (~galaxy).sum() > 20
    assert seen[~galaxy].mean() < 0.1
    error = found["survey_mag"].to_numpy()[apart.argmin(axis=1)] - stack["mag"].to_numpy()
    assert abs(np.median(error[seen & galaxy])) < 0.15

"""The unchanged pipeline on a real SDSS field, pointed at a loopback server by configuration alone."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from helpers.sdss_server import GALAXY_ZOO, Field, SdssServer, shared_field
from scipy import special

from pipeline.workflow import NETWORKS, Run, go_on_from, run_workflow
from tuningfork.core.flags import Flag

APERTURE = 6 * 0.396
"""Radius of the aperture of the independent list (arcsec)."""
FAULTS = int(Flag.PADDED | Flag.MASKED | Flag.BAD_TILE | Flag.OUTSIDE_TILES | Flag.MISSING_BAND)


@pytest.fixture(scope="module")
def field(real_data: Path) -> Field:
    return shared_field(real_data)


@pytest.fixture(scope="module")
def run(
    root: Path, default_run: Run, field: Field, real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Run]:
    """The example of docs/surveys.md in a copy of the default run, whose networks serve SDSS as well."""
    directory = tmp_path_factory.mktemp("sdss")
    go_on_from(default_run, directory, *NETWORKS)
    with SdssServer(real_data, field) as server:
        configuration = yaml.safe_load((root / "config" / "examples" / "sdss-stripe82.yaml").read_text())
        configuration["survey"]["sdss"] = server.settings
        (directory / "field.yaml").write_text(yaml.safe_dump(configuration))
        finished = run_workflow(root, directory, "--configfile", str(directory / "field.yaml"))
        assert finished.status == 0, finished.output[-4000:]
        yield finished


@pytest.fixture(scope="module")
def catalogue(run: Run) -> pd.DataFrame:
    return pq.read_table(run.results / "catalogue.parquet").to_pandas()


def isolated(field: Field) -> pd.DataFrame:
    """The galaxies without a neighbour of a tenth of their flux within 8 arcsec, with their magnitudes.

    Entries of the list without the light in an aperture that their Gaussian fit claims are artefacts.
    """
    sources = pd.DataFrame([vars(source) for source in field.sources])
    artefact = sources["aperture_mag"] > sources["mag"] + 1.5
    apart = np.hypot(*(np.subtract.outer(sources[key].values, sources[key].values) * 3600 for key in ("ra", "dec")))
    near = (apart < 8) & (sources["mag"].values[None] < sources["mag"].values[:, None] + 2.5)
    np.fill_diagonal(near, False)
    return sources[sources["galaxy"] & ~artefact & ~near.any(axis=1)]


def test_the_networks_are_not_trained_again(run: Run) -> None:
    """Same kind of images, same training set: only the sky is new."""
    assert "rule sources:" in run.output
    assert not any(
        f"rule {name}:" in run.output for name in ("simulate", "train", "infer_held_out", "calibrate_bars", "evaluate")
    )


def test_every_galaxy_of_the_field_has_a_row(run: Run, field: Field, catalogue: pd.DataFrame) -> None:
    expected = {source.objid for source in field.sources if source.galaxy and source.mag <= 18.5}
    assert set(catalogue["source_id"]) == expected
    assert catalogue["source_id"].is_unique
    assert set(GALAXY_ZOO) <= set(catalogue["source_id"])
    account = json.loads((run.results / "accounting.json").read_text())
    assert account["total"]["sources_in"] == account["total"]["rows_out"] == len(expected)


def test_positions_are_those_of_the_independent_list(field: Field, catalogue: pd.DataFrame) -> None:
    sources = pd.DataFrame([vars(source) for source in field.sources]).set_index("objid").loc[catalogue["source_id"]]
    apart = np.hypot(
        (catalogue["ra"].values - sources["ra"].values) * np.cos(np.deg2rad(sources["dec"].values)),
        catalogue["dec"].values - sources["dec"].values,
    )
    assert np.median(apart) * 3600 < 0.1


def within_aperture(catalogue: pd.DataFrame) -> pd.Series:
    """Return the magnitude of each profile within the aperture of the independent list; it has wings beyond."""
    n, radius = catalogue["sersic_n"], catalogue["r_eff"] * np.sqrt(catalogue["axis_ratio"])
    share = special.gammainc(2 * n, special.gammaincinv(2 * n, 0.5) * (APERTURE / radius) ** (1 / n))
    return catalogue["mag"] - 2.5 * np.log10(share)


def test_magnitudes_of_isolated_galaxies_agree(field: Field, catalogue: pd.DataFrame) -> None:
    both = isolated(field).merge(
        catalogue[catalogue["flags"] & FAULTS == 0], left_on="objid", right_on="source_id", suffixes=("_list", "")
    )
    assert len(both) >= 3
    assert abs((within_aperture(both) - both["aperture_mag"]).median()) < 0.1


def test_the_galaxies_with_votes_of_people_are_measured(catalogue: pd.DataFrame) -> None:
    rows = catalogue.set_index("source_id").loc[list(GALAXY_ZOO)]
    measured = ["morphology", "smooth_or_featured_smooth_fraction", "mag", "r_eff", "bar_length_saliency"]
    assert rows[measured].notna().all().all()

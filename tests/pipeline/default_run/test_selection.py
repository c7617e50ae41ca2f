"""The finished default run goes on with simulated barred galaxies in its images, and with nothing else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.workflow import Run, go_on_from, run_workflow

GALAXIES = 40


@pytest.fixture(scope="module")
def run(root: Path, default_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A copy of the default run without its logs, so that those of the jobs that run now are the only ones."""
    directory = tmp_path_factory.mktemp("selection")
    go_on_from(default_run, directory, "cache", "results")
    configuration = directory / "selection.yaml"
    configuration.write_text(yaml.safe_dump({"selection": {"galaxies": GALAXIES, "shards": 1}}))
    finished = run_workflow(root, directory, "--configfile", str(configuration))
    assert finished.status == 0, finished.output[-4000:]
    return finished


@pytest.fixture(scope="module")
def galaxies(run: Run) -> pd.DataFrame:
    return pq.read_table(run.results / "selection.parquet").to_pandas()


def test_only_its_own_jobs_and_the_report_run(run: Run, default_run: Run) -> None:
    logs = {path.name: len(list(path.iterdir())) for path in (run.results / "logs").iterdir()}
    # The report's own parameters name the shards with injected galaxies.
    assert logs == {"parameters": 3, "inject": 1, "selection_function": 1, "report": 1}
    written = {"report.html", "plan.json", "params/report.json"}
    for path in default_run.results.rglob("*"):
        name = path.relative_to(default_run.results)
        if path.is_file() and not {"logs", "benchmarks"} & set(name.parts):
            assert path.samefile(run.results / name) == (str(name) not in written), name
    assert f"{GALAXIES} simulated barred galaxies" in (run.results / "report.html").read_text()


def test_every_galaxy_is_measured_and_is_none_of_the_catalogue(run: Run, galaxies: pd.DataFrame) -> None:
    assert len(galaxies) == galaxies["source_id"].nunique() == GALAXIES
    assert galaxies[["tile", "morphology", "bar_vote_share", "true_bar_length", "psf_fwhm"]].notna().all().all()
    catalogue = pq.read_table(run.results / "catalogue.parquet", columns=["source_id"])["source_id"].to_pylist()
    assert not set(galaxies["source_id"]) & set(catalogue)


def test_most_bars_are_found_and_measured(run: Run, galaxies: pd.DataFrame) -> None:
    function = pq.read_table(run.results / "selection_function.parquet").to_pandas().set_index("quantity")
    every = function.loc["all"]
    assert every["n"] == GALAXIES
    assert every["recovered"] == galaxies["recovered"].sum()
    # 40 galaxies, 37 of them found when this was written.
    assert every["completeness"] >= 0.75
    for name in ("magnitude", "bar_length_over_psf", "axis_ratio"):
        assert function.loc[name, "n"].sum() == GALAXIES
    resolved = galaxies["true_bar_length"] / galaxies["psf_fwhm"]
    long = resolved > resolved.median()
    found = galaxies["recovered"]
    assert found[long].mean() >= 0.75
    miss = np.log(galaxies["bar_length"] / galaxies["true_bar_length"])[found]
    assert abs(miss.median()) < 0.1
    assert miss.abs().median() < 0.15

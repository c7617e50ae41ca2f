"""The programs of the last stages pass their options on as the rules give them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.synthetic_evaluation import report_files
from helpers.synthetic_results import DESCRIPTION, Results, results

from tuningfork.core.tables import read_table


def program(root: Path, name: str, *options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts" / f"{name}.py"), *map(str, options)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def frozen(folder: Path, stage: str, values: dict) -> Path:
    path = folder / f"{stage}.json"
    path.write_text(json.dumps({"stage": stage, "source": "0", "values": values}))
    return path


def catalogue_options(run: Results, folder: Path) -> list[object]:
    values = {"catalogue": {"name": "a run"}, "description": DESCRIPTION.model_dump()}
    options: list[object] = ["--parameters", frozen(folder, "catalogue", values)]
    for stage, paths in run.inputs().items():
        options += [f"--{stage}", *paths]
    outputs = [
        "--output",
        folder / "hats",
        "--table",
        folder / "one.parquet",
        "--accounting",
        folder / "accounting.json",
    ]
    return [*options, *outputs, "--log", folder / "log"]


@pytest.fixture
def run(tmp_path: Path) -> Results:
    return results(tmp_path / "run", galaxies=6)


def test_the_catalogue_program_publishes(root: Path, run: Results, tmp_path: Path) -> None:
    done = program(root, "catalogue", *catalogue_options(run, tmp_path))
    assert done.returncode == 0, done.stderr
    assert read_table(tmp_path / "one.parquet").num_rows == 12
    assert (tmp_path / "hats" / "hats.properties").read_text().count("obs_collection=a run") == 1


def test_a_fault_is_one_line_and_leaves_nothing(root: Path, run: Results, tmp_path: Path) -> None:
    run.paths("structure")[1].write_bytes(b"no Parquet")
    done = program(root, "catalogue", *catalogue_options(run, tmp_path))
    assert done.returncode == 1
    assert f"structure/{run.shards[1].name}.parquet" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr + (tmp_path / "log").read_text()
    assert not (tmp_path / "hats").exists()
    assert not (tmp_path / "one.parquet").exists()


def test_the_report_program_writes_the_page(root: Path, run: Results, tmp_path: Path) -> None:
    files = vars(report_files(run))
    stores = files.pop("stamps")
    files |= {"stamps": [store.table for store in stores], "pixels": [store.pixels for store in stores]}
    options: list[object] = ["--parameters", frozen(tmp_path, "report", {"report": {"gallery": 2}})]
    for name, value in (files | {"output": tmp_path / "report.html"}).items():
        options += [f"--{name.replace('_', '-')}", *(value if isinstance(value, list) else [value])]
    done = program(root, "report", *options)
    assert done.returncode == 0, done.stderr
    assert "</html>" in (tmp_path / "report.html").read_text()

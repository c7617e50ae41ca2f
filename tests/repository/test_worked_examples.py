"""The examples of docs/development/extend.md, applied to a copy of the repository; the survey has its test in pipeline/."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from dag.stub_workflow import StubWorkflow
from helpers.small_networks import stamp_store
from helpers.worked_examples import apply_diff, blocks, copy_repository, section, write_files


class Clone:
    """A copy of the repository to which an example has been applied."""

    def __init__(self, root: Path, folder: Path, heading: str) -> None:
        self.folder = copy_repository(root, folder / "clone")
        text = section(root / "docs" / "development" / "extend.md", heading)
        self.written = write_files(text, self.folder)
        for diff in blocks(text, "diff"):
            apply_diff(diff, self.folder)

    def python(self, *arguments: object, cwd: Path | None = None) -> str:
        """Run Python with the package of the copy, and return what it prints."""
        environment = os.environ | {"PYTHONPATH": str(self.folder / "src")}
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd or self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def test(self, *files: object) -> None:
        """Run tests of the copy."""
        self.python("-m", "pytest", "-q", "-p", "no:cacheprovider", *files)


def test_a_column(root: Path, tmp_path: Path) -> None:
    clone = Clone(root, tmp_path, "A column")
    assert len(clone.written) == 2
    clone.test("tests/unit/measure/structure/test_brightness.py")
    assert "| `surface_brightness` | float | mag / arcsec2 |" in clone.python("-m", "tuningfork.cli", "columns")
    # The stage itself, on small networks.
    clone.test("tests/unit/measure/structure/test_structure.py")


def test_a_vote_question(root: Path, tmp_path: Path) -> None:
    clone = Clone(root, tmp_path, "A vote question")
    clone.test("tests/unit/simulate/test_votes.py")
    assert "| `ring_yes_fraction` | float |" in clone.python("-m", "tuningfork.cli", "columns")
    code = "from tuningfork.surveys.lists.labels.trees.tree import read_tree; print(read_tree('gz2').meaning['ring'])"
    assert "t08_odd_feature.a19_ring" in clone.python("-c", code)
    code = (
        "from tuningfork.networks import compact, model_file\n"
        "try:\n    model_file.load(compact.compact_card('morphology'))\nexcept Exception as error:\n    print(error)"
    )
    assert "start from random weights" in clone.python("-c", code)


@pytest.fixture(scope="module")
def with_stage(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A copy with the stage asymmetry."""
    clone = Clone(root, tmp_path_factory.mktemp("stage"), "A stage")
    assert len(clone.written) == 4
    clone.python("-m", "tuningfork.cli", "config", "--write", ".")
    return clone


def test_a_stage_has_its_jobs_and_reruns_for_its_own_setting_alone(with_stage: Clone, tmp_path: Path) -> None:
    workflow = StubWorkflow.make(with_stage.folder, tmp_path)
    jobs = workflow.jobs_to_run()
    assert jobs["asymmetry"] == jobs["bars"] > 0
    code = "from pathlib import Path; from tuningfork.plan import plan_run; import json, sys; " + (
        "print(json.dumps(plan_run(json.loads(sys.argv[1]), Path.cwd()).tokens))"
    )
    default = json.loads(with_stage.python("-c", code, "{}"))
    changed = json.loads(with_stage.python("-c", code, '{"asymmetry": {"radius": 20.0}}'))
    assert {stage for stage in default if default[stage] != changed[stage]} == {"asymmetry"}


def test_the_program_of_a_stage_measures_and_its_column_reaches_the_catalogue(
    with_stage: Clone, tmp_path: Path
) -> None:
    stamps = stamp_store(tmp_path / "stamps.parquet", 4)
    code = "from pathlib import Path; from tuningfork.plan import plan_run; print(plan_run({}, Path.cwd()).tokens['asymmetry'])"
    (tmp_path / "asymmetry.json").write_text(with_stage.python("-c", code))
    options = ["--stamps", stamps, "--pixels", stamps.with_suffix(".npy"), "--output", tmp_path / "asymmetry.parquet"]
    with_stage.python("scripts/asymmetry.py", "--parameters", tmp_path / "asymmetry.json", *options)
    values = pq.read_table(tmp_path / "asymmetry.parquet")["asymmetry"].to_pylist()
    assert values[0] is None, "the first source has no stamp"
    assert np.all((np.array(values[1:]) > 0) & (np.array(values[1:]) < 1))
    assert "| `asymmetry` | float |" in with_stage.python("-m", "tuningfork.cli", "columns")


def test_a_network(root: Path, tmp_path: Path) -> None:
    clone = Clone(root, tmp_path, "A network")
    assert len(clone.written) == 2
    clone.test("tests/unit/networks/test_clumpiness.py")

"""The rerun matrix: which rules follow from a stage, and which stages read a key or run a module.

It is computed from the workflow, the configuration's models and the imports, and kept in rerun_matrix.yaml, so that a
change of it is seen and judged in review. To write it anew, which takes a minute:

    PYTHONPATH=src:tests python tests/dag/rerun_matrix.py
"""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import BaseModel

from dag.stub_workflow import TINY, StubWorkflow, nested
from tuningfork.core.config import Configuration
from tuningfork.core.stage.parameters import STAGES
from tuningfork.core.stage.source import imported_modules
from tuningfork.plan import plan_run

FILE = Path(__file__).with_suffix(".yaml")
VOTED = str(Path(__file__).with_name("voted.csv"))
"""Votes on galaxies in the shard of the tiny run."""
MEASURED = str(Path(__file__).with_name("measured.csv"))
"""Measured galaxies in the shard of the tiny run."""
WITH_LABELS = {"train.morphology.votes.table": VOTED, "train.structure.measurements.table": MEASURED}
"""What brings the stages that match labels into the workflow."""

MATRIX: dict[str, dict[str, list[str]]] = yaml.safe_load(FILE.read_text()) if FILE.is_file() else {}
STALE: dict[str, set[str]] = {stage: set(rules) for stage, rules in MATRIX.get("stages", {}).items()}
"""Stage -> the rules that must rerun when its frozen parameters change."""

MODULES = [
    "surveys/simulated.py",
    "stamps/cut.py",
    "simulate/light/canvas.py",
    "training/pretrain.py",
    "training/loop.py",
    "training/labels/matching.py",
    "training/sets/balance.py",
    "surveys/lists/labels/trees/tree.py",
    "injection/place.py",
    "explain/saliency.py",
    "explain/gradcam.py",
    "measure/structure/refine.py",
    "measure/bars/maps.py",
    "measure/bars/fourier.py",
    "measure/features/azimuthal.py",
    "catalogue/hats.py",
    "report/page.py",
    "label/queue.py",
    "core/statistics.py",
    "core/columns/bars.py",
    "calibrate/bars.py",
    "evaluate/scores.py",
    "networks/ensemble.py",
    "core/running/progress.py",
    "core/stage/program.py",
    "surveys/des/survey.py",
]
"""Modules whose edits the matrix lists: one of every room and those that many share."""

BRING_LABELS = {
    *(f"train.morphology.votes.{key}" for key in ("table", "vizier")),
    "train.structure.measurements.table",
}
"""Keys that also decide which jobs exist."""
UNUSED_IN_A_SINGLE_FOOTPRINT = {f"sky.footprint.{key}" for key in ("kind", "ra_min", "dec_min", "dec_max")}
IMAGES = tempfile.TemporaryDirectory()
"""Images of a PSF and of the sky and pictures with votes, for keys that name some."""
(Path(IMAGES.name) / "sky").mkdir()
np.save(Path(IMAGES.name) / "psf.npy", np.ones((1, 7, 7)))
np.save(Path(IMAGES.name) / "sky" / "a.npy", np.arange(3 * 32 * 32.0).reshape(3, 32, 32))
np.save(Path(IMAGES.name) / "pictures.npy", np.zeros((1, 2, 1, 8, 8)))
(Path(IMAGES.name) / "pictures.parquet").touch()
OTHER_VALUES = {
    "survey.name": "sdss",
    "bars.method": "paper",
    "saliency.target": "length",
    "saliency.method": "vargrad",
    "saliency.sign": "signed",
    "survey.folder.bands": ["u", "r"],
    "survey.simulated.bands": ["r"],
    "survey.folder.sky": "subtracted",
    "sources.catalogue.kind": "detection",
    "stamps.scale": "fixed",
    "transfer.cache": "elsewhere",
    "survey.sdss.catalogue": "files",
    "survey.legacy.catalogue": "files",
    "survey.euclid.copy_url": "https://copy.example",
    "train.structure.measurements.columns": {"mag": "m"},
    "train.structure.measurements.units": {"r_eff": "arcmin"},
    "train.structure.measurements.extension": 2,
    "train.morphology.votes.columns": {"ra": "RA"},
    "train.morphology.votes.tree": "gz_decals",
    "train.morphology.votes.units": {"ra": "hourangle"},
    "train.morphology.votes.extension": 2,
    "train.morphology.votes.simulated": "bars",
    "train.morphology.picture_votes": f"{IMAGES.name}/pictures.parquet",
    "train.morphology.start": "random",
    "train.structure.start": "random",
    "train.structure.targets": ["mag"],
    "simulate.seeing": [0.8, 1.8],
    "simulate.noise": [0.5, 2.0],
    "simulate.sky_patches": f"{IMAGES.name}/sky",
    "simulate.psf_images": f"{IMAGES.name}/psf.npy",
}
"""Another value of the keys for which :func:`edited` would not find a valid one."""


def changed_rules(stages: Iterable[str]) -> set[str]:
    """Return the rules that must rerun when the frozen parameters of some stages change."""
    return set().union(*(STALE[stage] for stage in stages))


def matrix(repository: Path) -> dict[str, dict[str, list[str]]]:
    """Return the matrix: `stages`, stage -> rules; `keys`, key or section -> stages; `modules`, module -> stages."""
    with tempfile.TemporaryDirectory() as folder:
        workflow = StubWorkflow.make(repository, Path(folder))
        following = rules_following(workflow)
        workflow.configure(WITH_LABELS)
        following = rules_following(workflow) | following
    return {
        "stages": {stage: sorted(following[stage]) for stage in STAGES},
        "keys": {key: sorted(stages) for key, stages in grouped(stages_of_keys(repository)).items()},
        "modules": {module: sorted(stages) for module, stages in stages_of_modules(repository).items()},
    }


def rules_following(workflow: StubWorkflow) -> dict[str, set[str]]:
    """Return stage -> rules of the jobs that depend on its frozen parameters, directly or not."""
    dot = workflow.snakemake("--forceall", "--dag", "--nolock")
    assert dot.returncode == 0, dot.stderr[-3000:]
    labels = dict(re.findall(r'^\s*(\d+)\[label = "([^"]+)"', dot.stdout, re.MULTILINE))
    following: dict[str, set[str]] = {job: set() for job in labels}
    for before, after in re.findall(r"^\s*(\d+) -> (\d+)", dot.stdout, re.MULTILINE):
        following[before].add(after)
    found: dict[str, set[str]] = {}
    for job, label in labels.items():
        if stage := re.fullmatch(r"parameters\\nstage: (.+)", label):
            found[stage[1]] = {labels[after].split("\\n")[0] for after in reached(job, following)} - {"all", "publish"}
    return found


def reached(job: str, following: dict[str, set[str]]) -> set[str]:
    """Return all jobs that follow from one."""
    jobs: set[str] = set()
    waiting = [job]
    while waiting:
        new = following[waiting.pop()] - jobs
        jobs |= new
        waiting += new
    return jobs


def stages_of_keys(root: Path) -> dict[str, set[str]]:
    """Return key -> stages whose frozen parameters another value of it changes, without those that decide which jobs exist."""
    before = plan_run(TINY, root).tokens
    found: dict[str, set[str]] = {}
    for key, (value, plan) in leaves(Configuration()).items():
        if plan or key in BRING_LABELS | UNUSED_IN_A_SINGLE_FOOTPRINT:
            continue
        after = plan_run(nested(TINY, {key: edited(key, value)}), root).tokens
        found[key] = {stage for stage in before if before[stage] != after[stage]}
    return found


def grouped(stages: dict[str, set[str]], above: str = "") -> dict[str, set[str]]:
    """Return the same with one entry for a section whose keys all have the same stages."""
    found: dict[str, set[str]] = {}
    inside = [key for key in stages if key.startswith(above)]
    for name in dict.fromkeys(key.removeprefix(above).split(".")[0] for key in inside):
        section = {key: stages[key] for key in inside if key == f"{above}{name}" or key.startswith(f"{above}{name}.")}
        if all(value == next(iter(section.values())) for value in section.values()):
            found[f"{above}{name}"] = next(iter(section.values()))
        else:
            found |= grouped(section, f"{above}{name}.")
    return found


def stages_of_modules(root: Path) -> dict[str, set[str]]:
    """Return module -> stages whose source hash it is part of."""
    found: dict[str, set[str]] = {module: set() for module in MODULES}
    for stage in STAGES:
        modules = imported_modules(root / "scripts" / f"{stage.split('-')[0]}.py", "simulated")
        for module in MODULES:
            if f"tuningfork.{module.removesuffix('.py').replace('/', '.')}" in modules:
                found[module].add(stage)
    return found


def leaves(section: BaseModel, above: str = "", plan: bool = False) -> dict[str, tuple[Any, bool]]:
    """Return dotted key -> its default value, and whether only the plan reads it, for the whole configuration."""
    found: dict[str, tuple[Any, bool]] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        only = plan or bool(isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("plan"))
        if isinstance(value, BaseModel):
            found |= leaves(value, f"{above}{name}.", only)
        else:
            found[f"{above}{name}"] = value, only
    return found


def edited(key: str, value: Any) -> Any:
    """Return another valid value of a key."""
    if key in OTHER_VALUES:
        return OTHER_VALUES[key]
    for other in candidates(value):
        try:
            Configuration.model_validate(nested(TINY, {key: other}))
        except ValueError:
            continue
        return other
    raise AssertionError(f"no other valid value of {key}: add one to OTHER_VALUES")


def candidates(value: Any) -> list[Any]:
    """Return values to try."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value * 1.01 + 0.01, value * 0.9]
    return [1.0, f"{value}x"]


def text(content: dict[str, dict[str, list[str]]]) -> str:
    """Return the content of the file."""
    head = f"# Written by tests/dag/{Path(__file__).name}: what reruns when something changes.\n"
    return head + yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=116)


if __name__ == "__main__":
    FILE.write_text(text(matrix(Path(__file__).resolve().parents[2])))

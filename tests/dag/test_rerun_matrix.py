"""Which rules an edit makes stale: every key of the configuration, and a helper module of every stage."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import BaseModel

from dag.stub_workflow import TINY, StubWorkflow, nested
from tuningfork.core.config import Configuration
from tuningfork.plan import plan_run

INJECTED = {"inject", "selection", "report"}
FROM_STAMPS = {
    "classify",
    "structure",
    "saliency",
    "bars",
    "features",
    "catalogue",
    "explain",
    "queue_labels",
    "report",
}
FROM_MORPHOLOGY = FROM_STAMPS - {"structure"} | {"agreement", "evaluate", "bias"} | INJECTED
FROM_STRUCTURE = {
    "profiles",
    "evaluate",
    "bias",
    "structure",
    "bars",
    "features",
    "catalogue",
    "queue_labels",
} | INJECTED
STALE: dict[str, set[str]] = {
    "sources": {"sources", "tiles", "stamps"} | FROM_STAMPS | INJECTED,
    "tiles": {"tiles", "stamps"} | FROM_STAMPS | INJECTED,
    "stamps": {"stamps"} | FROM_STAMPS,
    "simulate": {"simulate", "pretrain", "train", "profiles", "agreement", "evaluate", "bias"} | FROM_STAMPS | INJECTED,
    "pretrain": {"pretrain", "train"} | FROM_MORPHOLOGY,
    "match_measurements": {"train"} | FROM_STRUCTURE,
    "match_votes": {"train"} | FROM_MORPHOLOGY,
    "train-morphology": {"train"} | FROM_MORPHOLOGY,
    "train-structure": {"train"} | FROM_STRUCTURE,
    "profiles": FROM_STRUCTURE,
    "agreement": {
        "agreement",
        "evaluate",
        "bias",
        "classify",
        "bars",
        "features",
        "catalogue",
        "explain",
        "queue_labels",
    }
    | INJECTED,
    "evaluate": {"evaluate", "bias", "bars", "features", "catalogue", "queue_labels"} | INJECTED,
    "bias": {"bias", "report"},
    "classify": {"classify", "bars", "features", "catalogue", "explain", "queue_labels", "report"},
    "structure": {"structure", "bars", "catalogue", "queue_labels", "report"},
    "saliency": {"saliency", "bars", "catalogue", "queue_labels", "report"},
    "bars": {"bars", "catalogue", "queue_labels", "report"},
    "features": {"features", "catalogue", "queue_labels", "report"},
    "inject": INJECTED,
    "selection": {"selection", "report"},
    "catalogue": {"catalogue", "queue_labels", "report"},
    "explain": {"explain", "report"},
    "queue_labels": {"queue_labels"},
    "report": {"report"},
}
"""Stage -> the rules that must rerun when its frozen parameters change, worked out by hand from the design."""

VOTED = str(Path(__file__).with_name("voted.csv"))
"""Votes on galaxies in the shard of the tiny run."""
MEASURED = str(Path(__file__).with_name("measured.csv"))
"""Measured galaxies in the shard of the tiny run."""

READERS: dict[str, set[str]] = {
    "seed": set(STALE)
    - {
        "match_measurements",
        "match_votes",
        "profiles",
        "classify",
        "structure",
        "bars",
        "catalogue",
        "queue_labels",
        "report",
    },
    "survey.name": {"sources", "tiles", "stamps", "inject", "catalogue"},
    "survey.simulated": {"sources", "tiles", "stamps", "inject"},
    "survey.simulated.bands": {"sources", "tiles", "stamps", "simulate", "inject", "catalogue"},
    "survey.sdss": set(),
    "survey.legacy": set(),
    "survey.euclid": set(),
    "survey.panstarrs": set(),
    "survey.des": set(),
    "survey.folder": set(),
    "sources": {"sources"},
    "transfer": set(),
    "stamps": {"tiles", "stamps", "simulate", "inject"},
    "simulate": {"simulate"},
    "simulate.population": {"simulate", "inject"},
    "pretrain": {"pretrain"},
    "train.morphology": {"train-morphology"},
    **{
        f"train.morphology.votes.{key}": {"match_votes", "train-morphology"}
        for key in ("table", "vizier", "tap_url", "tree", "columns", "match_radius")
    },
    "train.structure": {"train-structure"},
    **{
        f"train.structure.measurements.{key}": {"match_measurements", "train-structure"}
        for key in ("table", "columns", "match_radius")
    },
    "evaluate": {"evaluate"},
    "classify": {"classify", "agreement", "evaluate", "bias", "inject"},
    "structure": {"structure", "profiles"},
    "saliency": {"saliency", "evaluate", "inject"},
    "bars": {"bars", "evaluate", "inject"},
    "features": {"features", "evaluate"},
    "selection": {"inject"},
    "catalogue": {"catalogue"},
    "explain": {"explain"},
    "label": {"queue_labels"},
    "report": {"report"},
}
"""Section -> the stages whose frozen parameters contain it."""

GROWS: dict[str, tuple[Any, set[str]]] = {
    "sky.footprint.ra_max": (210.5, STALE["sources"]),
    "sky.shard_order": (9, STALE["sources"]),
    "simulate.size": (300, STALE["simulate"]),
    "selection.shards": (9, set()),
    "pretrain.shards": (["8-416155"], {"sources", "tiles", "stamps"} | STALE["pretrain"]),
    "train.morphology.members": (3, STALE["train-morphology"]),
    "train.morphology.votes.table": (VOTED, {"match_votes"} | STALE["match_votes"]),
    "train.morphology.votes.vizier": ("J/MNRAS/435/2835/table5", {"match_votes"} | STALE["match_votes"]),
    "train.morphology.votes.shards": (["8-416155"], set()),
    "train.morphology.votes.max_shards": (65, set()),
    "train.structure.members": (3, STALE["train-structure"]),
    "train.structure.measurements.table": (MEASURED, {"match_measurements"} | STALE["match_measurements"]),
    "train.structure.measurements.max_shards": (65, set()),
}
"""Keys that only decide which jobs exist, a value that makes more of them, and the rules that then have work."""

UNUSED_IN_A_SINGLE_FOOTPRINT = {f"sky.footprint.{key}": None for key in ("kind", "ra_min", "dec_min", "dec_max")}
IMAGES = tempfile.TemporaryDirectory()
"""Images of a PSF and of the sky, for keys that name some."""
(Path(IMAGES.name) / "sky").mkdir()
np.save(Path(IMAGES.name) / "psf.npy", np.ones((1, 7, 7)))
np.save(Path(IMAGES.name) / "sky" / "a.npy", np.arange(3 * 32 * 32.0).reshape(3, 32, 32))
SPECIAL = {
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
    "train.structure.measurements.columns": {"mag": "m"},
    "train.morphology.votes.columns": {"ra": "RA"},
    "train.morphology.votes.simulated": "bars",
    "train.morphology.start": "random",
    "train.structure.start": "random",
    "train.structure.targets": ["mag"],
    "simulate.seeing": [0.8, 1.8],
    "simulate.noise": [0.5, 2.0],
    "simulate.sky_patches": f"{IMAGES.name}/sky",
    "simulate.psf_images": f"{IMAGES.name}/psf.npy",
}


def leaves(section: BaseModel, above: str = "") -> dict[str, Any]:
    """Return dotted key -> default value for every key of the configuration."""
    found: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        found |= leaves(value, f"{above}{name}.") if isinstance(value, BaseModel) else {f"{above}{name}": value}
    return found


def edited(key: str, value: Any) -> Any:
    """Return another valid value of a key."""
    if key in SPECIAL:
        return SPECIAL[key]
    for other in candidates(value):
        try:
            Configuration.model_validate(nested(TINY, {key: other}))
        except ValueError:
            continue
        return other
    raise AssertionError(f"no other valid value of {key} found: add one to SPECIAL")


def candidates(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value * 1.01 + 0.01, value * 0.9]
    return [1.0, f"{value}x"]


def readers(key: str) -> set[str]:
    """Return the stages whose frozen parameters should hold a key."""
    return READERS[max((name for name in READERS if key == name or key.startswith(name + ".")), key=len)]


def rules(workflow: StubWorkflow, changes: dict[str, Any], folder: Path) -> set[str]:
    """Return the rules that a dry run with changed keys announces."""
    path = folder / f"{next(iter(changes))}.yaml"
    path.write_text(yaml.safe_dump(nested(TINY, changes)))
    return set(workflow.jobs_to_run("--configfile", str(path), "--nolock")) - {"parameters"}


def test_every_key_is_frozen_into_exactly_its_stages(root: Path) -> None:
    keys = leaves(Configuration())
    before = plan_run(TINY, root).tokens
    frozen = [key for key in keys if key not in GROWS | UNUSED_IN_A_SINGLE_FOOTPRINT]
    for key in frozen:
        after = plan_run(nested(TINY, {key: edited(key, keys[key])}), root).tokens
        assert {stage for stage in before if before[stage] != after[stage]} == readers(key), key


def test_every_set_of_stages_makes_exactly_its_rules_stale(finished: StubWorkflow, tmp_path: Path) -> None:
    """Jobs read frozen parameters alone, so one key for each set of stages that hold the same keys is enough."""
    keys = leaves(Configuration())
    representatives = {frozenset(readers(key)): key for key in keys if not key.startswith("sky.") and key not in GROWS}
    idle = representatives.pop(frozenset())
    matrix = {
        key: (edited(key, keys[key]), set().union(*(STALE[stage] for stage in stages)))
        for stages, key in representatives.items()
    }
    matrix |= GROWS | {idle: (edited(idle, keys[idle]), set())}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        plans = pool.map(lambda key: rules(finished, {key: matrix[key][0]}, tmp_path), matrix)
        found = dict(zip(matrix, plans, strict=True))
    wrong = {key: (found[key], matrix[key][1]) for key in matrix if found[key] != matrix[key][1]}
    assert not wrong, "\n".join(
        f"{key}: reruns {a - b or ''}, does not rerun {b - a or ''}" for key, (a, b) in wrong.items()
    )


def test_growing_a_run_keeps_what_is_there(finished: StubWorkflow, tmp_path: Path) -> None:
    """More sky leaves the networks and the finished shards alone; more galaxies leave the finished parts alone."""
    path = tmp_path / "grown.yaml"
    path.write_text(yaml.safe_dump(nested(TINY, {"sky.footprint.ra_max": 210.5})))
    jobs = finished.jobs_to_run("--configfile", str(path), "--nolock")
    more = jobs["sources"]
    assert more > 1
    assert all(
        jobs[rule] == more for rule in ("tiles", "stamps", "classify", "structure", "saliency", "bars", "features")
    )
    assert not {"simulate", "train", "pretrain", "profiles", "agreement", "evaluate", "bias"} & set(jobs)
    path.write_text(yaml.safe_dump(nested(TINY, {"simulate.size": 300})))
    assert finished.jobs_to_run("--configfile", str(path), "--nolock")["simulate"] == 1


HELPERS = {
    "surveys/simulated.py": STALE["sources"],
    "stamps/cut.py": STALE["stamps"] | INJECTED,
    "training/parts.py": STALE["simulate"],
    "training/pretrain.py": STALE["pretrain"],
    "training/matching.py": set(),
    "surveys/lists/trees/tree.py": set(),
    "training/balance.py": STALE["pretrain"] | STALE["train-structure"],
    "measure/vote_evaluation.py": STALE["agreement"],
    "training/loop.py": STALE["pretrain"] | STALE["train-structure"],
    "measure/classify.py": STALE["classify"] | STALE["agreement"],
    "measure/structure.py": STALE["profiles"],
    "measure/logistic.py": STALE["bias"],
    "measure/selection/place.py": INJECTED,
    "explain/saliency.py": STALE["saliency"] | STALE["evaluate"] | STALE["explain"],
    "measure/bar_maps.py": STALE["bars"] | STALE["evaluate"],
    "measure/azimuthal.py": STALE["features"] | STALE["evaluate"],
    "explain/gradcam.py": STALE["explain"],
    "catalogue/hats.py": STALE["catalogue"],
    "report/page.py": STALE["report"],
    "label/queue.py": STALE["queue_labels"],
}
"""A helper module of every stage, and the rules that an edit of it must make stale."""


@pytest.mark.parametrize("module", HELPERS)
def test_an_edited_helper_makes_exactly_its_rules_stale(own: StubWorkflow, module: str) -> None:
    path = own.root / "src" / "tuningfork" / module
    path.write_text(path.read_text() + "\n\nEDITED = True\n")
    assert set(own.jobs_to_run()) - {"parameters"} == HELPERS[module]


def test_touched_files_reordered_keys_and_new_comments_rerun_nothing(own: StubWorkflow) -> None:
    for path in [*own.root.rglob("*.py"), *own.root.rglob("*.smk"), own.root / "Snakefile"]:
        os.utime(path)
    module = own.root / "src" / "tuningfork" / "measure" / "bars.py"
    module.write_text(module.read_text() + "\n# a comment\n")
    own.write_configuration(dict(reversed(TINY.items())) | {"seed": Configuration().seed})
    assert own.jobs_to_run() == {}


def test_a_restored_configuration_is_clean(own: StubWorkflow) -> None:
    own.configure({"bars.method": "paper"})
    own.run()
    own.configure({})
    own.run()
    assert own.jobs_to_run() == {}


def test_new_votes_make_exactly_the_training_stages_stale(own: StubWorkflow) -> None:
    votes = own.directory / "labels" / "votes.parquet"
    votes.parent.mkdir()
    votes.with_suffix(".npy").write_text("stamps")
    votes.write_text("votes")
    assert set(own.jobs_to_run()) == STALE["train-morphology"]
    assert own.jobs_to_run()["train"] == Configuration().train.morphology.members


def test_measured_galaxies_reach_the_structure_networks_alone(own: StubWorkflow, tmp_path: Path) -> None:
    """A table adds one job and their training; its content, or how it is matched, repeats both and cuts no stamp."""
    table = tmp_path / "measured.csv"
    table.write_text(Path(MEASURED).read_text())
    own.configure({"train.structure.measurements.table": str(table)})
    before = own.jobs_to_run()
    assert before["train"] == Configuration().train.structure.members
    own.run()
    assert own.jobs_to_run() == {}
    table.write_text(Path(MEASURED).read_text().replace("16.2", "16.3"))
    assert set(own.jobs_to_run()) - {"parameters"} == {"match_measurements"} | STALE["match_measurements"]
    table.write_text(Path(MEASURED).read_text())
    own.configure({"train.structure.measurements.table": str(table), "train.structure.measurements.epochs": 7})
    assert set(own.jobs_to_run()) - {"parameters"} == STALE["train-structure"]


def test_votes_of_people_reach_the_morphology_networks_alone(own: StubWorkflow, tmp_path: Path) -> None:
    """A table adds one job and their training; its content, or how it is matched, repeats both and cuts no stamp."""
    table = tmp_path / "voted.csv"
    table.write_text(Path(VOTED).read_text())
    own.configure({"train.morphology.votes.table": str(table)})
    before = own.jobs_to_run()
    assert before["train"] == Configuration().train.morphology.members
    assert before["match_votes"] == 1
    own.run()
    assert own.jobs_to_run() == {}
    table.write_text(Path(VOTED).read_text().replace("20", "21"))
    assert set(own.jobs_to_run()) - {"parameters"} == {"match_votes"} | STALE["match_votes"]
    table.write_text(Path(VOTED).read_text())
    own.configure({"train.morphology.votes.table": str(table), "train.morphology.balance": 0.5})
    assert set(own.jobs_to_run()) - {"parameters"} == STALE["train-morphology"]


def test_measured_galaxies_elsewhere_bring_their_shards(own: StubWorkflow, tmp_path: Path) -> None:
    table = tmp_path / "measured.csv"
    table.write_text("ra,dec,mag\n211.5,0.11,16\n")
    own.configure({"train.structure.measurements.table": str(table)})
    jobs = own.jobs_to_run()
    assert {rule: jobs[rule] for rule in ("sources", "tiles", "stamps")} == dict.fromkeys(
        ("sources", "tiles", "stamps"), 1
    )
    assert jobs.get("saliency", 0) == 0

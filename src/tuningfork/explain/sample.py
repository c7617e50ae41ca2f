"""Why the networks say so, for a sample of the sources across all classes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from tuningfork.core.decision_tree import answers, questions
from tuningfork.core.files import new_array
from tuningfork.core.progress import track
from tuningfork.core.seeds import generator_for
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import detail_of, lineage_of, read_table, require_same_sources, write_table
from tuningfork.explain.adversarial import smallest_flip
from tuningfork.explain.gradcam import gradcam
from tuningfork.explain.importance import RINGS, band_importance, ring_importance
from tuningfork.networks.ensemble import Ensemble, load_ensemble
from tuningfork.networks.inputs import measurable, prepare
from tuningfork.stamps.store import StampFiles, open_store

DECISIVE = {
    "elliptical": "smooth_or_featured_smooth",
    "spiral": "spiral_arms_yes",
    "barred_spiral": "bar_yes",
    "edge_on": "edge_on_yes",
    "merger": "merging_merger",
    "artifact": "smooth_or_featured_artifact",
}
"""The answer that makes a galaxy a member of its class; it is what is explained."""


class Committee(nn.Module):
    """The mean of an ensemble, as one network."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, inputs: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        """Return the means of the concentrations and of the bar logits."""
        found = [member(inputs, conditions) for member in self.members]
        return {key: torch.stack([one[key] for one in found]).mean(0) for key in ("concentrations", "bar_logit")}


def explain_sample(
    parameters: Parameters,
    stamps: Sequence[Path],
    morphology: Sequence[Path],
    models: Sequence[Path],
    output: Path,
    maps: Path,
) -> None:
    """Write the explanations of a sample of the sources.

    Parameters
    ----------
    parameters : Parameters
        Of the stage explain.
    stamps, morphology : sequence of Path
        Tables of all shards, in the same order.
    models : sequence of Path
        Cards of the morphology networks.
    output : Path
        One row for every explained source: its class, the answer that decides the class and its expected vote
        fraction; what that fraction loses without each band (`band_{band}`) and without the structure in each ring
        (`ring_{name}`); the smallest step that turns the bar answer (`adversarial_step`).
    maps : Path
        .npy, float16 (K, S, S): Grad-CAM of the answer, in the order of the rows.
    """
    ensemble = load_ensemble(models, "morphology")
    places, classes = candidates(stamps, morphology, ensemble)
    generator = generator_for(parameters.configuration.seed, "explain")
    chosen = sorted(choose(classes, parameters.configuration.explain.sources, generator))
    size = (
        open_store(StampFiles.beside(stamps[0]), ensemble.bands, ensemble.reference_band)[1].shape[-1] if stamps else 0
    )
    rows = []
    with new_array(maps, (len(chosen), size, size), np.float16) as cams:
        for place in track(range(len(chosen)), "explanations", len(chosen)):
            shard, row, source_id = places[chosen[place]]
            values, cams[place] = explain_one(ensemble, stamps[shard], row, classes[chosen[place]])
            rows.append({"source_id": source_id, "shard": detail_of(stamps[shard], "shard"), "row": row, **values})
    table = pa.Table.from_pylist(rows, schema=schema(ensemble.bands))
    lineage = parameters.lineage(lineage_of(*stamps, *morphology, *models))
    write_table(
        output, table, lineage, bands=ensemble.bands, rings={name: list(edges) for name, edges in RINGS.items()}
    )


def schema(bands: Sequence[str]) -> pa.Schema:
    """Return the columns of explanations.parquet."""
    numbers = [
        "fraction",
        *(f"band_{band}" for band in bands),
        *(f"ring_{name}" for name in RINGS),
        "bar_logit",
        "adversarial_step",
    ]
    return pa.schema(
        [
            ("source_id", pa.int64()),
            ("shard", pa.string()),
            ("row", pa.int64()),
            ("morphology", pa.string()),
            ("answer", pa.string()),
            *((name, pa.float32()) for name in numbers),
        ]
    )


def candidates(
    stamps: Sequence[Path], morphology: Sequence[Path], ensemble: Ensemble
) -> tuple[list[tuple[int, int, int]], list[str]]:
    """Return (shard, row, source_id) and class of every source that has both stamp and class, by source_id."""
    found = []
    for shard, (stamp_path, class_path) in enumerate(zip(stamps, morphology, strict=True)):
        rows, classes = read_table(stamp_path), read_table(class_path, ["source_id", "morphology"])
        require_same_sources(rows, classes, class_path)
        names = classes["morphology"].cast(pa.string()).to_pylist()
        readable = measurable(rows, ensemble.reference_band)
        for row, (source_id, name) in enumerate(zip(rows["source_id"].to_pylist(), names, strict=True)):
            if name is not None and readable[row]:
                found.append((source_id, shard, row, name))
    found.sort()
    return [(shard, row, source_id) for source_id, shard, row, _ in found], [name for *_, name in found]


def choose(classes: Sequence[str], number: int, generator: np.random.Generator) -> list[int]:
    """Return `number` places of `classes`, the classes in turn, each class in random order."""
    names = np.array(classes, dtype=str)
    queues = [list(generator.permutation(np.flatnonzero(names == name))) for name in sorted(set(classes))]
    chosen: list[int] = []
    while len(chosen) < number and any(queues):
        for queue in queues:
            if queue and len(chosen) < number:
                chosen.append(int(queue.pop()))
    return chosen


def explain_one(ensemble: Ensemble, stamps: Path, row: int, name: str) -> tuple[dict[str, Any], np.ndarray]:
    """Return the explanation of one source of class `name` and its (S, S) Grad-CAM map."""
    table, pixels = open_store(StampFiles.beside(stamps), ensemble.bands, ensemble.reference_band)
    inputs, conditions = prepare(pixels[row : row + 1], table.slice(row, 1), ensemble.bands, ensemble.reference_band)
    inputs, conditions = inputs.to(ensemble.device), conditions.to(ensemble.device)
    label = DECISIVE[name]
    committee = Committee(ensemble.members).eval()
    cams = [
        gradcam(member, member.trunk.encoder.sixteenth, inputs, conditions, _log_odds(label))  # type: ignore[union-attr, arg-type]
        for member in ensemble.members
    ]
    with torch.no_grad():
        answer = _fraction(committee, conditions, label)
        bands, rings = band_importance(answer, inputs)[0], ring_importance(answer, inputs)[0]
        fraction = float(answer(inputs)[0])
        logit = float(committee(inputs, conditions)["bar_logit"][0])
    values = {"morphology": name, "answer": label, "fraction": fraction, "bar_logit": logit}
    values |= {f"band_{band}": float(loss) for band, loss in zip(ensemble.bands, bands, strict=True)}
    values |= {f"ring_{ring}": float(loss) for ring, loss in zip(RINGS, rings, strict=True)}
    step = smallest_flip(committee, inputs, conditions)[0]
    values["adversarial_step"] = float(step) if np.isfinite(step) else None
    return values, torch.stack(cams).mean(0)[0].cpu().numpy()


def _places(label: str) -> tuple[int, slice]:
    """Return the place of an answer in a vector of all answers and those of its question's answers."""
    place = answers().index(label)
    return place, next(entry.slice for entry in questions() if label in entry.labels)


def _fraction(model: nn.Module, conditions: Tensor, label: str) -> Callable[[Tensor], Tensor]:
    """Return the function from inputs to the expected vote fraction of an answer."""
    place, question = _places(label)

    def fraction(inputs: Tensor) -> Tensor:
        concentrations = model(inputs, conditions.expand(len(inputs), -1))["concentrations"]
        return concentrations[:, place] / concentrations[:, question].sum(1)

    return fraction


def _log_odds(label: str) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """Return the function from a prediction to the log ratio of the expected votes for and against an answer."""
    place, question = _places(label)

    def log_odds(prediction: Mapping[str, Tensor]) -> Tensor:
        concentrations = prediction["concentrations"]
        ours = concentrations[:, place]
        return torch.log(ours) - torch.log(concentrations[:, question].sum(1) - ours)

    return log_odds

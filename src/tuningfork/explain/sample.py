"""Explanations of the networks' answers for a sample of the sources across all classes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from tuningfork.core.checksums import row_checksums
from tuningfork.core.decision_tree import answers, questions
from tuningfork.core.files import new_array
from tuningfork.core.running.progress import track
from tuningfork.core.seeds import generator_for
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import detail_of, lineage_of, read_table, require_same_sources, write_table
from tuningfork.explain.adversarial import smallest_flip
from tuningfork.explain.gradcam import gradcam
from tuningfork.explain.importance import REGIONS, band_importance, region_importance
from tuningfork.networks.ensemble import Ensemble, load_ensemble
from tuningfork.networks.inputs import measurable, prepare
from tuningfork.stamps.store import CHECKSUM_COLUMN, StampFiles, open_store

DECISIVE_ANSWERS = {
    "smooth": "smooth_or_featured_smooth",
    "disc": "smooth_or_featured_featured",
    "spiral": "spiral_arms_yes",
    "barred_disc": "bar_yes",
    "barred_spiral": "bar_yes",
    "edge_on": "edge_on_yes",
    "merger": "merging_merger",
    "artifact": "smooth_or_featured_artifact",
}
"""Class -> the answer that makes a galaxy a member of it, which is explained."""


class Committee(nn.Module):
    """The mean of an ensemble, as one network."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, inputs: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        """Return the means over the members.

        Parameters
        ----------
        inputs : Tensor
            (N, B, S, S) network inputs.
        conditions : Tensor
            (N, C)

        Returns
        -------
        dict
            `concentrations` (N, A) and `bar_logit` (N,).
        """
        predictions = [member(inputs, conditions) for member in self.members]
        names = ("concentrations", "bar_logit")
        return {name: torch.stack([prediction[name] for prediction in predictions]).mean(0) for name in names}


def explain_sample(
    parameters: Parameters,
    *,
    stamps: Sequence[StampFiles],
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
    stamps : sequence of StampFiles
        Of all shards.
    morphology : sequence of Path
        Tables of their classes, in the same order.
    models : sequence of Path
        Cards of the morphology networks.
    output : Path
        One row per explained source: its class, the answer that decides the class and the expected vote fraction of
        this answer; how much the fraction falls without each band (`band_{band}`) and without the structure in each
        ring (`ring_{name}`); the smallest step that changes the bar answer (`adversarial_step`); the checksum of its map.
    maps : Path
        .npy, float16 (K, S, S): Grad-CAM of the answer, in the order of the rows.
    """
    ensemble = load_ensemble(models, "morphology")
    stores = [open_store(files, ensemble.bands, ensemble.reference_band) for files in stamps]
    sources = candidates([table for table, _ in stores], morphology, ensemble.reference_band)
    generator = generator_for(parameters.configuration.seed, "explain")
    places = sorted(choose([source.kind for source in sources], parameters.configuration.explain.sources, generator))
    size = stores[0][1].shape[-1] if stores else 0
    rows = []
    with new_array(maps, (len(places), size, size), np.float16) as cams:
        for number, place in track(enumerate(places), "explanations", len(places)):
            source = sources[place]
            table, pixels = stores[source.shard]
            part = slice(source.row, source.row + 1)
            values, cams[number] = explain_one(ensemble, table.slice(source.row, 1), pixels[part], source.kind)
            shard = detail_of(stamps[source.shard].table, "shard")
            checksum = int(row_checksums(cams[number : number + 1])[0])
            place_of = {"source_id": source.source_id, "shard": shard, "row": source.row}
            rows.append(place_of | values | {CHECKSUM_COLUMN: checksum})
    table = pa.Table.from_pylist(rows, schema=schema(ensemble.bands))
    tables = [files.table for files in stamps]
    lineage = parameters.lineage(lineage_of(*tables, *morphology, *models))
    rings = {name: list(edges) for name, edges in REGIONS.items()}
    write_table(output, table, lineage, bands=ensemble.bands, rings=rings)


def schema(bands: Sequence[str]) -> pa.Schema:
    """Return the columns of explanations.parquet."""
    numbers = [
        "fraction",
        *(f"band_{band}" for band in bands),
        *(f"ring_{name}" for name in REGIONS),
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
            (CHECKSUM_COLUMN, pa.uint32()),
        ]
    )


class Candidate(NamedTuple):
    """A source that can be explained: its identifier, where its stamp is, and its class."""

    source_id: int
    shard: int
    row: int
    kind: str


def candidates(stamps: Sequence[pa.Table], morphology: Sequence[Path], reference_band: str) -> list[Candidate]:
    """Return every source that has both a usable stamp and a class.

    Parameters
    ----------
    stamps : sequence of pyarrow.Table
        The stamps' tables of all shards.
    morphology : sequence of Path
        Tables of their classes, in the same order.
    reference_band : str

    Returns
    -------
    list of Candidate
        Sorted by identifier.
    """
    sources = []
    for shard, (rows, class_path) in enumerate(zip(stamps, morphology, strict=True)):
        classes = read_table(class_path, ["source_id", "morphology"])
        require_same_sources(rows, classes, class_path)
        names = classes["morphology"].cast(pa.string()).to_pylist()
        readable = measurable(rows, reference_band)
        for row, (source_id, name) in enumerate(zip(rows["source_id"].to_pylist(), names, strict=True)):
            if name is not None and readable[row]:
                sources.append(Candidate(source_id, shard, row, name))
    return sorted(sources)


def choose(classes: Sequence[str], number: int, generator: np.random.Generator) -> list[int]:
    """Choose some sources, from each class in turn and in random order within a class.

    Parameters
    ----------
    classes : sequence of str
        Of the sources.
    number : int
        How many to choose, if there are as many.
    generator : numpy Generator

    Returns
    -------
    list of int
        Indices into `classes`.
    """
    names = np.array(classes, dtype=str)
    queues = [list(generator.permutation(np.flatnonzero(names == name))) for name in sorted(set(classes))]
    chosen: list[int] = []
    while len(chosen) < number and any(queues):
        for queue in queues:
            if queue and len(chosen) < number:
                chosen.append(int(queue.pop()))
    return chosen


def explain_one(ensemble: Ensemble, row: pa.Table, stamp: np.ndarray, kind: str) -> tuple[dict[str, Any], np.ndarray]:
    """Explain one source.

    Parameters
    ----------
    ensemble : Ensemble
    row : pyarrow.Table
        The row of its stamp.
    stamp : ndarray
        (1, 2, B, S, S)
    kind : str
        Its class.

    Returns
    -------
    values : dict
        Column -> value.
    cam : ndarray
        (S, S), Grad-CAM of the answer that decides the class.
    """
    inputs, conditions = prepare(stamp, row, ensemble.bands, ensemble.reference_band)
    inputs, conditions = inputs.to(ensemble.device), conditions.to(ensemble.device)
    answer = DECISIVE_ANSWERS[kind]
    committee = Committee(ensemble.members).eval()
    cams = [
        gradcam(member, member.trunk.encoder.sixteenth, inputs, conditions, _log_odds(answer))  # type: ignore[union-attr, arg-type]
        for member in ensemble.members
    ]
    with torch.no_grad():
        fraction_of = _fraction(committee, conditions, answer)
        bands, regions = band_importance(fraction_of, inputs)[0], region_importance(fraction_of, inputs)[0]
        fraction = float(fraction_of(inputs)[0])
        logit = float(committee(inputs, conditions)["bar_logit"][0])
    values = {"morphology": kind, "answer": answer, "fraction": fraction, "bar_logit": logit}
    values |= {f"band_{band}": float(loss) for band, loss in zip(ensemble.bands, bands, strict=True)}
    values |= {f"ring_{name}": float(loss) for name, loss in zip(REGIONS, regions, strict=True)}
    step = smallest_flip(committee, inputs, conditions)[0]
    values["adversarial_step"] = float(step) if np.isfinite(step) else None
    return values, torch.stack(cams).mean(0)[0].cpu().numpy()


def _places(label: str) -> tuple[int, slice]:
    """Return the index of an answer among all answers, and the slice of its question's answers."""
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
        votes_for = concentrations[:, place]
        return torch.log(votes_for) - torch.log(concentrations[:, question].sum(1) - votes_for)

    return log_odds

"""Which sources an astronomer should look at first.

Most places of the queue go to the sources from whose label the network would learn most, those with the largest
mutual information between the next volunteer's answers and the vote fractions (BALD, Houlsby+ 2011, arXiv:1112.5745;
for galaxies Walmsley+ 2020, MNRAS 491, 1554). The network predicts a Dirichlet distribution of the fractions, so
the information has a closed form. The other places go to classes that are rare in the catalogue, of which a training
set has too few.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.special import digamma, xlogy

from tuningfork.core.decision_tree import answers, question, questions
from tuningfork.core.flags import Flag
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import detail_of, lineage_of, numpy_column, read_table, require_same_sources, write_table

UNSUITABLE_FLAGS = Flag.NO_SIGNAL | Flag.DUPLICATE_ID
"""Flags of sources that are not queued: nothing can be seen, or an answer could not be assigned."""


def build_queue(
    parameters: Parameters, *, morphology: Sequence[Path], stamps: Sequence[Path], catalogue: Path, output: Path
) -> None:
    """Write the sources to label, the most useful first.

    Parameters
    ----------
    parameters : Parameters
        Parameters of the stage `queue_labels`.
    morphology, stamps : sequence of Path
        Tables of the same shards, in the same order.
    catalogue : Path
        The published catalogue, for positions and for how common the classes are.
    output : Path
        Table with `source_id`, `shard`, `row` (in the shard's tables), `ra`, `dec` (deg), `score` (nat) and `reason`.

    Raises
    ------
    InputError
        A table is missing, or those of a shard hold different sources.
    """
    settings = parameters.configuration.label
    candidates = pa.concat_tables([_candidates(votes, table) for votes, table in zip(morphology, stamps, strict=True)])
    score = numpy_column(candidates, "score")
    kinds = candidates["morphology"].to_numpy(zero_copy_only=False)
    chosen, rare = choose(score, kinds, class_shares(catalogue), settings.queue, settings.rare_fraction)
    rows = candidates.take(chosen)
    doubts = rows["question"].to_pylist()
    reasons = [
        f"rare class: {kinds[candidate]}" if is_rare else f"information about: {doubt}"
        for candidate, is_rare, doubt in zip(chosen, rare, doubts, strict=True)
    ]
    ra, dec = _positions(catalogue, rows["source_id"])
    table = rows.select(["source_id", "shard", "row"])
    for name, values in (
        ("ra", ra),
        ("dec", dec),
        ("score", rows["score"]),
        ("reason", pa.array(reasons, pa.string())),
    ):
        table = table.append_column(name, values)
    write_table(output, table, parameters.lineage(lineage_of(*morphology, *stamps, catalogue)))


def information(concentrations: np.ndarray) -> np.ndarray:
    """Return how much the next volunteer's answers would tell about the vote fractions.

    Parameters
    ----------
    concentrations : ndarray
        Dirichlet concentrations of all answers in the order of the decision tree, shape (N, A).

    Returns
    -------
    ndarray
        Shape (N, Q): for each question the mutual information (nat) between one answer and the vote fractions, times
        the probability that a volunteer is asked the question at all.
    """
    concentrations = np.asarray(concentrations, dtype=float)
    gain = np.empty((len(concentrations), len(questions())))
    asked: dict[str, np.ndarray] = {}
    names = answers()
    for number, entry in enumerate(questions()):
        alpha = concentrations[:, entry.slice]
        total = alpha.sum(axis=1, keepdims=True)
        mean = alpha / total
        entropy = -xlogy(mean, mean).sum(axis=1)
        expected_entropy = digamma(total[:, 0] + 1) - (mean * digamma(alpha + 1)).sum(axis=1)
        reached = np.ones(len(alpha))
        if entry.after is not None:
            above = question(next(q.name for q in questions() if entry.after in q.labels))
            leads = concentrations[:, names.index(entry.after)] / concentrations[:, above.slice].sum(axis=1)
            reached = asked[above.name] * leads
        asked[entry.name] = reached
        # Rounding may leave a tiny negative number where the answer is certain.
        gain[:, number] = reached * np.maximum(entropy - expected_entropy, 0)
    return gain


def choose(
    score: np.ndarray, kinds: np.ndarray, shares: dict[str, float], length: int, rare_fraction: float
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the places of the queue.

    Parameters
    ----------
    score : ndarray
        Shape (N,).
    kinds : ndarray of str
        Predicted class, shape (N,).
    shares : dict
        Class -> its share of the catalogue. A class is rare if its share is less than an equal one.
    length : int
        Longest queue.
    rare_fraction : float
        Share of the queue for rare classes, which take turns, rarest first; they are spread over the queue.

    Returns
    -------
    chosen : ndarray of int
        Places in the input, first to label first.
    rare : ndarray of bool
        Whether each was chosen for its class.
    """
    order = np.argsort(-score, kind="stable")
    limit = 1 / max(len(shares), 1)
    rare_kinds = sorted(
        (kind for kind, share in shares.items() if share < limit), key=lambda kind: (shares[kind], kind)
    )
    piles = [[candidate for candidate in order if kinds[candidate] == kind] for kind in rare_kinds]
    turns = [pile[turn] for turn in range(max(map(len, piles), default=0)) for pile in piles if turn < len(pile)]
    by_class, by_score = iter(turns), iter(order)
    chosen: dict[int, bool] = {}
    for_class = 0
    while len(chosen) < min(length, len(order)):
        wanted = round(rare_fraction * (len(chosen) + 1)) > for_class
        candidate = next((p for p in by_class if p not in chosen), None) if wanted else None
        rare = candidate is not None
        if candidate is None:
            # Every candidate has a score, so this ends only with the queue.
            candidate = next(p for p in by_score if p not in chosen)
        chosen[int(candidate)] = rare
        for_class += rare
    return np.array(list(chosen), dtype=np.int64), np.array(list(chosen.values()), dtype=bool)


def class_shares(catalogue: Path) -> dict[str, float]:
    """Return the share of each predicted class among the classified sources of the catalogue."""
    counts = pc.value_counts(read_table(catalogue, ["morphology"])["morphology"].drop_null()).to_pylist()
    total = sum(entry["counts"] for entry in counts)
    return {entry["values"]: entry["counts"] / total for entry in counts}


def _candidates(morphology: Path, stamps: Path) -> pa.Table:
    """Return the sources of one shard that can be labelled, with score and most rewarding question."""
    columns = ["source_id", "flags", "morphology", *(f"{label}_dirichlet" for label in answers())]
    votes = read_table(morphology, columns)
    require_same_sources(read_table(stamps, ["source_id"]), votes, morphology)
    alpha = np.stack([numpy_column(votes, name) for name in columns[3:]], axis=1)
    good = np.isfinite(alpha).all(axis=1) & (numpy_column(votes, "flags") & int(UNSUITABLE_FLAGS) == 0)
    rows = np.flatnonzero(good)
    gain = information(alpha[rows])
    names = np.array([entry.name for entry in questions()])
    taken = votes.take(rows)
    return pa.table(
        {
            "source_id": taken["source_id"],
            "shard": pa.array([detail_of(stamps, "shard")] * len(rows), pa.string()),
            "row": pa.array(rows, pa.int64()),
            "score": pa.array(gain.sum(axis=1), pa.float64()),
            "question": pa.array(names[gain.argmax(axis=1)].astype(object), pa.string()),
            "morphology": taken["morphology"].cast(pa.string()),
        }
    )


def _positions(catalogue: Path, source_id: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Return right ascension and declination (deg) of sources; null for one that the catalogue lacks."""
    wanted = pc.field("source_id").isin(source_id.combine_chunks())
    table = pq.read_table(catalogue, columns=["source_id", "ra", "dec"], filters=wanted, partitioning=None)
    places = pc.index_in(source_id, value_set=table["source_id"].combine_chunks())
    return tuple(pc.take(table[name].combine_chunks(), places.combine_chunks()) for name in ("ra", "dec"))

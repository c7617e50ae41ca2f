"""Labelling: what is asked first, and what is kept."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers.labelling import BARRED, SMOOTH, labelled_run
from helpers.synthetic_results import BANDS, parameters, results
from hypothesis import given
from hypothesis import strategies as st

from tuningfork.core.columns import stamps
from tuningfork.core.decision_tree import answers, question, questions, vote_columns
from tuningfork.core.errors import InputError
from tuningfork.core.files import open_array
from tuningfork.core.tables import lineage_of
from tuningfork.label.queue import build_queue, choose, information
from tuningfork.label.store import MIN_SPARE_ROWS, LabelledStamp, VoteStore, check_answers
from tuningfork.stamps.store import StampFiles
from tuningfork.training.sets.dataset import open_training_set


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled_run(tmp_path_factory.mktemp("run"))


def seen(source_id: int, size: int = 8, bands: list[str] = BANDS) -> LabelledStamp:
    columns = {column.name: 1.0 for column in stamps(bands)} | {
        "tile": "t1", "east_is_left": True, "psf_model": "image", "psf_image": [0.25] * 4
    }  # fmt: skip
    stamp = np.full((2, len(bands), size, size), source_id, dtype=np.float32)
    return LabelledStamp(source_id, "8-1", 10.0, 2.0, stamp, columns, bands, "r", {"stamps": "abc"})


# The queue


def concentrations(**changed: list[float]) -> np.ndarray:
    """One row in which every answer is nearly certain to be the first, except for the questions in `changed`."""
    row = np.full(len(answers()), 0.01)
    for entry in questions():
        row[entry.first] = 1000
    for name, values in changed.items():
        row[question(name).slice] = values
    return row[None]


def test_information_is_that_of_one_vote_about_its_fraction() -> None:
    """A uniform Beta distribution: entropy ln 2 of the vote, of which 1/2 is noise that no label removes."""
    gain = information(concentrations(smooth_or_featured=[0.01, 1000, 0.01], edge_on=[1, 1]))[0]
    place = [entry.name for entry in questions()].index("edge_on")
    assert gain[place] == pytest.approx(np.log(2) - 0.5, abs=1e-3)
    assert gain.argmax() == place


def test_a_question_that_is_hardly_asked_tells_little() -> None:
    featured = information(
        concentrations(smooth_or_featured=[0.01, 1000, 0.01], edge_on=[0.01, 1000], bar=[1, 1])
    ).sum()
    smooth = information(concentrations(smooth_or_featured=[1000, 0.01, 0.01], edge_on=[0.01, 1000], bar=[1, 1])).sum()
    assert smooth < 0.01 * featured


def test_a_divided_but_certain_vote_tells_less_than_an_unknown_one() -> None:
    known = information(concentrations(smooth_or_featured=[500, 500, 0.01])).sum()
    unknown = information(concentrations(smooth_or_featured=[1, 1, 0.01])).sum()
    assert known < 0.01 * unknown


@given(st.lists(st.floats(1e-3, 1e4), min_size=len(answers()), max_size=len(answers())))
def test_information_is_never_negative_nor_more_than_the_answers_can_carry(alpha: list[float]) -> None:
    gain = information(np.array([alpha]))
    limits = [np.log(len(entry.answers)) for entry in questions()]
    assert (gain >= 0).all()
    assert (gain[0] <= np.array(limits) + 1e-9).all()


@given(st.integers(0, 60), st.integers(1, 40), st.floats(0, 1))
def test_a_queue_has_each_source_once_and_is_filled(count: int, length: int, rare_fraction: float) -> None:
    rng = np.random.default_rng(count)
    kinds = rng.choice(["spiral", "merger"], count, p=[0.9, 0.1]).astype(object)
    chosen, _ = choose(rng.random(count), kinds, {"spiral": 0.9, "merger": 0.1}, length, rare_fraction)
    assert len(chosen) == len(set(chosen)) == min(count, length)


def test_rare_classes_get_their_share_and_the_rest_goes_by_score() -> None:
    score = np.arange(100.0)[::-1]
    kinds = np.array(["spiral"] * 80 + ["merger"] * 10 + ["edge_on"] * 10, dtype=object)
    chosen, rare = choose(score, kinds, {"spiral": 0.8, "merger": 0.1, "edge_on": 0.1}, 20, 0.5)
    assert rare.sum() == 10
    assert sorted(kinds[chosen[rare]]) == ["edge_on"] * 5 + ["merger"] * 5
    assert list(chosen[~rare]) == list(range(10))


def test_the_queue_leaves_out_what_has_no_stamp_and_points_into_the_tables(run: Path) -> None:
    queue = pq.read_table(run / "labels" / "queue.parquet").to_pylist()
    assert len(queue) == 6
    for entry in queue:
        row = pq.read_table(run / "morphology" / f"{entry['shard']}.parquet").slice(entry["row"], 1).to_pylist()[0]
        assert row["source_id"] == entry["source_id"]
        assert row["flags"] & 0b1011 == 0
        assert entry["ra"] is not None
        assert entry["reason"].startswith(("information about: ", "rare class: "))


def test_a_queue_needs_tables_of_the_same_sources(tmp_path: Path) -> None:
    made = results(tmp_path)
    morphology, catalogue = made.paths("morphology"), tmp_path / "none.parquet"
    with pytest.raises(InputError, match="in another order"):
        build_queue(
            parameters("queue_labels"),
            morphology=morphology[::-1],
            stamps=made.paths("stamps"),
            catalogue=catalogue,
            output=tmp_path / "queue.parquet",
        )


# The answers and the store


@pytest.mark.parametrize(
    "answered", [SMOOTH, BARRED, {"smooth_or_featured": "featured", "edge_on": "yes", "merging": "merger"}]
)
def test_a_path_through_the_tree_is_accepted(answered: dict) -> None:
    check_answers(answered)


@pytest.mark.parametrize(
    "answered",
    [
        {},
        {"smooth_or_featured": "smooth"},
        SMOOTH | {"bar": "yes"},
        SMOOTH | {"merging": "perhaps"},
        SMOOTH | {"../../etc": "passwd"},
        {"smooth_or_featured": ["smooth"], "merging": "none"},
        {name: answer for name, answer in BARRED.items() if name != "bar"},
    ],
)
def test_answers_off_the_tree_are_refused(answered: dict) -> None:
    with pytest.raises(InputError):
        check_answers(answered)


def test_a_label_keeps_votes_stamp_and_origin(tmp_path: Path) -> None:
    store = VoteStore(tmp_path)
    store.record(seen(7), "edwin", BARRED)
    store.record(seen(8), "edwin", SMOOTH)
    rows = pq.read_table(tmp_path / "votes.parquet").to_pylist()
    assert [row["source_id"] for row in rows] == [7, 8]
    chosen = {f"{name}_{answer}_votes" for name, answer in BARRED.items()}
    assert {name for name in vote_columns() if rows[0][name]} == chosen
    assert {rows[0][name] for name in chosen} == {1}
    assert rows[0]["split"] == "train"
    assert json.loads(rows[0]["lineage"]) == {"stamps": "abc"}
    with pytest.raises(InputError, match="no lineage"):
        lineage_of(tmp_path / "votes.parquet")
    stored = np.load(tmp_path / "votes.npy")[: len(rows)]
    assert stored.shape == (2, 2, 3, 8, 8)
    assert (stored[0] == 7).all()
    assert (stored[1] == 8).all()


def test_labels_are_a_part_of_a_training_set(tmp_path: Path) -> None:
    store = VoteStore(tmp_path)
    for source in range(3):
        store.record(seen(source), "edwin", BARRED)
    training = open_training_set([StampFiles(tmp_path / "votes.parquet", tmp_path / "votes.npy")])
    assert list(training.rows("train")) == [0, 1, 2]
    assert (training.columns["bar_yes_votes"] == 1).all()


def test_a_new_label_replaces_that_of_the_same_labeller_only(tmp_path: Path) -> None:
    store = VoteStore(tmp_path)
    for source, labeller, chosen in (
        (7, "edwin", BARRED),
        (8, "edwin", BARRED),
        (7, "allan", BARRED),
        (7, "edwin", SMOOTH),
    ):
        store.record(seen(source), labeller, chosen)
    rows = pq.read_table(tmp_path / "votes.parquet").to_pylist()
    assert [(row["source_id"], row["labeller"], row["bar_yes_votes"]) for row in rows] == [
        (7, "edwin", 0), (8, "edwin", 1), (7, "allan", 1),
    ]  # fmt: skip
    assert open_array(tmp_path / "votes.npy")[:3, 0, 0, 0, 0].tolist() == [7, 8, 7]
    assert (store.labelled("edwin"), store.labelled("allan"), store.labelled("milton")) == ({7, 8}, {7}, set())


def test_a_withdrawn_label_has_no_votes(tmp_path: Path) -> None:
    store = VoteStore(tmp_path)
    store.withdraw(7, "edwin")
    store.record(seen(7), "edwin", BARRED)
    store.withdraw(7, "allan")
    assert store.labelled("edwin") == {7}
    store.withdraw(7, "edwin")
    assert store.labelled("edwin") == set()
    assert (
        open_training_set([StampFiles(tmp_path / "votes.parquet", tmp_path / "votes.npy")])
        .columns["bar_yes_votes"]
        .sum()
        == 0
    )


def test_a_label_cut_short_by_a_crash_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = VoteStore(tmp_path)
    store.record(seen(7), "edwin", BARRED)
    with monkeypatch.context() as patch:
        patch.setattr("tuningfork.label.store.write_table", lambda *_, **__: (_ for _ in ()).throw(OSError("no space")))
        with pytest.raises(OSError, match="no space"):
            store.record(seen(8), "edwin", BARRED)
    again = VoteStore(tmp_path)
    assert len(open_training_set([StampFiles(tmp_path / "votes.parquet", tmp_path / "votes.npy")]).rows("train")) == 1
    again.record(seen(9), "edwin", BARRED)
    assert (np.load(tmp_path / "votes.npy")[1] == 9).all()


def test_stamps_of_another_kind_are_refused(tmp_path: Path) -> None:
    store = VoteStore(tmp_path)
    store.record(seen(7), "edwin", BARRED)
    for other in (seen(8, size=16), seen(8, bands=["g", "r"])):
        with pytest.raises(InputError, match="another folder"):
            store.record(other, "edwin", BARRED)
    assert pq.read_table(tmp_path / "votes.parquet").num_rows == 1


def test_two_processes_do_not_lose_labels(tmp_path: Path) -> None:
    stores = [VoteStore(tmp_path) for _ in range(2)]

    def label(number: int) -> None:
        for source in range(10):
            stores[number].record(seen(100 * number + source), "edwin", SMOOTH)

    threads = [threading.Thread(target=label, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    table = pq.read_table(tmp_path / "votes.parquet")
    pixels = np.load(tmp_path / "votes.npy")[: table.num_rows]
    assert sorted(table["source_id"].to_pylist()) == [*range(10), *range(100, 110)]
    assert (pixels[:, 0, 0, 0, 0] == table["source_id"].to_numpy()).all()


def test_labels_of_an_older_version_are_kept(tmp_path: Path) -> None:
    VoteStore(tmp_path).record(seen(1), "ann", SMOOTH)
    table = pq.read_table(tmp_path / "votes.parquet")
    pq.write_table(table.drop_columns("pixels_checksum"), tmp_path / "votes.parquet")
    VoteStore(tmp_path).record(seen(2), "ann", SMOOTH)
    assert pq.read_table(tmp_path / "votes.parquet")["pixels_checksum"].is_null().to_pylist() == [True, False]
    assert len(open_training_set([StampFiles(tmp_path / "votes.parquet", tmp_path / "votes.npy")]).kind) == 2


def test_a_label_about_a_changed_stamp_leaves_the_old_stamp_alone(tmp_path: Path) -> None:
    """A killed process could otherwise leave half a stamp under a label that counts."""
    store = VoteStore(tmp_path)
    store.record(seen(7), "edwin", BARRED)
    changed = replace(seen(7), stamp=seen(7).stamp + 1)
    store.record(changed, "edwin", SMOOTH)
    rows = pq.read_table(tmp_path / "votes.parquet").to_pylist()
    assert [sum(row[name] for name in vote_columns()) for row in rows] == [0, len(SMOOTH)]
    assert open_array(tmp_path / "votes.npy")[:2, 0, 0, 0, 0].tolist() == [7, 8]
    store.record(changed, "edwin", BARRED)
    assert pq.read_table(tmp_path / "votes.parquet").num_rows == 2
    store.withdraw(7, "edwin")
    assert store.labelled("edwin") == set()


def test_more_labels_than_spare_rows_keep_their_stamps(tmp_path: Path) -> None:
    store = VoteStore(tmp_path)
    number = 2 * MIN_SPARE_ROWS + 3
    for source in range(number):
        store.record(seen(source), "edwin", SMOOTH)
    assert open_array(tmp_path / "votes.npy")[:number, 1, 2, 7, 7].tolist() == list(range(number))
    assert (
        len(open_training_set([StampFiles(tmp_path / "votes.parquet", tmp_path / "votes.npy")]).rows("train")) == number
    )


def test_a_store_without_spare_rows_goes_on(tmp_path: Path) -> None:
    """As earlier versions wrote it."""
    VoteStore(tmp_path).record(seen(7), "edwin", BARRED)
    np.save(tmp_path / "votes.npy", np.load(tmp_path / "votes.npy")[:1])
    store = VoteStore(tmp_path)
    assert store.labelled("edwin") == {7}
    store.record(seen(8), "edwin", BARRED)
    assert open_array(tmp_path / "votes.npy")[:2, 0, 0, 0, 0].tolist() == [7, 8]


def test_lost_stamps_are_named(tmp_path: Path) -> None:
    store = VoteStore(tmp_path)
    for source in (7, 8):
        store.record(seen(source), "edwin", BARRED)
    np.save(tmp_path / "votes.npy", np.load(tmp_path / "votes.npy")[:1])
    with pytest.raises(InputError, match="1 stamps for 2 rows"):
        VoteStore(tmp_path)
    (tmp_path / "votes.npy").unlink()
    with pytest.raises(InputError, match="restore it"):
        VoteStore(tmp_path)

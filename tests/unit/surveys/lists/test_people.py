"""Votes of people: trees as data, published tables, the stamp of every row, and what is learnt of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.servers.base import Service
from helpers.servers.tap import Tap
from helpers.small_sets import BANDS, parameters, stamp_files, write_model, write_part, write_stamps

from tuningfork.calibrate.held_out import HeldOutAnswers
from tuningfork.calibrate.votes import calibrate_votes
from tuningfork.core.calibration_file import read_calibration
from tuningfork.core.classes import class_of_votes
from tuningfork.core.columns.table import shard_table
from tuningfork.core.config import validate
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.config.votes import Votes
from tuningfork.core.decision_tree import answers, questions, vote_columns
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.files import open_array
from tuningfork.core.tables import lineage_of, read_table, write_table
from tuningfork.infer.shard import infer_held_out
from tuningfork.measure.votes.correction import VoteCalibration
from tuningfork.sky.shards import shards_of_positions
from tuningfork.surveys.lists.labels.trees.tree import KNOWN_TREES, Tree, plain_name, read_tree
from tuningfork.surveys.lists.labels.votes import read_votes, shards_with_votes
from tuningfork.training.labels.matched import MatchedFiles
from tuningfork.training.labels.votes import match_votes
from tuningfork.training.sets.balance import KINDS, balanced, classes_of, shares, with_simulated
from tuningfork.training.sets.data import TaskData
from tuningfork.training.sets.dataset import open_training_set
from tuningfork.training.tasks import morphology_targets

PLACE = {name: place for place, name in enumerate(answers())}


def drawn(tree: Tree, count: int = 50, seed: int = 1) -> dict[str, dict[str, np.ndarray]]:
    """Return votes of 40 people a galaxy who walk down a tree: question -> answer -> (N,)."""
    rng = np.random.default_rng(seed)
    votes: dict[str, dict[str, np.ndarray]] = {}
    for number, (question, entry) in enumerate(tree.questions.items()):
        led = [votes[a][b] for a in votes for b, following in tree.questions[a].items() if following == question]
        asked = np.full(count, 40) if number == 0 else np.sum(led, axis=0)
        cast = np.array([rng.multinomial(n, rng.dirichlet(np.ones(len(entry)))) for n in asked])
        votes[question] = dict(zip(entry, cast.T, strict=True))
    return votes


def published(tree: Tree, votes: dict, kind: str) -> pd.DataFrame:
    """Return votes under the names of a published table, as counts, or as fractions and numbers of those asked."""
    columns: dict[str, Any] = {"RAJ2000": 150 + 0.001 * np.arange(50), "DEJ2000": np.full(50, 2.0)}
    for question, entry in votes.items():
        total = np.sum(list(entry.values()), axis=0)
        for answer, cast in entry.items():
            name = getattr(tree.columns, kind).format(question=question, answer=answer)
            columns[name] = cast if kind == "count" else cast / np.maximum(total, 1)
        if kind == "fraction" and tree.columns.asked:
            columns[tree.columns.asked.format(question=question)] = total
    if isinstance(tree.columns.everyone, str):
        columns[tree.columns.everyone] = 40
    return pd.DataFrame(columns)


def read(table: pd.DataFrame, path: Path, **settings: Any):
    table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(path, index=False)
    return read_votes(Votes(table=str(path), **settings), [], Transfer())


@pytest.mark.parametrize("name", KNOWN_TREES)
@pytest.mark.parametrize(("kind", "ending"), [("count", "parquet"), ("fraction", "csv.gz")])
def test_published_votes_become_ours(tmp_path: Path, name: str, kind: str, ending: str) -> None:
    """Counts, or fractions times the number of those who were asked; answers of one meaning add up."""
    tree = read_tree(name)
    votes = drawn(tree)
    found = read(published(tree, votes, kind), tmp_path / f"t.{ending}", tree=name).rows
    for question in questions():
        for answer in question.answers:
            parts = [part.split(".", 1) for part in tree.meaning[question.name][answer]]
            expected = np.sum([votes[a][b] for a, b in parts], axis=0)
            np.testing.assert_allclose(found[f"{question.name}_{answer}_votes"], expected, atol=1e-6)
        if question.after is not None:
            total = found[[f"{label}_votes" for label in question.labels]].sum(axis=1)
            assert (total <= found[f"{question.after}_votes"] + 1e-6).all()


def test_what_a_table_lacks_or_spoils_gets_no_votes(tmp_path: Path) -> None:
    tree = read_tree("gz2")
    table = published(tree, drawn(tree), "count").drop(columns="t08_odd_feature_a24_merger_count")
    table.loc[3, "t03_bar_a06_bar_count"] = -99
    table["t05_bulge_prominence_a12_obvious_count"] = table["t05_bulge_prominence_a12_obvious_count"].astype(float)
    table.loc[4, "t05_bulge_prominence_a12_obvious_count"] = np.nan
    table.loc[5, [column for column in table if column.endswith("_count")]] = 0
    voted = read(table, tmp_path / "t.parquet")
    bar, bulge = ["bar_yes_votes", "bar_no_votes"], [name for name in vote_columns() if name.startswith("bulge")]
    assert (voted.rows[[name for name in vote_columns() if name.startswith("merging")]] == 0).all(axis=None)
    assert voted.rows.loc[3, bar].sum() == 0
    assert voted.rows.loc[4, bulge].sum() == 0
    assert voted.rows.loc[[0, 1, 2], bar].sum(axis=1).gt(0).any()
    assert voted.fault.tolist() == [""] * 5 + ["no votes"] + [""] * 44


def test_more_answers_than_people_who_were_led_to_a_question_are_scaled_down() -> None:
    tree = read_tree("gz2")
    values = {
        plain_name(name): column.to_numpy(float) for name, column in published(tree, drawn(tree), "count").items()
    }
    values["t02_edgeon_a04_yes_count"] += 3
    found = tree.counts(values)
    featured = found["t01_smooth_or_features"][:, 1]
    assert (found["t02_edgeon"].sum(axis=1) <= featured + 1e-9).all()
    assert (found["t03_bar"].sum(axis=1) <= found["t02_edgeon"][:, 1] + 1e-9).all()


def test_vizier_gives_the_votes_of_the_shards_that_are_looked_up(tmp_path: Path) -> None:
    """Each row once, though answers are cut and the boxes around shards overlap; names are those of the answer."""
    tree = read_tree("gz_decals")
    table = published(tree, drawn(tree), "count").assign(RAJ2000=np.linspace(150, 153, 50))
    tap = Tap({"J/MNRAS/509/3966/gzd": {name: table[name].to_numpy() for name in table}}, path="/tap", most=12)
    shards = shards_of_positions(np.linspace(150, 151.5, 200), np.full(200, 2.0), 7)
    with Service(tap.answer) as service:
        settings = Votes(vizier="J/MNRAS/509/3966/gzd", tap_url=f"{service.url}/tap", tree="gz_decals")
        transfer = Transfer(rate=5000, retries=1, backoff=0.001, cache=str(tmp_path))
        voted = read_votes(settings, shards, transfer)
    assert voted.by_position
    assert not voted.rows["ra"].duplicated().any()
    whole = read(table, tmp_path / "t.parquet", tree="gz_decals").rows.set_index("ra")
    near = [shard.contains(whole.index.to_numpy(), np.full(50, 2.0)) for shard in shards]
    assert set(whole.index[np.any(near, axis=0)]) <= set(voted.rows["ra"]) < set(whole.index)
    np.testing.assert_array_equal(voted.rows[vote_columns()], whole.loc[voted.rows["ra"], vote_columns()])


OWN = {
    "title": "rings",
    "columns": {"fraction": "{answer}_frac", "everyone": 30},
    "questions": {"first": {"smooth": None, "featured": "edge"}, "edge": {"edge": None, "not_edge": None}},
    "meaning": {"edge_on": {"yes": ["edge.edge"], "no": ["edge.not_edge"]}},
}


def test_a_tree_of_ones_own_says_how_many_looked(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(OWN, sort_keys=False))
    table = pd.DataFrame({"ra": [1.0], "dec": [2.0], "smooth frac": 0.2, "Featured-Frac": 0.8, "edge_frac": 0.25, "not_edge_frac": 0.75})  # fmt: skip
    rows = read(table, tmp_path / "t.csv", tree=str(tmp_path / "own.yaml")).rows
    assert rows.loc[0, ["edge_on_yes_votes", "edge_on_no_votes"]].tolist() == pytest.approx([6, 18])
    assert rows[vote_columns()].to_numpy().sum() == pytest.approx(24)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"questions": {"first": {"smooth": "second"}}}, "first.smooth leads to 'second'"),
        ({"questions": OWN["questions"] | {"edge": {"edge": "first", "not_edge": None}}}, "edge.edge leads to 'first'"),
        ({"meaning": {"edge_on": {"yes": ["edge.edge"]}}}, "meaning.edge_on: expected one of our questions"),
        ({"meaning": {"edge_on": {"yes": ["edge.x"], "no": []}}}, "'edge.x' is not an answer"),
        ({"colums": {}}, "colums: Extra inputs are not permitted"),
    ],
)
def test_a_tree_that_leads_nowhere_is_refused(tmp_path: Path, changes: dict, message: str) -> None:
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(OWN | changes, sort_keys=False))
    with pytest.raises(InputError, match=message):
        read_tree(str(tmp_path / "own.yaml"))


def test_a_table_of_another_tree_is_refused(tmp_path: Path) -> None:
    table = published(read_tree("gz2"), drawn(read_tree("gz2")), "count")
    with pytest.raises(
        InputError, match=r"answer no question of the tree gz_decals.*smooth-or-featured_smooth; it has"
    ):
        read(table, tmp_path / "t.parquet", tree="gz_decals")
    with pytest.raises(InputError, match="expected gz2, gz_decals or the path"):
        read_tree("gz3")


def test_shards_are_those_of_the_footprint_with_rows_and_no_more_than_asked(tmp_path: Path) -> None:
    tree = read_tree("gz2")
    table = published(tree, drawn(tree), "count").assign(RAJ2000=np.linspace(150, 160, 50))
    table.to_parquet(tmp_path / "t.parquet")
    here = shards_of_positions(np.linspace(150, 155, 300), np.full(300, 2.0), 8)
    values = {"table": str(tmp_path / "t.parquet")}
    found = shards_with_votes(Votes(**values), here)
    assert set(found) < set(here)
    assert len(shards_with_votes(Votes(**values, max_shards=3), here)) <= 3
    assert [shard.name for shard in shards_with_votes(Votes(**values, shards=["8-7"]), here)] == ["8-7"]
    with pytest.raises(ConfigurationError, match="none of its 50 rows lies in the 1 shards of the footprint"):
        shards_with_votes(Votes(**values), shards_of_positions(np.array([10.0]), np.array([2.0]), 8))
    assert shards_with_votes(Votes(), here) == []
    with pytest.raises(ConfigurationError, match="table and vizier cannot both be given"):
        validate({"train": {"morphology": {"votes": {"table": "a", "vizier": "b"}}}})


def people(folder: Path) -> tuple[Path, pd.DataFrame, dict[str, np.ndarray]]:
    """Match votes on 50 galaxies with a shard of twelve; return the part, the account and our votes of the rows."""
    folder.mkdir(exist_ok=True)
    ids = np.arange(12) + 100
    place = {"ra": 150 + 0.001 * np.arange(12), "dec": np.full(12, 2.0)}
    sources = folder / "8-1.parquet"
    values = {"source_id": ids, "flags": np.zeros(12, np.int64), "name": [None] * 12, **place}
    write_table(sources, shard_table("sources", values), {"sources": "s"})
    stamps = folder / "stamps.parquet"
    write_stamps(stamps, 12, source_id=ids)
    tree = read_tree("gz2")
    published(tree, drawn(tree), "count").to_csv(folder / "t.csv", index=False)
    settings = {"morphology": {"votes": {"table": str(folder / "t.csv")}}}
    outputs = MatchedFiles(stamp_files(folder / "volunteer_votes.parquet"), folder / "volunteer_votes.csv")
    match_votes(
        parameters("match_votes", train=settings),
        sources=[sources],
        stamps=[stamp_files(stamps)],
        transfer=Transfer(),
        outputs=outputs,
    )
    expected = read_votes(Votes(table=str(folder / "t.csv")), [], Transfer()).rows
    return outputs.part.table, pd.read_csv(outputs.rows, keep_default_na=False), expected[vote_columns()].to_numpy()


def test_votes_meet_the_stamps_of_their_galaxies_and_every_row_is_accounted_for(tmp_path: Path) -> None:
    part, account, expected = people(tmp_path)
    rows = read_table(part).to_pandas()
    assert rows["source_id"].tolist() == [100, 102, 103, 105, 106, 107, 108, 109, 110, 111]
    np.testing.assert_allclose(rows[vote_columns()], expected[rows["source_id"] - 100])
    pixels, originals = open_array(part.with_suffix(".npy")), open_array(tmp_path / "stamps.npy")
    np.testing.assert_array_equal(pixels, originals[rows["source_id"] - 100])
    assert len(account) == 50
    assert account["used"].sum() == 10
    assert account.loc[account["used"], "split"].tolist() == rows["split"].tolist()
    assert (account.loc[12:, "reason"] == "no source within 1 arcsec").all()
    assert account.loc[[1, 4], "reason"].str.startswith("no usable stamp").all()


@pytest.mark.parametrize("simulated", ["all", "bars", "none"])
def test_people_are_learnt_from_beside_or_instead_of_simulated_volunteers(tmp_path: Path, simulated: str) -> None:
    part, _, _ = people(tmp_path / "p")
    own = read_table(part).to_pandas()
    both = open_training_set([stamp_files(write_part(tmp_path / "part.parquet")), stamp_files(part)])
    assert both.bands == BANDS
    chosen = with_simulated(both, simulated)
    rows = chosen.rows("train")
    batch = chosen.batch(rows, morphology_targets)
    votes, lengths = batch["votes"].numpy(), batch["log_bar_length"].numpy()
    drawn_, real = rows < 60, rows >= 60
    np.testing.assert_allclose(votes[real], own.loc[own["split"] == "train", vote_columns()], rtol=1e-6)
    assert drawn_.any() == (simulated != "none")
    assert (votes[drawn_].sum() > 0) == (simulated == "all")
    assert np.isfinite(lengths[drawn_]).any() == (simulated != "none")
    assert not np.isfinite(lengths[real]).any()


def test_without_people_simulated_votes_cannot_be_left_out(tmp_path: Path) -> None:
    alone = open_training_set([stamp_files(write_part(tmp_path / "part.parquet"))])
    for learnt in ("bars", "none"):
        with pytest.raises(InputError, match=f"simulated is {learnt}, but there are no volunteer votes"):
            with_simulated(alone, learnt)


@pytest.mark.parametrize(("balance", "expected"), [(0.0, [900, 90, 10]), (0.5, [706, 223, 74]), (1.0, [450, 450, 100])])
def test_rare_classes_are_made_up_for_without_end_repetition(balance: float, expected: list[int]) -> None:
    """Between them by the root of their number; a galaxy comes ten times at most."""
    found = shares(np.array([900, 90, 10]), balance)
    assert found.sum() == 1000
    np.testing.assert_allclose(found, expected, atol=4)
    classes = np.repeat(["a", "b", "c"], [900, 90, 10]).astype(object)
    places = balanced(np.random.default_rng(1), classes, balance)
    times = np.bincount(places, minlength=1000)
    for name, number in zip("abc", found, strict=True):
        own = times[classes == name]
        assert own.sum() == number
        assert own.max() - own.min() <= 1
    np.testing.assert_array_equal(places, balanced(np.random.default_rng(1), classes, balance))


def test_epochs_are_balanced_by_kind_and_by_the_leading_class_of_votes(tmp_path: Path) -> None:
    part, _, _ = people(tmp_path / "p")
    training = open_training_set([stamp_files(write_part(tmp_path / "part.parquet")), stamp_files(part)])
    classes = classes_of(training)
    assert set(classes[:60]) == {"spiral", "barred_spiral"}
    votes = read_table(part).to_pandas()[vote_columns()].to_numpy()
    expected = [KINDS.get(name, name) for name in class_of_votes(votes)]
    np.testing.assert_array_equal(classes[60:], expected)
    first = votes[:, :3].argmax(axis=1)
    assert (classes[60:][first == 2] == "artifact").all()
    data = TaskData(training, morphology_targets, 8, 1, ("t",), balance=1.0)
    one, again = ([batch["votes"].numpy() for batch in data.training(2)] for _ in range(2))
    np.testing.assert_array_equal(one, again)


def test_people_teach_the_calibration_where_there_are_enough_of_them(tmp_path: Path) -> None:
    """Simulated volunteers serve for a question that nobody was asked."""
    simulated = write_part(tmp_path / "part.parquet", 200)
    unasked = {name: np.zeros(600) for name in vote_columns() if name.startswith("merging")}
    split = np.where(np.arange(600) % 3 == 0, "validation", "test")
    real = write_part(
        tmp_path / "volunteers.parquet", 600, seed=5, split=split, **{"class": np.full(600, "")}, **unasked
    )
    models, answers = [write_model(tmp_path / "m.json", "morphology")], {}
    for name, part in (("simulated", simulated), ("volunteers", real)):
        answers[name] = HeldOutAnswers(tmp_path / f"held-out-{name}.parquet", tmp_path / f"held-out-{name}.npy")
        infer_held_out(
            parameters("infer_held_out"),
            training=[stamp_files(part)],
            models=models,
            output=answers[name].table,
            masks=answers[name].masks,
        )
    learned = {}
    for name, volunteers in (("both", real), ("alone", None)):
        output = tmp_path / f"{name}.json"
        calibrate_votes(
            parameters("calibrate_votes"),
            training=[simulated],
            held_out=answers["simulated"],
            volunteers=volunteers,
            volunteers_answers=answers["volunteers"] if volunteers else None,
            output=output,
        )
        learned[name] = read_calibration(output, "votes", VoteCalibration).questions
    assert {name: entry.learned_from for name, entry in learned["both"].items()} == {
        entry.name: "simulated" if entry.name == "merging" else "volunteers" for entry in questions()
    }
    assert learned["both"]["smooth_or_featured"].n == 200
    assert learned["both"]["merging"].n == learned["alone"]["merging"].n == 20
    assert {entry.learned_from for entry in learned["alone"].values()} == {"simulated"}
    assert set(lineage_of(tmp_path / "both.json")) >= {"simulate", "train-morphology", "calibrate_votes"}


@pytest.mark.parametrize(
    ("name", "table", "number", "asked"),
    [("gz2", "gz2_stripe82_table5.csv.gz", 19_761, 16), ("gz_decals", "gz_decals_panoptes.csv.gz", 4_000, 3)],
)
def test_real_tables_are_read(real_data: Path, name: str, table: str, number: int, asked: int) -> None:
    """All votes of the first question are there, and no question has more than led to it."""
    path = real_data / "tables" / table
    voted = read_votes(Votes(table=str(path), tree=name), [], Transfer())
    assert len(voted.rows) == number
    assert (voted.fault == "").mean() > 0.999
    assert voted.by_position
    votes = voted.rows[vote_columns()].to_numpy()
    assert np.count_nonzero(votes.sum(axis=0)) == asked
    everyone = {"gz2": "total_classifications", "gz_decals": "smooth-or-featured_total-votes"}[name]
    np.testing.assert_allclose(votes[:, :3].sum(axis=1), pd.read_csv(path)[everyone])
    for question in questions():
        if question.after is not None:
            assert (votes[:, question.slice].sum(axis=1) <= votes[:, PLACE[question.after]] + 1e-6).all()


def test_fractions_of_rings_serve_with_a_tree_of_ones_own(real_data: Path, tmp_path: Path) -> None:
    tree = {
        "title": "votes beside the rings",
        "columns": {"count": "panoptes_{answer}", "everyone": "panoptes_votes"},
        "questions": {"first": {"smooth": None, "featured": None}},
        "meaning": {"smooth_or_featured": {"smooth": ["first.smooth"], "featured": ["first.featured"], "artifact": []}},
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    path = real_data / "decals_rings" / "labels.csv"
    voted = read_votes(Votes(table=str(path), tree=str(tmp_path / "own.yaml")), [], Transfer())
    known = pd.read_csv(path)["panoptes_votes"].notna().to_numpy()
    np.testing.assert_array_equal(voted.fault == "", known)

"""The questions of the decision tree, read from decision_tree.yaml."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes
    ----------
    name : str
    text : str
    answers : tuple of str
    after : str or None
        The answer ("question_answer") that leads to the question; None if it is asked of every galaxy.
    first : int
        Place of the first answer in a vector of all answers.
    """

    name: str
    text: str
    answers: tuple[str, ...]
    after: str | None
    first: int

    @property
    def slice(self) -> slice:
        """The places of the answers in a vector of all answers."""
        return slice(self.first, self.first + len(self.answers))

    @property
    def labels(self) -> tuple[str, ...]:
        """`question_answer` for every answer."""
        return tuple(f"{self.name}_{answer}" for answer in self.answers)


@cache
def questions() -> tuple[Question, ...]:
    """Return the questions in the order of the tree: a question comes after the one that leads to it."""
    tree = yaml.safe_load((files("tuningfork.core") / "decision_tree.yaml").read_text())["questions"]
    result: list[Question] = []
    for name, entry in tree.items():
        first = sum(len(question.answers) for question in result)
        result.append(Question(name, entry["text"], tuple(entry["answers"]), entry.get("after"), first))
    return tuple(result)


def answers() -> tuple[str, ...]:
    """Return `question_answer` for all answers, in the order of the vote vectors."""
    return tuple(label for question in questions() for label in question.labels)


def question(name: str) -> Question:
    """Return the question called `name`."""
    return next(entry for entry in questions() if entry.name == name)


def vote_columns() -> list[str]:
    """Return the names of the vote-count columns of a training set, in the order of the vote vectors."""
    return [f"{label}_votes" for label in answers()]

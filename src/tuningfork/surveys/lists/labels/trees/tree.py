"""Translation of a published table of votes into votes on our own questions."""

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from tuningfork.core.config.reading.document import read_document
from tuningfork.core.decision_tree import answers, questions
from tuningfork.core.errors import ConfigurationError, InputError

KNOWN_TREES = ("gz2", "gz_decals")
"""Trees that come with the package."""
TREE_KEY = "train.morphology.votes.tree"
"""Configuration key of the tree."""
MAX_VOTES = 1e6
"""Largest plausible number of votes on one answer."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VoteColumnNames(_Part):
    """Names of the columns of votes, as templates with the placeholders {question} and {answer}.

    Attributes
    ----------
    count, fraction : str or None
        Votes for an answer, or their fraction of the votes on the question.
    asked : str or None
        Votes on a question, if only fractions are given.
    everyone : str, float or None
        Number of volunteers who looked at the galaxy: a column, or a number if it is the same for all galaxies.
    """

    count: str | None = None
    fraction: str | None = None
    asked: str | None = None
    everyone: str | float | None = None

    @model_validator(mode="after")
    def _templates(self) -> "VoteColumnNames":
        for template in filter(None, (self.count, self.fraction, self.asked)):
            for _, name, form, conversion in Formatter().parse(template):
                if name not in (None, "question", "answer") or form or conversion:
                    raise ValueError(f"{template[:80]!r}: the only placeholders are {{question}} and {{answer}}")
        if not (self.count or self.fraction):
            raise ValueError("count or fraction is needed, the names of the columns of votes")
        return self


class Tree(_Part):
    """A decision tree, the columns of its published table, and how its answers translate to ours.

    Attributes
    ----------
    title : str
    columns : VoteColumnNames
    questions : dict
        Question -> answer -> the question that follows, or None.
    meaning : dict
        Our question -> our answer -> the answers ("question.answer") whose votes add up to it.
    """

    title: str
    columns: VoteColumnNames
    questions: dict[str, dict[str, str | None]]
    meaning: dict[str, dict[str, list[str]]]

    @model_validator(mode="after")
    def _sound(self) -> "Tree":
        if not self.questions or not all(self.questions.values()):
            raise ValueError("questions: there must be a question, and each must have an answer")
        seen: set[str] = set()
        for name, entry in self.questions.items():
            seen.add(name)
            for answer, following in entry.items():
                if following is not None and (following not in self.questions or following in seen):
                    raise ValueError(f"{name}.{answer} leads to {following!r}, which is not a question further down")
        known = {f"{name}.{answer}" for name, entry in self.questions.items() for answer in entry}
        ours = {question.name: question.answers for question in questions()}
        for name, meaning in self.meaning.items():
            if set(meaning) != set(ours.get(name, ())):
                raise ValueError(f"meaning.{name}: expected one of our questions with all of its answers, of {ours}")
            wrong = [part for parts in meaning.values() for part in parts if part not in known]
            if wrong:
                raise ValueError(f"meaning.{name}: {wrong[0]!r} is not an answer; expected question.answer")
        return self

    def columns_in(self, available: Iterable[str]) -> dict[str, str]:
        """Return plain name -> column for the columns of votes that a table has."""
        plain = {plain_name(column): column for column in reversed(list(available))}
        return {name: plain[name] for name in self._names() if name in plain}

    def _names(self) -> list[str]:
        names = [self._name("asked", question) for question in self.questions]
        names += [
            self._name(kind, question, answer)
            for question, entry in self.questions.items()
            for answer in entry
            for kind in ("count", "fraction")
        ]
        everyone = self.columns.everyone
        return [*filter(None, names), *([plain_name(everyone)] if isinstance(everyone, str) else [])]

    def example(self) -> str:
        """Return the name of a column of votes, as an example."""
        question, entry = next(iter(self.questions.items()))
        kind = "count" if self.columns.count else "fraction"
        return str(getattr(self.columns, kind)).format(question=question, answer=next(iter(entry)))

    def _name(self, kind: str, question: str, answer: str = "") -> str:
        template = getattr(self.columns, kind)
        return plain_name(template.format(question=question, answer=answer)) if template else ""

    def counts(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the votes on each question that the table covers.

        If a table gives fractions and the number of volunteers asked, the votes are their products, which need not be
        integers. A question with a missing, negative or impossible value has no votes in that row. If a question has more
        votes than lead to it, which happens occasionally in published tables, they are scaled down.

        Parameters
        ----------
        values : mapping
            Plain name (see :meth:`columns_in`) -> values, shape (N,).

        Returns
        -------
        dict
            Question -> votes, shape (N, number of its answers).
        """
        counts: dict[str, np.ndarray] = {}
        for question, entry in self.questions.items():
            led = self._led(question, counts)
            names = {kind: [self._name(kind, question, answer) for answer in entry] for kind in ("count", "fraction")}
            if all(name in values for name in names["count"]):
                votes = np.stack([values[name] for name in names["count"]], axis=1)
            elif all(name in values for name in names["fraction"]):
                asked = self._asked(question, led, values)
                if asked is None:
                    continue
                shares = np.stack([values[name] for name in names["fraction"]], axis=1)
                votes = np.where((shares <= 1).all(axis=1, keepdims=True), shares * asked[:, None], np.nan)
            else:
                continue
            with np.errstate(invalid="ignore"):
                votes[~((votes >= 0) & (votes <= MAX_VOTES)).all(axis=1)] = 0
            if led is not None:
                votes *= np.minimum(led / np.maximum(votes.sum(axis=1), 1e-9), 1)[:, None]
            counts[question] = votes
        return counts

    def _led(self, question: str, counts: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return how many votes lead to a question; None for the first question and where this is unknown."""
        before = [name for name, entry in self.questions.items() if question in entry.values()]
        if not before or any(name not in counts for name in before):
            return None
        return np.asarray(
            sum(
                counts[name][:, column]
                for name in before
                for column, following in enumerate(self.questions[name].values())
                if following == question
            )
        )

    def _asked(self, question: str, led: np.ndarray | None, values: Mapping[str, np.ndarray]) -> np.ndarray | None:
        asked = values.get(self._name("asked", question))
        if asked is not None or led is not None:
            return asked if asked is not None else led
        everyone = self.columns.everyone
        if any(question in entry.values() for entry in self.questions.values()):
            return None
        if isinstance(everyone, str):
            return values.get(plain_name(everyone))
        return None if everyone is None else np.full(len(next(iter(values.values()))), float(everyone))

    def votes(self, values: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return the votes on all answers of our questions.

        Parameters
        ----------
        values : mapping
            Plain name (see :meth:`columns_in`) -> values, shape (N,).

        Returns
        -------
        ndarray or None
            Shape (N, number of all answers); None if the table covers no question.
        """
        counts = self.counts(values)
        number = len(next(iter(values.values()), ()))
        result, read = np.zeros((number, len(answers()))), False
        for entry in questions():
            meaning = self.meaning.get(entry.name, {})
            parts = [[pairs.split(".", 1) for pairs in meaning[answer]] for answer in entry.answers if meaning]
            if not parts or any(question not in counts for pairs in parts for question, _ in pairs):
                continue
            read = True
            for column, pairs in enumerate(parts, entry.first):
                for question, answer in pairs:
                    result[:, column] += counts[question][:, list(self.questions[question]).index(answer)]
        return result if read else None


def plain_name(name: str) -> str:
    """Return a name in lower case, with every run of other characters than letters and digits as one underscore."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def tree_file(name: str) -> Any:
    """Return the file of a decision tree that comes with the package, or of the user's own."""
    return files("tuningfork.surveys.lists.labels.trees") / f"{name}.yaml" if name in KNOWN_TREES else Path(name)


def read_tree(name: str) -> Tree:
    """Read a decision tree.

    Parameters
    ----------
    name : str
        Name of a tree that comes with the package, or path of a file of the same format.

    Raises
    ------
    InputError
        If there is no such file, or it is not a decision tree.
    """
    what = f"{TREE_KEY}: {name}"
    file = tree_file(name)
    if not file.is_file():
        raise InputError(f"{what}: no such file; expected {', '.join(KNOWN_TREES)} or the path of a .yaml file")
    try:
        return Tree.model_validate(read_document(file).values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{what}: {f'{where}: ' if where else ''}{first['msg'].removeprefix('Value error, ')}"
        ) from None
    except ConfigurationError as error:
        raise InputError(f"{what}: not a decision tree ({error})") from None

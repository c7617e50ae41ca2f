"""Which galaxies of a training set are learnt from, and how often those of each class."""

from dataclasses import replace
from typing import Any

import numpy as np

from tuningfork.core.classes import class_of_votes
from tuningfork.core.columns import vote_columns
from tuningfork.core.errors import InputError
from tuningfork.training.sets.dataset import TrainingSet

MOST_REPEATS = 10
"""How often a galaxy is seen in one epoch at most: one of a class of three would be learnt by heart."""
UNKNOWN = "unknown"


def classes_of(training: TrainingSet) -> np.ndarray:
    """Return the class of every row (N,): the kind that was simulated, or the one that most voters see."""
    votes = np.stack([training.columns[name] for name in vote_columns()], axis=1)
    seen = class_of_votes(votes)
    known = np.array([UNKNOWN if kind is None else kind for kind in seen], dtype=object)
    return np.where(training.kind == "", known, training.kind)


def shares(numbers: np.ndarray, balance: float) -> np.ndarray:
    """Return how often galaxies of each class are seen in an epoch, in sum as often as there are galaxies.

    Parameters
    ----------
    numbers : ndarray
        int (K,), galaxies of each class, above zero.
    balance : float
        Classes are seen in proportion to their number to the power of 1 - balance, but no galaxy more than
        `MOST_REPEATS` times; the other classes then fill the epoch.

    Returns
    -------
    ndarray
        int (K,)
    """
    weight, most = numbers ** (1.0 - balance), MOST_REPEATS * numbers
    full = np.zeros(len(numbers), dtype=bool)
    while True:
        rest = numbers.sum() - most[full].sum()
        wanted = np.where(full, most, rest * weight / max(weight[~full].sum(), 1e-12))
        beyond = wanted > most
        if not (beyond & ~full).any():
            break
        full |= beyond
    return np.diff(np.round(np.cumsum(wanted)).astype(int), prepend=0)


def balanced(generator: np.random.Generator, classes: np.ndarray, balance: float) -> np.ndarray:
    """Return the places (N,) of the galaxies of an epoch, in random order.

    All galaxies of a class are seen before one of them is seen again.

    Parameters
    ----------
    generator : numpy.random.Generator
    classes : ndarray
        (N,) class of each galaxy.
    balance : float
        See :func:`shares`.
    """
    names, numbers = np.unique(classes.astype(str), return_counts=True)
    chosen = []
    for name, number in zip(names, shares(numbers, balance), strict=True):
        own = np.flatnonzero(classes == name)
        rounds = [generator.permutation(own) for _ in range(-(-number // len(own)))]
        chosen.append(np.concatenate([*rounds, own[:0]])[:number])
    return generator.permutation(np.concatenate(chosen))


def account(classes: np.ndarray, balance: float) -> dict[str, dict[str, Any]]:
    """Return for each class its galaxies, and how often they are seen in an epoch, for the model card."""
    names, numbers = np.unique(classes.astype(str), return_counts=True)
    seen = shares(numbers, balance) if len(names) else numbers
    return {
        str(name): {"galaxies": int(number), "seen": int(times)}
        for name, number, times in zip(names, numbers, seen, strict=True)
    }


def with_simulated(training: TrainingSet, learnt: str) -> TrainingSet:
    """Return a training set of which simulated galaxies are learnt in part.

    Parameters
    ----------
    training : TrainingSet
    learnt : str
        `train.morphology.votes.simulated`: all, bars (not their votes), or none.

    Raises
    ------
    InputError
        No votes to learn from are left.
    """
    if learnt == "all":
        return training
    simulated = training.kind != ""
    if learnt == "none":
        training = replace(training, split=np.where(simulated, "", training.split))
    else:
        columns = {name: np.where(simulated, 0, training.columns[name]) for name in vote_columns()}
        training = replace(training, columns=training.columns | columns)
    votes = sum(training.columns[name][training.rows("train")].sum() for name in vote_columns())
    if not votes > 0:
        raise InputError(
            f"train.morphology.votes.simulated is {learnt}, but there are no votes of people to learn from; name a table "
            "in train.morphology.votes, or set it to all"
        )
    return training

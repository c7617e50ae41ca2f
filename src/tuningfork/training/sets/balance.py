"""Which galaxies of a training set are used, and how often an epoch shows those of each class."""

from dataclasses import replace
from typing import Any

import numpy as np

from tuningfork.core.classes import class_of_votes
from tuningfork.core.decision_tree import vote_columns
from tuningfork.core.errors import InputError
from tuningfork.training.sets.dataset import TrainingSet

MAX_REPEATS_PER_EPOCH = 10
"""How often an epoch shows a galaxy at most. Without a limit, the three galaxies of a rare class would be memorised."""
UNKNOWN_CLASS = "unknown"
KINDS = {"smooth": "elliptical", "disc": "spiral", "barred_disc": "barred_spiral"}
"""Class that volunteers give -> simulated kind with which it is shown."""


def classes_of(training: TrainingSet) -> np.ndarray:
    """Return the class of every row: the simulated kind, or for real galaxies the class that most volunteers chose.

    Returns
    -------
    ndarray
        object (N,), `UNKNOWN_CLASS` without votes.
    """
    votes = np.stack([training.columns[name] for name in vote_columns()], axis=1)
    voted = class_of_votes(votes)
    known = np.array([UNKNOWN_CLASS if kind is None else KINDS.get(kind, kind) for kind in voted], dtype=object)
    return np.where(training.kind == "", known, training.kind)


def shares(numbers: np.ndarray, balance: float) -> np.ndarray:
    """Return how many galaxies of each class an epoch shows; their sum is the number of galaxies.

    Parameters
    ----------
    numbers : ndarray
        int (K,), galaxies of each class, above zero.
    balance : float
        Classes are shown in proportion to their number to the power of 1 - balance, but no galaxy more than
        `MAX_REPEATS_PER_EPOCH` times; the other classes then fill the epoch.

    Returns
    -------
    ndarray
        int (K,)
    """
    weight, most = numbers ** (1.0 - balance), MAX_REPEATS_PER_EPOCH * numbers
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
    """Return the galaxies that an epoch shows, in random order.

    All galaxies of a class are shown before any of them is repeated.

    Parameters
    ----------
    generator : numpy.random.Generator
    classes : ndarray
        (N,) class of each galaxy.
    balance : float
        See :func:`shares`.

    Returns
    -------
    ndarray
        int (N,), indices into `classes`.
    """
    names, numbers = np.unique(classes.astype(str), return_counts=True)
    chosen = []
    for name, number in zip(names, shares(numbers, balance), strict=True):
        members = np.flatnonzero(classes == name)
        rounds = [generator.permutation(members) for _ in range(-(-number // len(members)))]
        chosen.append(np.concatenate([*rounds, members[:0]])[:number])
    return generator.permutation(np.concatenate(chosen))


def account(classes: np.ndarray, balance: float) -> dict[str, dict[str, Any]]:
    """Return the part `classes` of a model card.

    Parameters
    ----------
    classes : ndarray
        (N,) class of each galaxy.
    balance : float
        See :func:`shares`.

    Returns
    -------
    dict
        Class -> the number of its `galaxies`, and how many of them are `seen` in an epoch.
    """
    names, numbers = np.unique(classes.astype(str), return_counts=True)
    seen = shares(numbers, balance) if len(names) else numbers
    return {
        str(name): {"galaxies": int(number), "seen": int(times)}
        for name, number, times in zip(names, numbers, seen, strict=True)
    }


def with_simulated(training: TrainingSet, used: str) -> TrainingSet:
    """Return a training set that uses part of its simulated galaxies.

    Parameters
    ----------
    training : TrainingSet
    used : str
        `train.morphology.votes.simulated`: all; bars (but not the simulated votes); or none.

    Returns
    -------
    TrainingSet

    Raises
    ------
    InputError
        No votes to learn from are left.
    """
    if used == "all":
        return training
    simulated = training.kind != ""
    if used == "none":
        training = replace(training, split=np.where(simulated, "", training.split))
    else:
        columns = {name: np.where(simulated, 0, training.columns[name]) for name in vote_columns()}
        training = replace(training, columns=training.columns | columns)
    votes = sum(training.columns[name][training.rows("train")].sum() for name in vote_columns())
    if not votes > 0:
        raise InputError(
            f"train.morphology.votes.simulated is {used}, but there are no volunteer votes to learn from; name a table "
            "in train.morphology.votes, or set it to all"
        )
    return training

"""The class that follows from vote fractions."""

import numpy as np

from tuningfork.core.decision_tree import answers, question, questions

ARTIFACT = "artifact"
"""The class of what is no galaxy: stars, trails, ghosts, pieces of larger galaxies, noise."""

CLASSES = (ARTIFACT, "merger", "smooth", "edge_on", "barred_spiral", "barred_disc", "spiral", "disc")
"""The classes in the order in which they are tried."""

DISC_CLASSES = ("barred_spiral", "barred_disc", "spiral", "disc")
"""Classes of discs that are not seen edge-on."""


def class_of(fraction: np.ndarray) -> np.ndarray:
    """Return the class of each galaxy, None where the fractions are NaN.

    The first that holds, walking down the decision tree:

    * artifact, if this is the leading answer to the first question;
    * merger, if more than half say so;
    * smooth, if this answer leads over featured: ellipticals, and discs in which nothing is seen;
    * edge_on, if at least half see a disc edge-on;
    * barred_spiral, if at least half see a bar and at least half see arms; barred_disc, if they see a bar alone;
    * spiral, if at least half see arms;
    * disc otherwise.

    Parameters
    ----------
    fraction : ndarray
        (N, all answers)

    Returns
    -------
    ndarray
        object (N,).
    """
    names = list(answers())
    columns = {name: fraction[:, place] for place, name in enumerate(names)}
    first = question("smooth_or_featured")
    # argmax puts NaN first; those rows are set to None in the end.
    leading = fraction[:, first.slice].argmax(axis=1)
    bar, arms = columns["bar_yes"] >= 0.5, columns["spiral_arms_yes"] >= 0.5
    conditions = [
        leading == first.answers.index(ARTIFACT),
        columns["merging_merger"] > 0.5,
        leading == first.answers.index("smooth"),
        columns["edge_on_yes"] >= 0.5,
        bar & arms,
        bar,
        arms,
    ]
    kinds = np.select(conditions, list(CLASSES[:-1]), CLASSES[-1])
    result = kinds.astype(object)
    result[~np.isfinite(fraction).all(axis=1)] = None
    return result


def class_of_votes(votes: np.ndarray) -> np.ndarray:
    """Return the class that most voters see, None without votes on the first question.

    Parameters
    ----------
    votes : ndarray
        (N, all answers); of a question that was not asked nothing is held to be seen.

    Returns
    -------
    ndarray
        object (N,).
    """
    fraction = np.zeros(votes.shape)
    for entry in questions():
        cast = votes[:, entry.slice]
        fraction[:, entry.slice] = cast / np.maximum(cast.sum(axis=1, keepdims=True), 1e-9)
    result = class_of(fraction)
    result[votes[:, question("smooth_or_featured").slice].sum(axis=1) <= 0] = None
    return result

"""Columns of the stage `classify`: expected votes and the class that follows from them."""

from tuningfork.core.columns.declaration import F4, NAMES, Column
from tuningfork.core.decision_tree import questions


def morphology() -> list[Column]:
    """Return the columns of the classify stage."""
    rows = [
        Column(
            "morphology",
            NAMES,
            None,
            "src.morph.type",
            "class that most volunteers would give; artifact is no galaxy",
            "classify",
        ),
        Column(
            "bar_vote_share",
            F4,
            None,
            "stat.probability",
            "expected share of all volunteers who report a bar; not the probability that the galaxy has one",
            "classify",
        ),
        Column(
            "bar_probability",
            F4,
            None,
            "stat.probability",
            "probability that the galaxy has a bar, whether or not volunteers would see it; calibrated on simulated galaxies",
            "classify",
        ),
    ]
    for question in questions():
        for answer, label in zip(question.answers, question.labels, strict=True):
            text = f"'{answer}' to '{question.text}'"
            rows += [
                Column(
                    f"{label}_fraction", F4, None, "stat.probability", f"expected vote fraction of {text}", "classify"
                ),
                Column(
                    f"{label}_fraction_error",
                    F4,
                    None,
                    "stat.error;stat.probability",
                    f"standard deviation of the vote fraction of {text}",
                    "classify",
                ),
                Column(f"{label}_dirichlet", F4, None, "stat.param", f"Dirichlet concentration of {text}", "classify"),
            ]
    return rows

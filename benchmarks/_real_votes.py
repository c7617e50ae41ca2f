"""Vote fractions of DECaLS pictures: what the network says of them as it comes, and trained further on four fifths.

The fractions published with the pictures are no counts: they lie no closer to k / n than chance has it, since they are
what a network that was trained on volunteers expects (Walmsley+ 2022, MNRAS 509, 3966). Real votes of people are known
for some: 40 on smooth or featured in Galaxy Zoo DECaLS, about 18 on the whole tree in Galaxy Zoo 2. All of these are
among the pictures that are held out.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _real_heads import Labelled, grey, in_colours, read, train
from _real_scores import SEED, bootstrapped, rank_correlation
from torch import Tensor, nn

from tuningfork.core.decision_tree import question
from tuningfork.core.seeds import generator_for
from tuningfork.evaluate.votes import mean_deviation, noise_floor
from tuningfork.networks.inputs import ORIENTATIONS, dihedral
from tuningfork.networks.losses import dirichlet_multinomial_nll
from tuningfork.networks.model_file import load
from tuningfork.sky.coordinates import distance
from tuningfork.surveys.lists.labels.trees.tree import read_tree

ANSWERS = {"smooth_or_featured": "featured", "edge_on": "no", "spiral_arms": "no"}
"""The answers whose fraction is published; what the others got together is what remains of one."""
COLUMNS = ["featured_frac", "not_edge_on_frac", "no_spiral_frac"]
VOLUNTEERS = 40
"""Taken to have looked at each galaxy: the median in Galaxy Zoo DECaLS."""
SAME = 2.0
"""Positions of one galaxy in two tables differ by less (arcsec)."""
FEWEST = 8
"""Galaxies of which figures are given."""


def vote_fractions(
    card: Path, data: Path, paths: list[Path], table: pd.DataFrame, stretch: float, epochs: int, number: int
) -> dict[str, float]:
    """Print and return how far expected vote fractions are off on a held-out fifth, with bootstrap errors."""
    people = {"gzd": _galaxy_zoo_decals(table), "gz2": _galaxy_zoo_2(table, data)}
    voted = sum(votes.sum((1, 2)) for votes in people.values()) + table["manga_visual_Bars"].notna().to_numpy()
    order = generator_for(SEED, "split", "votes").permutation(len(paths))
    order = order[np.argsort(voted[order] == 0, kind="stable")][:number]
    pictures = read([paths[row] for row in order], _published(table)[order], stretch)
    test, validation, rest = np.split(np.arange(len(order)), [len(order) // 5, 2 * (len(order) // 5)])
    best, losses = _chosen(card, pictures[rest], pictures[validation], epochs)
    learnt = np.concatenate([validation, rest])
    answers = {
        "trained": _answers(_fitted(card, best, pictures[learnt], epochs), pictures[test], best),
        "shipped": _answers(load(card, "morphology")[0], pictures[test], "frozen"),
    }
    print(
        f"vote fractions: {len(test)} held-out pictures ({best}; loss on validation "
        + ", ".join(f"{kind} {value:.3f}" for kind, value in losses.items())
        + ")"
    )
    truth = {"published": pictures.labels.numpy()} | {name: votes[order] for name, votes in people.items()}
    constant = _shares(truth["published"][learnt]).mean(0)
    figures: dict[str, float] = {}
    for name, votes in truth.items():
        for place, asked in enumerate(ANSWERS):
            found = {kind: _shares(_two(values))[:, place] for kind, values in answers.items()}
            noise = _noise
            if name != "published":
                found["published"], noise = _shares(truth["published"][test, place]), noise_floor
            figures |= _judged(f"{name}_{asked}", votes[test, place], found, constant[place], noise)
    return figures | _bars(answers, table.iloc[order[test]])


def _published(table: pd.DataFrame) -> np.ndarray:
    """Return the votes (N, 3, 2) behind the fractions: each question is asked of those whose answer led to it."""
    shares = table[COLUMNS].to_numpy(dtype=np.float32)
    led = np.cumprod(np.insert(shares[:, :-1], 0, 1, axis=1), axis=1)
    return VOLUNTEERS * led[..., None] * np.stack([shares, 1 - shares], axis=2)


def _galaxy_zoo_decals(table: pd.DataFrame) -> np.ndarray:
    featured = table["panoptes_featured"].to_numpy(dtype=float)
    votes = np.zeros((len(table), len(ANSWERS), 2))
    votes[:, 0] = np.nan_to_num(np.stack([featured, table["panoptes_votes"] - featured], axis=1))
    return votes


def _galaxy_zoo_2(table: pd.DataFrame, data: Path) -> np.ndarray:
    catalogue = pd.read_csv(data / "tables" / "gz2_stripe82_table5.csv.gz")
    tree = read_tree("gz2")
    columns = tree.columns_in(catalogue.columns)
    votes = _two(tree.votes({name: catalogue[column].to_numpy(dtype=float) for name, column in columns.items()}))
    found = np.zeros((len(table), *votes.shape[1:]))
    ra, dec = catalogue["ra"].to_numpy(), catalogue["dec"].to_numpy()
    for row in np.flatnonzero(table["gz2s82_n"].notna()):
        apart = distance(table["ra"].iloc[row], table["dec"].iloc[row], ra, dec)
        if apart.min() < SAME / 3600:
            found[row] = votes[apart.argmin()]
    return found


def _two(values: np.ndarray | Tensor) -> np.ndarray | Tensor:
    """Return (N, 3, 2) of votes or concentrations (N, all answers): the answer of `ANSWERS`, all others together.

    Answers of a Dirichlet distribution taken together are one of the sum of their concentrations.
    """
    parts = []
    for name, answer in ANSWERS.items():
        asked = question(name)
        one = values[:, asked.first + asked.answers.index(answer)]
        parts += [one, values[:, asked.slice].sum(1) - one]
    both = torch.stack(parts, 1) if isinstance(values, Tensor) else np.stack(parts, 1)
    return both.reshape(len(values), len(ANSWERS), 2)


def _shares(values: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return values[..., 0] / values.sum(-1)


def _loss(answer: dict[str, Tensor], votes: Tensor, _: int) -> Tensor:
    """Return the mean loss of votes, which are the same for every orientation."""
    expected = _two(answer["concentrations"])
    parts = [dirichlet_multinomial_nll(expected[:, k], votes[:, k]) for k in range(len(ANSWERS))]
    return torch.stack(parts).sum(0).mean()


def _fitted(card: Path, kind: str, data: Labelled, epochs: int) -> nn.Module:
    """Return the network trained further: on the mean colour its last layer alone (frozen), or all on the colours."""
    torch.manual_seed(SEED)
    if kind == "frozen":
        network, data = load(card, "morphology")[0], _seen(data, kind)
        network.votes.requires_grad_(True)
    else:
        network = in_colours(card)
    train(network, data, _loss, epochs, SEED)
    return network


def _seen(data: Labelled, kind: str) -> Labelled:
    return Labelled(grey(data.inputs), data.conditions, data.labels) if kind == "frozen" else data


def _chosen(card: Path, data: Labelled, validation: Labelled, epochs: int) -> tuple[str, dict[str, float]]:
    losses = {}
    for kind in ("frozen", "fine-tuned"):
        answer = torch.from_numpy(_answers(_fitted(card, kind, data, epochs), validation, kind))
        losses[kind] = float(_loss({"concentrations": answer}, validation.labels, 0))
    return min(losses, key=lambda kind: losses[kind]), losses


@torch.no_grad()
def _answers(network: nn.Module, data: Labelled, kind: str) -> np.ndarray:
    """Return the concentrations (N, all answers), averaged over the orientations."""
    data = _seen(data, kind)
    turned = [network(dihedral(data.inputs, turn), data.conditions) for turn in range(ORIENTATIONS)]
    return torch.stack([answer["concentrations"] for answer in turned]).mean(0).numpy()


def _judged(
    name: str, votes: np.ndarray, found: dict[str, np.ndarray], constant: float, noise: Callable[[np.ndarray], float]
) -> dict[str, float]:
    """Print and return the mean absolute errors of the fraction of one question.

    `floor` is what noise alone would give, `gain` how much less than the constant the trained network is off.
    """
    asked = votes.sum(1) > 0
    if asked.sum() < FEWEST:
        return {}
    votes, truth = votes[asked], _shares(votes[asked])
    found = {kind: values[asked] for kind, values in found.items()} | {"constant": np.full(len(truth), constant)}
    errors = {kind: bootstrapped(np.mean, np.abs(values - truth)) for kind, values in found.items()}
    errors["floor"] = bootstrapped(noise, votes)
    misses = np.abs(found.pop("constant") - truth) - np.abs(found["trained"] - truth)
    errors["gain"] = bootstrapped(np.mean, misses)
    rank = {kind: rank_correlation(values, truth) for kind, values in found.items()}
    print(
        f"{name}, {len(votes)} galaxies: mean absolute error "
        + ", ".join(f"{kind} {value:.3f} +- {error:.3f}" for kind, (value, error) in errors.items())
        + "; rank correlation "
        + ", ".join(f"{kind} {value:.2f} +- {error:.2f}" for kind, (value, error) in rank.items())
    )
    figures = {f"n_{name}": len(votes)}
    for prefix, values in (("mae", errors), ("rho", rank)):
        for kind, (value, error) in values.items():
            figures |= {f"{prefix}_{name}_{kind}": value, f"{prefix}_{name}_{kind}_error": error}
    return figures


def _noise(votes: np.ndarray) -> float:
    """Return the mean absolute error of so many votes if their fractions are the probabilities."""
    return float(mean_deviation(votes.sum(1), _shares(votes)).mean())


def _bars(answers: dict[str, np.ndarray], table: pd.DataFrame) -> dict[str, float]:
    """Print and return rank correlations with votes on bars, of which the training knew nothing."""
    bar = question("bar").slice
    figures = {}
    for name, column in (("gz2", "gz2s82_bar_debiased"), ("manga", "manga_visual_Bars")):
        truth = table[column].to_numpy(dtype=float)
        known = np.isfinite(truth)
        if known.sum() < FEWEST:
            continue
        for kind, values in answers.items():
            rho, error = rank_correlation(_shares(values[known, bar]), truth[known])
            figures |= {f"rho_bar_{name}_{kind}": rho, f"rho_bar_{name}_{kind}_error": error}
            print(f"bars ({name}), {known.sum()} galaxies: rank correlation {kind} {rho:.2f} +- {error:.2f}")
    return figures

"""What the shipped morphology network is worth on real pictures that people have labelled.

Two sets of labels, a fifth of each held out: the six classes of Galaxy Zoo 1 on SDSS pictures, and ring or no ring on
DECaLS pictures. A new head on the network's vector, the whole network trained further on the colour pictures, or the
mean of both, whichever is better on a part of the rest. Vote fractions of the DECaLS pictures, before and after the same
training.
Then bars without any training on real images: the bars of EFIGI galaxies, drawn as pictures, beside their attribute
Bar_Length, and bar_vote_share beside the votes of Galaxy Zoo 2.

    TUNINGFORK_REAL_DATA=... python benchmarks/real_images.py [--quick] [--model CARD] [--gallery FILE.png]
"""

import argparse
import json
import os
import tempfile
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _real_heads import fine_tuned, frozen, probabilities, read
from _real_scores import rank_correlation
from _real_votes import vote_fractions
from astropy.io import fits
from PIL import Image

from tuningfork.core.seeds import generator_for
from tuningfork.networks.compact import compact_card
from tuningfork.pictures.gallery import draw_gallery
from tuningfork.pictures.measure import PictureSettings, measure_files
from tuningfork.stamps.picture.stamp import sky_of

CLASSES = {"gz1": [0, 2, 1, 3, 4, 5], "rings": [0, 1]}
"""What each class is in a mirror: the sense of the spiral arms changes."""
STRETCHES = {"gz1": 8.0, "rings": 4.5}
"""Q of the pictures; those of the Legacy Surveys show arcsinh(20 I) / sqrt(20)."""
EPOCHS, QUICK_EPOCHS = 20, 1
QUICK = 100
"""Pictures of each set with --quick."""
SKY_STEPS = 4 / 255
"""Noise of the sky in the pictures that are drawn of EFIGI's images."""
SEED = 0


def labelled(data: Path, name: str) -> tuple[list[Path], list[int], pd.DataFrame]:
    """Return pictures, labels and the table of a set."""
    folder, key, label = {"gz1": ("gz1_stamps", "objid", "class"), "rings": ("decals_rings", "iauname", "ring")}[name]
    table = pd.read_csv(data / folder / "labels.csv", dtype={key: str})
    files = [data / folder / "images" / f"{entry}.jpg" for entry in table[key]]
    there = [place for place, path in enumerate(files) if path.exists()]
    table = table.iloc[there]
    return [files[place] for place in there], [int(value) for value in table[label]], table


def classify(card: Path, data: Path, name: str, epochs: int, quick: bool) -> dict[str, float]:
    """Print and return the accuracy on a held-out fifth, its binomial error, and the share of the commonest class."""
    paths, labels, _ = labelled(data, name)
    order = generator_for(SEED, "split", name).permutation(len(paths))[: QUICK if quick else None]
    pictures = read([paths[row] for row in order], [labels[row] for row in order], STRETCHES[name])
    fifth = len(order) // 5
    test, validation, train = np.split(np.arange(len(order)), [fifth, 2 * fifth])
    mirror = CLASSES[name]

    heads = {"frozen": frozen, "fine-tuned": partial(fine_tuned, epochs=epochs, seed=SEED)}

    def answers(learnt: np.ndarray, asked: np.ndarray, kinds: Collection[str]) -> dict[str, np.ndarray]:
        """Return the probabilities for some pictures by what others have taught, and their mean over `kinds`."""
        part = pictures[learnt]
        found = {kind: probabilities(heads[kind](card, part, mirror), pictures[asked], mirror) for kind in kinds}
        return found | {"both": np.mean(list(found.values()), axis=0)}

    truth = pictures.labels.numpy()
    tried = answers(train, validation, heads)
    losses = {kind: cross_entropy(found, truth[validation]) for kind, found in tried.items()}
    best = min(losses, key=lambda kind: losses[kind])
    kinds = [best] if best in heads else heads
    found = answers(np.concatenate([validation, train]), test, kinds)[best].argmax(1)
    accuracy = float(np.mean(found == truth[test]))
    null = float(np.bincount(truth[test]).max() / len(test))
    error = float(np.sqrt(accuracy * (1 - accuracy) / len(test)))
    print(
        f"{name}: accuracy {accuracy:.3f} +- {error:.3f} on {len(test)} held-out pictures ({best}; loss on validation "
        + ", ".join(f"{kind} {loss:.3f}" for kind, loss in losses.items())
        + f"), commonest class {null:.3f}"
    )
    print(pd.crosstab(truth[test], found, rownames=["truth"], colnames=["found"]).to_string())
    return {f"accuracy_{name}": accuracy, f"accuracy_error_{name}": error, f"accuracy_null_{name}": null}


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean negative logarithm of the probabilities (N, classes) of the labels."""
    return float(-np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-6, 1)).mean())


def bars_of_efigi(card: Path, data: Path, gallery: Path | None) -> dict[str, float]:
    """Print and return the rank correlations with EFIGI's bar length, over those of which it is known."""
    attributes = efigi_attributes(data / "tables" / "EFIGI_attributes.txt")
    with tempfile.TemporaryDirectory() as folder:
        paths = [draw(path, Path(folder)) for path in sorted((data / "efigi_sdss_fits" / "img-r").glob("*.fits.gz"))]
        table = measure_files(paths, Path(folder) / "table.parquet", settings_of(card))
        if gallery is not None:
            draw_gallery(paths, table, gallery)
    rows = table.to_pandas()
    truth = attributes.loc[[path.stem for path in paths], "Bar_Length"].to_numpy()
    known = (truth >= 0) & rows["bar_length_scaled"].notna().to_numpy()
    found = {
        "scaled": rows["bar_length_scaled"],
        "expected": rows["bar_length_scaled"] * rows["bar_yes_fraction"],
        "bar_vote_share": rows["bar_vote_share"],
        "size": rows["r90"],
    }
    figures: dict[str, float] = {"n_efigi": int(known.sum())}
    for name, values in found.items():
        rho, error = rank_correlation(values.to_numpy()[known], truth[known])
        figures |= {f"rho_efigi_{name}": rho, f"rho_efigi_{name}_error": error}
        print(f"EFIGI, {known.sum()} galaxies: rank correlation of {name} with Bar_Length {rho:.2f} +- {error:.2f}")
    return figures


def efigi_attributes(path: Path) -> pd.DataFrame:
    """Return EFIGI's table by name; -1 is unknown."""
    lines = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return pd.DataFrame(lines[1:], columns=lines[0]).set_index("PGCname").astype(float)


def draw(path: Path, folder: Path) -> Path:
    """Draw g, r and i of a galaxy as a colour picture (Lupton+ 2004) and return it."""
    name = path.name.split("_")[0]
    planes = []
    for band in "irg":
        image = np.nan_to_num(fits.getdata(path.parents[1] / f"img-{band}" / f"{name}_{band}.fits.gz")).astype(float)
        level, _ = sky_of(image)
        planes.append(image - level)
    light = np.stack(planes, axis=-1)
    light *= SKY_STEPS / sky_of(light.mean(axis=-1))[1]
    mean = np.maximum(light.mean(axis=-1, keepdims=True) + SKY_STEPS, 1e-6)
    picture = np.clip((light + SKY_STEPS) * np.arcsinh(8 * mean) / (8 * mean), 0, 1)
    target = folder / f"{name}.png"
    Image.fromarray(np.round(255 * picture[::-1]).astype(np.uint8)).save(target)
    return target


def bars_of_votes(card: Path, data: Path, quick: bool) -> dict[str, float]:
    """Print and return the rank correlation of bar_vote_share with the debiased bar votes of Galaxy Zoo 2."""
    paths, _, table = labelled(data, "rings")
    votes = table["gz2s82_bar_debiased"].to_numpy(dtype=float)
    chosen = np.flatnonzero(np.isfinite(votes))[: 8 if quick else None]
    settings = settings_of(card)
    with tempfile.TemporaryDirectory() as folder:
        found = measure_files([paths[row] for row in chosen], Path(folder) / "table.parquet", settings).to_pandas()
    good = found["bar_yes_fraction"].notna().to_numpy()
    rho, error = rank_correlation(found["bar_yes_fraction"].to_numpy()[good], votes[chosen][good])
    null, null_error = rank_correlation(found["r90"].to_numpy()[good], votes[chosen][good])
    print(
        f"votes, {good.sum()} galaxies: rank correlation {rho:.2f} +- {error:.2f}, of size {null:.2f} +- {null_error:.2f}"
    )
    return {"n_votes": int(good.sum()), "rho_votes": rho, "rho_votes_error": error, "rho_votes_size": null}


def settings_of(card: Path) -> PictureSettings:
    """Return how pictures are measured with a network, with the calibration if it is the shipped one."""
    return PictureSettings(models=() if card == compact_card("morphology") else (card,))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few pictures and one epoch")
    parser.add_argument("--model", type=Path, default=compact_card("morphology"))
    parser.add_argument("--gallery", type=Path)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of the training on real pictures (20)")
    options = parser.parse_args(arguments)
    root = os.environ.get("TUNINGFORK_REAL_DATA")
    if not root:
        parser.exit(0, "TUNINGFORK_REAL_DATA names no folder: nothing to do\n")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    figures = bars_of_efigi(options.model, Path(root), options.gallery)
    figures |= bars_of_votes(options.model, Path(root), options.quick)
    epochs = QUICK_EPOCHS if options.quick else options.epochs
    pictures, _, table = labelled(Path(root), "rings")
    number = QUICK if options.quick else len(pictures)
    figures |= vote_fractions(options.model, Path(root), pictures, table, STRETCHES["rings"], epochs, number)
    for name in reversed(CLASSES):
        figures |= classify(options.model, Path(root), name, epochs, options.quick)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

"""Small stamp stores and untrained networks on disk, for tests of the stages that read them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.columns.table import shard_table
from tuningfork.core.config import validate
from tuningfork.core.decision_tree import answers, vote_columns
from tuningfork.core.files import new_array
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import read_table, write_table
from tuningfork.networks.model_file import build, input_of, save
from tuningfork.networks.structure import COLUMNS

BANDS = ["g", "r", "i"]
SIZE = 64
SCALE = 0.4
LINEAGE = {"stamps": "t0"}


def parameters(stage: str, **sections: Any) -> Parameters:
    """Return frozen parameters without a file."""
    return Parameters(stage, f"{stage}-digest", validate(sections), None)


def model_card(folder: Path, task: str, member: int = 0, favoured: Sequence[str] = ()) -> Path:
    """Write an untrained network and return its card; a morphology network expects the votes to be `favoured`."""
    architecture: dict[str, Any] = {"network": task, "reference_band": "r", "width": 8, "size": SIZE}
    bands = ["r"] if task == "structure" else BANDS
    if task == "morphology":
        architecture["bands"] = bands
    card = folder / task / f"member-{member}.json"
    network = build(architecture, seed=member)
    for name in favoured:
        network.votes.bias.data[list(answers()).index(name)] += 4
    save(
        network,
        card.with_suffix(".safetensors"),
        card,
        {
            "task": task,
            "architecture": architecture,
            "input": input_of(bands, "r", SIZE),
            "heads": {"targets": list(COLUMNS), "range": {}},
            "lineage": {f"train-{task}": "m0"},
        },
    )
    return card


def images(number: int, rng: np.random.Generator) -> np.ndarray:
    """Return (number, 2, B, S, S) stamps of discs with bars in white noise."""
    y, x = np.indices((SIZE, SIZE)) - SIZE // 2
    stamps = np.empty((number, 2, len(BANDS), SIZE, SIZE), dtype=np.float32)
    for stamp in stamps:
        theta = rng.uniform(0, np.pi)
        along, across = -x * np.sin(theta) + y * np.cos(theta), x * np.cos(theta) + y * np.sin(theta)
        galaxy = 2 * np.exp(-np.hypot(x, y) / 8) + np.exp(-((along / 9) ** 2) - (across / 2) ** 2)
        stamp[0] = galaxy + rng.normal(0, 0.03, (len(BANDS), SIZE, SIZE))
        stamp[1] = 1 / 0.03**2
    return stamps


def _conditions(number: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    values = {f"psf_fwhm_{band}": rng.uniform(1.0, 1.4, number) for band in BANDS}
    values |= {f"sky_noise_{band}": np.full(number, 0.03) for band in BANDS}
    values |= {"pixel_scale": np.full(number, SCALE), "zero_point": np.full(number, 22.5)}
    return values | {"psf_beta": np.full(number, 3.0)}


def stamp_store(path: Path, number: int, seed: int = 0, empty: int = 1) -> Path:
    """Write the stamps of a shard, of which the first `empty` sources have none, and return the table's path."""
    rng = np.random.default_rng(seed)
    good = np.arange(number) >= empty
    values = {name: np.where(good, column, np.nan) for name, column in _conditions(number, rng).items()}
    values |= {
        "north_angle": np.where(good, 20.0, np.nan),
        "valid_fraction": np.where(good, 1.0, 0.0),
        "east_is_left": [True if has else None for has in good],
    }
    own = {
        "source_id": np.arange(number, dtype=np.int64) + 1000 * (seed + 1),
        "flags": np.where(good, 0, 8).astype(np.int64),
    }
    table = shard_table("stamps", own | values, BANDS)
    write_table(path, table, LINEAGE, bands=BANDS, reference_band="r", shard=path.stem)
    with new_array(path.with_suffix(".npy"), (number, 2, len(BANDS), SIZE, SIZE), np.float32) as array:
        array[good] = images(int(good.sum()), rng)
    return path


def morphology_table(path: Path, stamps: Path, barred: np.ndarray) -> Path:
    """Write the classes of a shard: sources marked in `barred` are, the first (no stamp) is not classified."""
    rows = read_table(stamps)
    good = rows["valid_fraction"].to_numpy() > 0
    fraction = np.where(barred, 0.8, 0.2)
    names = [("barred_spiral" if bar else "smooth") if has else None for has, bar in zip(good, barred, strict=True)]
    values = {
        "source_id": rows["source_id"],
        "flags": rows["flags"],
        "morphology": names,
        "bar_yes_fraction": np.where(good, fraction, np.nan),
        "bar_probability": np.where(good, fraction, np.nan),
        "bar_vote_share": np.where(good, 0.9 * fraction, np.nan),
    }
    write_table(path, shard_table("classify", values), LINEAGE | {"classify": "c0"})
    return path


def training_part(path: Path, number: int, seed: int = 0) -> Path:
    """Write a training part with as many galaxies of each split as chance wants, and return the table's path."""
    rng = np.random.default_rng(seed)
    kinds = np.array(["elliptical", "spiral", "barred_spiral", "edge_on", "merger"], dtype=object)[
        rng.integers(0, 5, number)
    ]
    bar = kinds == "barred_spiral"
    index = np.arange(number, dtype=np.int64) + number * seed
    columns: dict[str, Any] = (
        {
            "index": index,
            "split": [{8: "validation", 9: "test"}.get(k % 10, "train") for k in index],
            "class": list(kinds),
            "mag": rng.uniform(14, 18, number),
            "r_eff": rng.uniform(2, 6, number),
            "sersic_n": rng.uniform(0.8, 4, number),
            "axis_ratio": rng.uniform(0.3, 1, number),
            "position_angle": rng.uniform(0, 180, number),
            "bulge_to_total": rng.uniform(0, 1, number),
            "bar_length": np.where(bar, rng.uniform(4, 14, number), np.nan),
            "bar_position_angle": np.where(bar, rng.uniform(0, 180, number), np.nan),
            "bar_axis_ratio": np.where(bar, 0.35, np.nan),
            "bar_strength": np.where(bar, 0.3, np.nan),
            "arm_strength": rng.uniform(0, 0.3, number),
            "native_size": np.full(number, SIZE),
        }
        | _conditions(number, rng)
        | {name: rng.integers(0, 20, number).astype(np.int32) for name in vote_columns()}
    )
    arrays = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    write_table(path, pa.table(arrays), {"simulate": "s0"}, bands=BANDS, reference_band="r")
    with new_array(path.with_suffix(".npy"), (number, 2, len(BANDS), SIZE, SIZE), np.float32) as array:
        array[:] = images(number, rng)
    return path


def one_band_morphology(folder: Path, bands: list[str], seed: int = 3) -> Path:
    """Write an untrained morphology network that reads pictures, and return its card."""
    architecture = {"network": "morphology", "bands": bands, "reference_band": "r", "width": 8, "size": 128}
    path = folder / "member-0.json"
    facts = {"task": "morphology", "architecture": architecture, "input": input_of(bands, "r", 128), "lineage": {}}
    save(build(architecture, seed=seed), path.with_suffix(".safetensors"), path, facts)
    return path

"""Small training sets and networks that the tests of training and prediction share."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.config import validate
from tuningfork.core.decision_tree import answers, questions, vote_columns
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import write_table
from tuningfork.networks.model_file import build, input_of, save
from tuningfork.networks.structure import COLUMNS
from tuningfork.stamps.store import StampFiles

BANDS = ["g", "r"]
SIZE = 32
SCALE = 0.4
NOISE = 0.03


def ellipses(rng: np.random.Generator, number: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return stamps (N, 2, B, S, S) of Gaussian ellipses, and their flux, axis ratio, width and angle."""
    y, x = np.mgrid[:SIZE, :SIZE] - float(SIZE // 2)
    angle, ratio = rng.uniform(0, 180, number), rng.uniform(0.3, 1, number)
    width, flux = rng.uniform(2, 5, number), 10 ** rng.uniform(1, 2, number)
    theta = np.deg2rad(angle)[:, None, None]
    along, across = -x * np.sin(theta) + y * np.cos(theta), x * np.cos(theta) + y * np.sin(theta)
    sigma = width[:, None, None]
    profile = np.exp(-(along**2 + (across / ratio[:, None, None]) ** 2) / (2 * sigma**2))
    profile *= (flux / (2 * np.pi * width**2 * ratio))[:, None, None]
    image = profile[:, None] + rng.normal(0, NOISE, (number, len(BANDS), SIZE, SIZE))
    stamps = np.stack([image, np.full_like(image, NOISE**-2)], axis=1).astype(np.float32)
    return stamps, {"flux": flux, "ratio": ratio, "width": width, "angle": angle}


def facts(number: int) -> dict[str, np.ndarray]:
    """Return the columns that describe the imaging."""
    columns = {
        "pixel_scale": np.full(number, SCALE),
        "zero_point": np.full(number, 22.5),
        "psf_beta": np.full(number, 3.0),
    }
    for band in BANDS:
        columns |= {f"psf_fwhm_{band}": np.full(number, 1.2), f"sky_noise_{band}": np.full(number, NOISE)}
    return columns


def votes(rng: np.random.Generator, number: int) -> np.ndarray:
    """Return counts (N, answers) that follow the decision tree."""
    counts = np.zeros((number, len(answers())), dtype=np.int32)
    names = list(answers())
    for entry in questions():
        asked = np.full(number, 10) if entry.after is None else counts[:, names.index(entry.after)]
        for row in range(number):
            counts[row, entry.slice] = rng.multinomial(asked[row], rng.dirichlet(np.ones(len(entry.answers))))
    return counts


def write_part(path: Path, number: int = 60, seed: int = 1, bands: list[str] | None = None, **changes: Any) -> Path:
    """Write a part of a training set and return the path of its table; `changes` replace columns."""
    rng = np.random.default_rng(seed)
    stamps, truth = ellipses(rng, number)
    index = np.arange(number)
    barred = index % 2 == 0
    columns: dict[str, Any] = {
        "index": index,
        "split": np.where(index % 10 == 8, "validation", np.where(index % 10 == 9, "test", "train")),
        "class": np.where(barred, "barred_spiral", "spiral"),
        "mag": 22.5 - 2.5 * np.log10(truth["flux"]),
        "r_eff": 1.18 * truth["width"] * SCALE,
        "sersic_n": np.full(number, 0.5),
        "axis_ratio": truth["ratio"],
        "position_angle": truth["angle"],
        "bulge_to_total": pa.array(np.where(barred, 0.2, np.nan), from_pandas=True),
        "bar_length": pa.array(np.where(barred, truth["width"], np.nan), from_pandas=True),
        "bar_position_angle": pa.array(np.where(barred, truth["angle"], np.nan), from_pandas=True),
        "bar_axis_ratio": pa.array(np.where(barred, truth["ratio"], np.nan), from_pandas=True),
        "bar_strength": np.where(barred, 0.3, 0.0),
        **facts(number),
    }
    columns |= dict(zip(vote_columns(), votes(rng, number).T, strict=True)) | changes
    np.save(path.with_suffix(".npy"), stamps)
    write_table(path, pa.table(columns), {"simulate": "s"}, bands=bands or BANDS, reference_band="r")
    return path


def write_stamps(path: Path, number: int = 7, seed: int = 2, **changes: Any) -> Path:
    """Write a shard's stamps; the sources 1 and 4 have none."""
    stamps, _ = ellipses(np.random.default_rng(seed), number)
    missing = np.isin(np.arange(number), [1, 4])
    stamps[missing] = 0
    columns: dict[str, Any] = {
        "source_id": np.arange(number) + 100,
        "flags": np.where(missing, 4, 0).astype(np.int64),
        "north_angle": np.zeros(number),
        "east_is_left": np.ones(number, dtype=bool),
    }
    for name, values in facts(number).items():
        columns[name] = pa.array(np.where(missing, np.nan, values), from_pandas=True)
    np.save(path.with_suffix(".npy"), stamps)
    write_table(path, pa.table(columns | changes), {"stamps": "t"}, bands=BANDS, reference_band="r")
    return path


def stamp_files(table: Path) -> StampFiles:
    """Return the store that :func:`write_part` and :func:`write_stamps` write."""
    return StampFiles(table, table.with_suffix(".npy"))


def parameters(stage: str, **values: Any) -> Parameters:
    """Return parameters of a stage with parts of the configuration changed."""
    return Parameters(stage, "d" * 16, validate(values), None)


def write_model(path: Path, task: str, seed: int = 0) -> Path:
    """Write an untrained network and return the path of its card."""
    if task == "encoder":
        architecture: dict[str, Any] = {"network": "encoder", "bands": len(BANDS), "width": 8}
    elif task == "structure":
        architecture = {"network": "structure", "reference_band": "r", "width": 8, "size": SIZE}
    else:
        architecture = {"network": task, "bands": BANDS, "reference_band": "r", "width": 8, "size": SIZE}
    limits = {"mag": [-20.0, 0.0], "log_r_eff": [-9.0, 9.0], "log_sersic_n": [-9.0, 9.0]}
    save(
        build(architecture, seed),
        path.with_suffix(".safetensors"),
        path,
        {
            "task": task,
            "architecture": architecture,
            "input": input_of(["r"] if task == "structure" else BANDS, "r", SIZE),
            "heads": {"range": limits, "targets": list(COLUMNS)},
            "lineage": {f"train-{task}": "m"},
        },
    )
    return path

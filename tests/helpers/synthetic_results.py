"""Results of a small run, drawn at random: what the catalogue and the report read, without the stages before them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.catalogue.merge import CatalogueFiles
from tuningfork.core.columns.table import shard_table
from tuningfork.core.config import validate
from tuningfork.core.decision_tree import answers
from tuningfork.core.description import Description
from tuningfork.core.files import new_array, write_json
from tuningfork.core.flags import Flag
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import write_table
from tuningfork.networks.model_file import MODEL_FORMAT, input_of
from tuningfork.sky.shards import Shard, shards_of_positions

BANDS = ["g", "r", "i"]
SIZE = 64
SCALE = 0.396
INTERVALS = {"mag": {"degrees": 3.2, "width95": 2.64}}
"""What the tables of the stage structure say about the tails of errors."""
CLASSES = ["elliptical", "spiral", "barred_spiral", "edge_on", "merger"]
LINEAGE = {"sources": "s0", "stamps": "t0"}
DESCRIPTION = Description(
    title="synthetic sky",
    bands=BANDS,
    reference_band="r",
    pixel_scale=SCALE,
    zero_point=22.5,
    flux_unit="nanomaggy",
    psf_fwhm=[1.4, 1.3, 1.2],
    psf_fwhm_scatter=0.1,
    psf_beta=3.0,
    sky_noise=[0.02, 0.03, 0.04],
    sky_noise_scatter=0.1,
)


@dataclass
class Results:
    """Paths of the tables of a run, one a shard, in the names of the stages' options."""

    folder: Path
    shards: list[Shard]
    models: list[Path]

    def paths(self, stage: str) -> list[Path]:
        """Return the table of `stage` for each shard."""
        return [self.folder / stage / f"{shard.name}.parquet" for shard in self.shards]

    def arrays(self, stage: str) -> list[Path]:
        """Return the array of `stage` for each shard."""
        return [self.folder / stage / f"{shard.name}.npy" for shard in self.shards]

    def inputs(self) -> dict[str, Any]:
        """Return the tables that the catalogue joins, by the names of :class:`CatalogueFiles`."""
        stages = ("sources", "stamps", "morphology", "structure", "bars", "features", "tiles")
        return {stage: self.paths(stage) for stage in stages} | {"models": self.models}

    def catalogue_files(self, **changes: Any) -> CatalogueFiles:
        """Return what `build_catalogue` reads and writes, in the run's folder but for `changes`."""
        outputs = {
            "output": self.folder / "catalogue",
            "table": self.folder / "catalogue.parquet",
            "accounting": self.folder / "accounting.json",
        }
        return CatalogueFiles(**(self.inputs() | outputs | changes))


def parameters(stage: str, **sections: Any) -> Parameters:
    """Return frozen parameters without a file."""
    return Parameters(stage, f"{stage}-digest", validate(sections), DESCRIPTION)


def results(folder: Path, galaxies: int = 30, truth: bool = True, barred: bool = True, order: int = 8) -> Results:
    """Write the tables of two shards with sources and of one without, and two model cards."""
    near = shards_of_positions(np.array([210.1, 210.4]), np.array([0.1, 0.1]), order)
    empty = Shard(order, near[-1].pixel + 1)
    run = Results(folder, [*near, empty], [])
    for number, shard in enumerate(run.shards):
        _shard(run, shard, 0 if shard is empty else galaxies, number, truth, barred)
    for task in ("morphology", "structure"):
        run.models.append(_card(folder, task))
    return run


def _card(folder: Path, task: str) -> Path:
    path = folder / "models" / task / "member-0.json"
    write_json(
        path,
        {
            "format": MODEL_FORMAT,
            "task": task,
            "weights_sha256": "ab" * 32,
            "weights": "member-0.safetensors",
            "lineage": LINEAGE | {f"train-{task}": "m0"},
            "architecture": {"network": task, "reference_band": "r", "size": 128, "width": 8},
            "input": input_of(BANDS, "r", 128),
            "training": {"galaxies": 800, "epochs": 4, "seconds": 60.0},
            "metrics": {},
            "versions": {},
            "history": [
                {"epoch": epoch, "train_loss": 3 / (epoch + 1), "validation_loss": 3.2 / (epoch + 1), "seconds": 15.0}
                for epoch in range(4)
            ],
        },
    )
    return path


def _shard(run: Results, shard: Shard, count: int, number: int, truth: bool, barred: bool) -> None:
    rng = np.random.default_rng(number)
    source_id = np.arange(count, dtype=np.int64) + 1000 * (number + 1)
    ra0, dec0 = shard.centre
    ra, dec = ra0 + rng.uniform(-0.03, 0.03, count), dec0 + rng.uniform(-0.03, 0.03, count)
    flags = np.zeros(count, dtype=np.int64)
    good = np.ones(count, dtype=bool)
    if count:
        # the first has no position, the second no tile: neither is measured
        ra[0] = np.nan
        flags[0], flags[1] = Flag.NO_POSITION, Flag.BAD_TILE
        good[:2] = False
    kinds = np.array([CLASSES[k] for k in rng.choice(5, count)], dtype=object)
    if not barred:
        kinds[kinds == "barred_spiral"] = "spiral"
    bar = kinds == "barred_spiral"
    true = {
        "mag": rng.uniform(15, 18, count),
        "r_eff": rng.uniform(2, 8, count),
        "sersic_n": rng.uniform(0.8, 5, count),
        "axis_ratio": rng.uniform(0.3, 1, count),
        "position_angle": rng.uniform(0, 180, count),
        "bar_length": np.where(bar, rng.uniform(4, 14, count), np.nan),
        "bar_position_angle": np.where(bar, rng.uniform(0, 180, count), np.nan),
    }
    lineage = dict(LINEAGE)

    def write(stage: str, folder: str, values: dict[str, Any], **details: Any) -> None:
        own = {"source_id": source_id, "flags": flags} | values
        with_truth = truth and stage == "sources"
        path = run.folder / folder / f"{shard.name}.parquet"
        write_table(path, shard_table(stage, own, BANDS, truth=with_truth), lineage, **details)

    known = {f"true_{name}": values for name, values in true.items()} | {"true_class": kinds}
    write(
        "sources",
        "sources",
        {
            "name": [f"galaxy {k}" for k in source_id],
            "ra": ra,
            "dec": dec,
            "survey_mag": true["mag"],
            "survey_radius": true["r_eff"],
        }
        | (known if truth else {}),
    )
    _tiles(run, shard, number, lineage)
    write("stamps", "stamps", _stamp_columns(good, rng), bands=BANDS, reference_band="r", shard=shard.name)
    with new_array(run.folder / "stamps" / f"{shard.name}.npy", (count, 2, 3, SIZE, SIZE), np.float32) as array:
        for k in np.flatnonzero(good):
            array[k] = _stamp({name: values[k] for name, values in true.items()}, rng)
    flags = flags | np.where(good & ~bar, Flag.NOT_BARRED, 0)
    write("classify", "morphology", _votes(kinds, good, bar, rng))
    noisy = {
        name: np.where(good, true[name] * rng.normal(1, 0.05, count), np.nan)
        for name in ("mag", "r_eff", "sersic_n", "axis_ratio", "position_angle")
    }
    noisy["mag"] = np.where(good, true["mag"] + rng.normal(0, 0.05, count), np.nan)
    method = {
        "structure_method": ["refined" if ok else None for ok in good],
        "reduced_chi2": np.where(good, 1.1, np.nan),
    }
    write(
        "structure",
        "structure",
        method | noisy | {f"{name}_error": np.abs(values) * 0.05 for name, values in noisy.items()},
        intervals=INTERVALS,
    )
    write("bars", "bars", _bars(true, good & bar, rng))
    write("features", "features", _features(good, rng))
    np.save(run.folder / "features" / f"{shard.name}.npy", rng.integers(0, 256, (count, SIZE, SIZE // 8), np.uint8))
    with new_array(run.folder / "saliency" / f"{shard.name}.npy", (count, 2, SIZE, SIZE), np.float16) as maps:
        for k in np.flatnonzero(good):
            maps[k] = _saliency(true["bar_position_angle"][k], true["bar_length"][k])
    scales = {f"scale_{member}": np.ones(count, "f4") for member in range(2)}
    path = run.folder / "saliency" / f"{shard.name}.parquet"
    table = pa.table({"source_id": source_id, "flags": flags} | scales)
    write_table(path, table, lineage, samples=4, noise_level=0.1, members=2)


def _tiles(run: Results, shard: Shard, number: int, lineage: dict[str, str]) -> None:
    missing = number == 0
    # The first band has two files, as where the PSF comes beside the image.
    table = pa.table(
        {
            "tile": ["t1"] * 4,
            "ra": [210.1] * 4,
            "dec": [0.1] * 4,
            "band": [BANDS[0], *BANDS],
            "role": ["psf", "image", "image", None if missing else "image"],
            "path": ["psf.fits", "a.fits", "b.fits", None if missing else "c.fits"],
            "status": ["ok", "ok", "ok", "missing" if missing else "ok"],
            "reason": pa.array([None, None, None, "404 Not Found" if missing else None], pa.string()),
            "bytes": [10, 10, 10, 0],
            "sha256": pa.array(["p", "a", "b", None], pa.string()),
        }
    )
    write_table(run.folder / "tiles" / f"{shard.name}.parquet", table, lineage)


def _stamp_columns(good: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    def where(value: float) -> np.ndarray:
        return np.where(good, value, np.nan)

    values = {
        "tile": ["t1" if ok else None for ok in good],
        "pixel_scale": where(SCALE),
        "zero_point": where(22.5),
        "psf_beta": where(3.0),
        "north_angle": where(0.0),
        "east_is_left": np.ones(len(good), bool),
        "valid_fraction": where(1.0),
    }
    for band, fwhm, noise in zip(BANDS, DESCRIPTION.psf_fwhm, DESCRIPTION.sky_noise, strict=True):
        values |= {f"psf_fwhm_{band}": where(fwhm), f"sky_noise_{band}": where(noise)}
    return values


def _stamp(true: dict[str, float], rng: np.random.Generator) -> np.ndarray:
    """Draw an exponential disc, with a bar if there is one, north up and east left."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2

    def rotated(angle: float) -> tuple[np.ndarray, np.ndarray]:
        a = np.deg2rad(angle)
        return -x * np.sin(a) + y * np.cos(a), x * np.cos(a) + y * np.sin(a)

    along, across = rotated(true["position_angle"])
    light = np.exp(-1.68 * np.hypot(along, across / true["axis_ratio"]) * SCALE / true["r_eff"])
    if np.isfinite(true["bar_length"]):
        along, across = rotated(true["bar_position_angle"])
        light = light + 1.5 * np.exp(-0.5 * ((along * SCALE / true["bar_length"] * 4) ** 2 + (across / 2) ** 2))
    planes = []
    for colour, noise in zip((0.6, 1.0, 1.3), DESCRIPTION.sky_noise, strict=True):
        planes.append(colour * light + rng.normal(0, noise, light.shape))
    weights = [np.full(light.shape, noise**-2) for noise in DESCRIPTION.sky_noise]
    return np.array([planes, weights], dtype=np.float32)


def _saliency(angle: float, length: float) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    a = np.deg2rad(angle if np.isfinite(angle) else 0.0)
    width = (length if np.isfinite(length) else 4.0) / SCALE / 4
    one = np.exp(-0.5 * (((-x * np.sin(a) + y * np.cos(a)) / width) ** 2 + ((x * np.cos(a) + y * np.sin(a)) / 3) ** 2))
    return np.stack([one, one]).astype(np.float16)


def _votes(kinds: np.ndarray, good: np.ndarray, bar: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    values: dict[str, Any] = {
        "morphology": [kind if ok else None for kind, ok in zip(kinds, good, strict=True)],
        "bar_vote_share": np.where(good, np.where(bar, 0.8, 0.1), np.nan),
        "bar_probability": np.where(good, np.where(bar, 0.9, 0.1), np.nan),
    }
    for label in answers():
        values[f"{label}_fraction"] = np.where(good, rng.uniform(0, 1, len(kinds)), np.nan)
        values[f"{label}_fraction_error"] = np.where(good, 0.05, np.nan)
        values[f"{label}_dirichlet"] = np.where(good, 3.0, np.nan)
    return values


def _features(good: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    values = {}
    for name in ("bulge_fraction", "spiral_arm_fraction"):
        values[name] = np.where(good, rng.uniform(0, 1, len(good)), np.nan)
        values |= {f"{name}_error": np.where(good, 0.05, np.nan), f"{name}_raw": values[name] * 0.8}
    return values


def _bars(true: dict[str, np.ndarray], bar: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    length = np.where(bar, true["bar_length"] * rng.normal(1, 0.1, len(bar)), np.nan)
    angle = np.where(bar, (true["bar_position_angle"] + rng.normal(0, 5, len(bar))) % 180, np.nan)
    return {
        "bar_length": length,
        "bar_length_error": length * 0.1,
        "bar_length_method": ["direct" if is_bar else None for is_bar in bar],
        "bar_length_direct": length,
        "bar_length_direct_error": length * 0.1,
        "bar_length_saliency": length * 1.1,
        "bar_length_saliency_error": length * 0.2,
        "bar_length_saliency_raw": length * 0.7,
        "bar_position_angle": angle,
        "bar_position_angle_error": np.where(bar, 5.0, np.nan),
        "bar_ellipticity": np.where(bar, 0.6, np.nan),
        "bar_ellipticity_error": np.where(bar, 0.1, np.nan),
    }

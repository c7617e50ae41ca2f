"""How the network of profile parameters gains from more simulated galaxies.

The same network is trained from random weights on the first 1,000, 5,000, 20,000 and 40,000 training galaxies of the
set of config/examples/compact.yaml, and judged on the same held-out tenth, which none has seen. Small sets are passed
over more often. The training set comes from the workflow:

    snakemake --cores all --configfile config/examples/compact.yaml training_set
    python benchmarks/learning_curve.py [--training results/training] [--sizes 1000 5000]

`--quick` draws 600 galaxies of its own and shows that it works.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from tuningfork.core.config import Configuration, validate
from tuningfork.core.description import describe
from tuningfork.core.stage.parameters import Parameters
from tuningfork.networks.ensemble import choose_device, workers_for
from tuningfork.stamps.store import StampFiles
from tuningfork.training.figures import figures
from tuningfork.training.loop import Recipe, fit
from tuningfork.training.sets.data import TaskData
from tuningfork.training.sets.dataset import TrainingSet, open_training_set
from tuningfork.training.sets.parts import simulate_part
from tuningfork.training.start import start
from tuningfork.training.tasks import structure_task
from tuningfork.training.threads import compute_with

ROOT = Path(__file__).resolve().parents[1]
EPOCHS = {1000: 48, 5000: 24, 20_000: 12, 40_000: 12}
"""Training galaxies -> passes over them."""
PARAMETERS = {"mag": "mag", "r_eff": "log_r_eff", "sersic_n": "log_sersic_n", "axis_ratio": "axis_ratio"}
"""Name of a parameter -> its key among the figures."""


def first(data_set: TrainingSet, number: int) -> TrainingSet:
    """Return the training set with its first `number` training galaxies, and all held-out ones."""
    split = data_set.split.copy()
    split[data_set.rows("train")[number:]] = "unused"
    return replace(data_set, split=split)


def trained(data_set: TrainingSet, number: int, epochs: int, configuration: Configuration) -> dict[str, Any]:
    """Train on `number` galaxies and return the figures on the test galaxies, and the seconds of the training."""
    settings, seed, keys = configuration.train.structure, configuration.seed, ("learning curve", number)
    kept, device = first(data_set, number), choose_device()
    task = structure_task(kept.reference_band, settings.targets)
    model, _ = start("structure", settings, kept, None, seed=seed, keys=keys)
    data = TaskData(kept, task.targets, min(settings.batch_size, number), seed, keys, workers_for(device))
    recipe = Recipe("train.structure", epochs, data.batch_size, settings.learning_rate, settings.weight_decay)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.safetensors"
        fit(model, task.loss, data, recipe, checkpoint=checkpoint, token=str(number), device=device)
    return {"seconds": round(time.monotonic() - begin)} | figures(model, task, data, "test", device)


def drawn(configuration: Configuration, folder: Path) -> list[Path]:
    """Draw the parts of a small training set."""
    description = describe(configuration, ROOT / "config" / "surveys")
    parameters = Parameters("simulate", "benchmark", configuration, description)
    tables = []
    for part in range(configuration.simulate.size // configuration.simulate.galaxies_per_part):
        tables.append(folder / f"part-{part}.parquet")
        simulate_part(parameters=parameters, part=part, pixels=tables[-1].with_suffix(".npy"), table=tables[-1])
    return tables


def report(found: dict[int, dict[str, Any]], test: int) -> None:
    """Print the table and the figures."""
    print(f"{test} held-out galaxies; R2 (robust scatter); mag, ln r_eff, ln n, axis ratio; 1 thread")
    print(f"{'galaxies':>9s} {'epochs':>7s} " + " ".join(f"{name:>16s}" for name in PARAMETERS) + f" {'s':>7s}")
    for number, result in found.items():
        cells = [f"{result[key]['r2']:.4f} ({result[key]['scatter']:.4f})" for key in PARAMETERS.values()]
        epochs = EPOCHS.get(number, 2)
        print(f"{number:9d} {epochs:7d} " + " ".join(f"{cell:>16s}" for cell in cells) + f" {result['seconds']:7d}")
    constant = next(iter(found.values()))
    scatters = [f"0 ({constant[key]['scatter_of_constant']:.4f})" for key in PARAMETERS.values()]
    print(f"{'constant':>9s} {'':7s} " + " ".join(f"{cell:>16s}" for cell in scatters))
    print(
        json.dumps(
            {
                f"r2_{name}_{number}": round(result[key]["r2"], 4)
                for number, result in found.items()
                for name, key in PARAMETERS.items()
            }
        )
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="480 galaxies drawn on the spot, two passes")
    parser.add_argument("--training", type=Path, default=Path("results/training"), help="folder of the training set")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(EPOCHS), help="numbers of training galaxies")
    options = parser.parse_args(arguments)
    values = yaml.safe_load((ROOT / "config" / "examples" / "compact.yaml").read_text())
    compute_with(1)
    with tempfile.TemporaryDirectory() as folder:
        if options.quick:
            values["simulate"] |= {"size": 600, "galaxies_per_part": 300}
            configuration = validate(values)
            tables, sizes = drawn(configuration, Path(folder)), [120, 480]
        else:
            configuration = validate(values)
            tables, sizes = sorted(options.training.glob("part-*.parquet")), options.sizes
        data_set = open_training_set(
            [StampFiles(path, path.with_suffix(".npy")) for path in tables], reference_alone=True
        )
        found = {number: trained(data_set, number, EPOCHS.get(number, 2), configuration) for number in sizes}
        report(found, len(data_set.rows("test")))


if __name__ == "__main__":
    main()

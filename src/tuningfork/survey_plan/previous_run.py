"""Times of a previous run, from Snakemake's benchmark files."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuningfork.core.files import read_json
from tuningfork.core.stage import paths
from tuningfork.core.stage.benchmarks import read_benchmarks
from tuningfork.survey_plan.work import UNITS, StageTime, Unit


@dataclass(frozen=True)
class PreviousRun:
    """What a previous run took.

    Attributes
    ----------
    seconds : mapping
        Stage -> time of one core for all its jobs, start included.
    work : mapping
        Unit -> amount of work that the run had; a unit that is not known is missing.
    """

    seconds: Mapping[str, float]
    work: Mapping[Unit, float]

    def times(self, work: Mapping[Unit, float]) -> dict[str, StageTime]:
        """Return what the measured stages will take in a run.

        Parameters
        ----------
        work : mapping
            Unit -> amount of work of the run that is planned.

        Returns
        -------
        dict
            Stage -> time. A stage is missing if its amount of work in the previous run is not known.
        """
        times = {}
        for stage, seconds in self.seconds.items():
            unit: Unit = UNITS.get(stage, "run")
            if before := self.work.get(unit):
                times[stage] = StageTime(seconds * work[unit] / before, measured=True)
        return times


def read_previous_run(results: Path) -> PreviousRun | None:
    """Return the measurements of the run whose results are in a folder, or None if it left none.

    Parameters
    ----------
    results : Path
        The folder `results` of a run; it need not exist.
    """
    costs = read_benchmarks(results / _within_results(paths.BENCHMARKS))
    if not costs:
        return None
    seconds = {cost.stage: cost.seconds if cost.cpu_seconds is None else cost.cpu_seconds for cost in costs}
    return PreviousRun(seconds, _work_of(results))


def _work_of(results: Path) -> dict[Unit, float]:
    """Return the amounts of work of a run as far as its accounts and its plan give them."""
    work: dict[Unit, float] = {"run": 1.0}
    accounting = _json(results / _within_results(paths.ACCOUNTING))
    plan = _json(results / _within_results(paths.PLAN))
    with contextlib.suppress(KeyError, TypeError, ValueError):
        work["source"] = float(accounting["total"]["rows_out"])
    with contextlib.suppress(KeyError, TypeError, ValueError):
        values = {stage: json.loads(text)["values"] for stage, text in plan["tokens"].items()}
        # The last part may be shorter; no other trace is left of the size of the training set.
        size = float(len(plan["parts"]) * values["simulate"]["simulate"]["galaxies_per_part"])
        passes = sum(
            len(members) * values[f"train-{task}"][f"train.{task}"]["epochs"]
            for task, members in plan["members"].items()
        )
        pretraining = values["pretrain"]["pretrain"]["epochs"]
        work |= {"training galaxy": size, "training pass": size * passes, "pretraining pass": size * pretraining}
        work["injected galaxy"] = float(values["inject"]["selection"]["galaxies"] * len(plan["injected"]))
    return work


def _json(path: Path) -> Any:
    """Return the content of a JSON file, or an empty mapping if it cannot be read."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}


def _within_results(path: str) -> Path:
    return Path(path).relative_to(paths.RESULTS)

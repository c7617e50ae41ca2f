"""Frozen parameters for tests of single stages."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

from tuningfork.core.config import validate
from tuningfork.core.description import describe
from tuningfork.core.stage import parameters as stage_parameters
from tuningfork.core.stage.parameters import STAGES, Parameters, freeze, read_parameters

ROOT = Path(__file__).resolve().parents[2]


SURVEY_STAGES = ("sources", "tiles", "stamps")


def frozen(folder: Path, values: dict[str, Any]) -> dict[str, Path]:
    """Write params/<stage>.json of the stages that read a survey into `folder`; return the paths by stage."""
    configuration = validate(values)
    with patch.object(stage_parameters, "STAGES", {stage: STAGES[stage] for stage in SURVEY_STAGES}):
        texts = freeze(configuration, describe(configuration, ROOT / "config" / "surveys"), ROOT)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {stage: folder / f"{stage}.json" for stage in texts}
    for stage, text in texts.items():
        paths[stage].write_text(text, encoding="utf-8")
    return paths


def parameters(folder: Path, values: dict[str, Any]) -> dict[str, Parameters]:
    """Return the frozen parameters of each stage that reads a survey."""
    paths = frozen(folder, values)
    return {stage: read_parameters(paths[stage]) for stage in SURVEY_STAGES}

"""Frozen stage parameters: what a stage sees of the configuration, and the hash of its source."""

from pathlib import Path

import pytest

from tuningfork.core.config import Configuration, validate
from tuningfork.core.description import describe
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.stage.parameters import STAGES, Parameters, freeze, read_parameters
from tuningfork.core.stage.source import source_digest


@pytest.fixture
def frozen(root: Path, tmp_path: Path):
    """Freeze a configuration and read one stage's parameters back from its file."""

    def read(stage: str, values: dict) -> Parameters:
        configuration = validate(values)
        path = tmp_path / f"{stage}.json"
        path.write_text(
            freeze(configuration, describe(configuration, root / "config/surveys"), root / "scripts")[stage] + "\n"
        )
        return read_parameters(path)

    return read


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_reads_back_its_own_sections(frozen, stage: str) -> None:
    parameters = frozen(stage, {})
    assert parameters.configuration == Configuration()
    assert (parameters.description is not None) == bool({"description", "imaging"} & set(STAGES[stage]))


def test_surveys_with_the_same_images_share_their_training_sets(frozen) -> None:
    assert frozen("simulate", {"survey": {"name": "sdss"}}).digest == frozen("simulate", {}).digest
    assert frozen("simulate", {"survey": {"name": "folder"}}).digest != frozen("simulate", {}).digest


def test_a_stage_sees_its_own_values_and_not_those_of_others(frozen) -> None:
    values = {"bars": {"method": "paper"}, "saliency": {"samples": 7}, "seed": 5}
    bars = frozen("bars", values)
    assert bars.configuration.bars.method == "paper"
    assert bars.configuration.saliency.samples == Configuration().saliency.samples
    assert frozen("bars", values | {"saliency": {"samples": 8}}).digest == bars.digest
    assert frozen("bars", {}).digest != bars.digest


def test_keys_that_only_add_jobs_do_not_change_a_stage(frozen) -> None:
    grown = {"simulate": {"size": 9000}, "train": {"morphology": {"members": 5}}, "sky": {"shard_order": 9}}
    for stage in ("simulate", "train-morphology", "sources"):
        assert frozen(stage, grown).digest == frozen(stage, {}).digest


def test_the_surveys_description_reaches_the_stages_that_read_it(frozen) -> None:
    assert frozen("stamps", {"survey": {"name": "sdss"}}).survey.title == "SDSS DR17"
    with pytest.raises(InputError, match="does not read the survey's description"):
        _ = frozen("bars", {}).survey


def test_the_users_images_describe_themselves(root: Path) -> None:
    values = {"survey": {"name": "folder", "folder": {"bands": ["u", "r"], "zero_point": 30.0, "psf_beta": 2.5}}}
    description = describe(validate(values), root / "config/surveys")
    assert description.psf_beta == 2.5
    assert (description.bands, description.zero_point, len(description.psf_fwhm)) == (["u", "r"], 30.0, 2)


def test_a_file_that_is_no_frozen_parameters_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bars.json"
    path.write_text("{}")
    with pytest.raises(InputError, match="no frozen parameters of a stage"):
        read_parameters(path)


def test_a_broken_description_is_named(tmp_path: Path) -> None:
    (tmp_path / "simulated.yaml").write_text("title: x\nbands: 3\n")
    with pytest.raises(ConfigurationError, match=r"simulated.yaml: bands"):
        describe(Configuration(), tmp_path)


def test_the_source_hash_follows_code_and_ignores_comments(tmp_path: Path) -> None:
    program = tmp_path / "program.py"

    def digest(text: str) -> str:
        program.write_text(text)
        return source_digest(program)

    plain = digest("from tuningfork.core import flags\nx = 1\n")
    assert digest('"""Docs."""\nfrom tuningfork.core import flags\n\n\nx   =   1  # one\n') != digest("x = 1\n")
    assert digest("from tuningfork.core import flags\n\n# one\nx   =  1\n") == plain
    assert digest("from tuningfork.core import flags\nx = 2\n") != plain
    assert digest("from tuningfork.core import seeds\nx = 1\n") != plain

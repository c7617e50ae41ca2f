"""Frozen stage parameters: what a stage sees of the configuration, and what its outputs say about it."""

import json
import re
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table

from tuningfork.core.config import Configuration, validate
from tuningfork.core.config.base import Section
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import describe
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.stage.parameters import STAGES, Parameters, freeze, frozen_digest, read_parameters
from tuningfork.core.tables import lineage_of, write_table
from tuningfork.surveys.lists.labels.measured import read_measured
from tuningfork.surveys.lists.labels.votes import read_votes

Freeze = Callable[[str, dict], Parameters]


@pytest.fixture
def frozen(root: Path, tmp_path: Path) -> Freeze:
    """Freeze a configuration and read one stage's parameters back from its file."""

    def read(stage: str, values: dict) -> Parameters:
        configuration = validate(values)
        path = tmp_path / f"{stage}.json"
        path.write_text(freeze(configuration, describe(configuration, root / "config/surveys"), root)[stage] + "\n")
        return read_parameters(path)

    return read


def keys_of(section: Section, above: str = "") -> Iterator[tuple[str, bool]]:
    """Yield every dotted key of the configuration, and whether it only decides which jobs exist."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        yield f"{above}{name}", bool((field.json_schema_extra or {}).get("plan"))
        if isinstance(value, Section):
            yield from keys_of(value, f"{above}{name}.")


def declares(stage: str, key: str, plan: bool) -> bool:
    """Return whether a stage declares a key, or a part of it, in STAGES."""
    parts = [part for part in STAGES[stage] if part != "survey"]
    if "survey" in STAGES[stage]:
        parts += ["survey.name", "survey.simulated"]
    below = any(part == key or part.startswith(f"{key}.") for part in parts)
    return below or (not plan and any(key.startswith(f"{part}.") for part in parts))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_what_it_declares_and_nothing_else(frozen: Freeze, stage: str) -> None:
    """For every key of the model: its value where the stage declares it, else an error that names both."""
    configuration, default = frozen(stage, {}).configuration, Configuration()
    declared = 0
    for key, plan in keys_of(default):
        if "." in key and not declares(stage, key.rpartition(".")[0], False):
            continue
        *above, name = key.split(".")
        section, original = reduce(getattr, above, configuration), reduce(getattr, above, default)
        if not declares(stage, key, plan):
            with pytest.raises(InputError, match=rf"stage {stage} reads {re.escape(key)}, .*declare it in STAGES"):
                getattr(section, name)
            continue
        declared += 1
        value = getattr(section, name)
        assert isinstance(value, Section) or value == getattr(original, name), key
    assert declared >= len(set(STAGES[stage]) - {"description", "imaging"})


def test_a_stage_that_declares_a_key_of_a_section_does_not_get_the_others(frozen: Freeze) -> None:
    inject = frozen("inject", {"simulate": {"volunteers": 7}}).configuration
    assert inject.simulate.population == Configuration().simulate.population
    with pytest.raises(InputError, match=r"stage inject reads simulate\.volunteers"):
        _ = inject.simulate.volunteers
    with pytest.raises(InputError, match=r"stage catalogue reads bars, "):
        _ = frozen("catalogue", {}).configuration.bars


def test_the_settings_of_other_surveys_are_not_there(frozen: Freeze) -> None:
    survey = frozen("tiles", {"survey": {"name": "sdss"}}).configuration.survey
    assert survey.sdss == Configuration().survey.sdss
    with pytest.raises(InputError, match=r"stage tiles reads survey\.folder"):
        _ = survey.folder


def test_keys_that_only_decide_which_jobs_exist_are_not_there(frozen: Freeze) -> None:
    with pytest.raises(InputError, match=r"simulate\.size.*leave it to the plan"):
        _ = frozen("simulate", {}).configuration.simulate.size


@pytest.mark.parametrize("stage", STAGES)
def test_the_description_reaches_the_stages_that_declare_it(frozen: Freeze, stage: str) -> None:
    described = frozen(stage, {}).description is not None
    assert described == bool({"description", "imaging"} & set(STAGES[stage]))


def test_surveys_with_the_same_images_share_their_training_sets(frozen: Freeze) -> None:
    assert frozen("simulate", {"survey": {"name": "sdss"}}).digest == frozen("simulate", {}).digest
    assert frozen("simulate", {"survey": {"name": "folder"}}).digest != frozen("simulate", {}).digest


def test_the_stages_that_match_tables_of_people_read_them_as_the_configuration_says(
    frozen: Freeze, tmp_path: Path
) -> None:
    """In hours and from the second of two tables: the stages see every key that a reader of tables asks for."""
    columns = {
        "ra": [1.0, 2.0],
        "dec": [0.5, -0.5],
        "mag": [15.0, 16.0],
        "t01_smooth_or_features_a01_smooth_count": [10, 20],
        "t01_smooth_or_features_a02_features_or_disk_count": [30, 5],
        "t01_smooth_or_features_a03_star_or_artifact_count": [0, 1],
    }
    path = tmp_path / "t.fits"
    fits.HDUList([fits.PrimaryHDU(), *(fits.BinTableHDU(Table(columns)) for _ in range(2))]).writeto(path)
    table = {"table": str(path), "units": {"ra": "hourangle"}, "extension": 2}
    votes = frozen("match_votes", {"train": {"morphology": {"votes": table}}}).configuration.train.morphology.votes
    measured = frozen("match_measurements", {"train": {"structure": {"measurements": table}}})
    rows = [read_votes(votes, [], Transfer()), read_measured(measured.configuration.train.structure.measurements)]
    for placed in rows:
        assert placed is not None
        assert placed.rows["ra"].tolist() == pytest.approx([15.0, 30.0])
        assert (placed.fault == "").all()


def test_a_stage_sees_its_own_values_and_not_those_of_others(frozen: Freeze) -> None:
    values = {"bars": {"method": "paper"}, "saliency": {"samples": 7}, "seed": 5}
    bars = frozen("bars", values)
    assert bars.configuration.bars.method == "paper"
    assert frozen("bars", values | {"saliency": {"samples": 8}}).digest == bars.digest
    assert frozen("bars", {}).digest != bars.digest


def test_keys_that_only_add_jobs_do_not_change_a_stage(frozen: Freeze) -> None:
    grown = {"simulate": {"size": 9000}, "train": {"morphology": {"members": 5}}, "sky": {"shard_order": 9}}
    for stage in ("simulate", "train-morphology", "sources"):
        assert frozen(stage, grown).digest == frozen(stage, {}).digest


def test_the_surveys_description_reaches_the_stages_that_read_it(frozen: Freeze) -> None:
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


def test_the_order_of_keys_does_not_change_the_hash(frozen: Freeze, tmp_path: Path) -> None:
    digest = frozen("bars", {}).digest
    content = json.loads((tmp_path / "bars.json").read_text())
    (tmp_path / "bars.json").write_text(json.dumps(dict(reversed(content.items())), indent=1))
    assert read_parameters(tmp_path / "bars.json").digest == digest


def test_inputs_that_other_parameters_made_are_refused_and_named(frozen: Freeze, tmp_path: Path) -> None:
    """Tables that agree with each other are not enough: they must agree with the present parameters."""
    earlier = frozen("sources", {"seed": 5}).digest
    write_table(tmp_path / "sources.parquet", pa.table({}), {"sources": earlier})
    bars = frozen("bars", {})
    assert bars.lineage(lineage_of(tmp_path / "sources.parquet")) == {"sources": earlier, "bars": bars.digest}
    frozen("sources", {})
    with pytest.raises(InputError, match=rf"/sources\.parquet was made with .* stage sources \({earlier}\).*run again"):
        bars.lineage(lineage_of(tmp_path / "sources.parquet"))


@pytest.mark.parametrize("accepted", [3, [3], [{}], [{"digest": 5, "source": "s"}], [{"digest": "d"}]])
def test_accepted_parameters_that_are_no_texts_are_refused(tmp_path: Path, accepted: Any) -> None:
    path = tmp_path / "bars.json"
    path.write_text(json.dumps({"stage": "bars", "values": {}, "accepted": accepted}))
    with pytest.raises(InputError, match=r"bars\.json: no frozen parameters of a stage"):
        frozen_digest(path)

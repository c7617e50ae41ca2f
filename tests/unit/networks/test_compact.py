"""The network of profile parameters that comes with the package."""

import numpy as np
import pandas as pd
import pytest
import torch

from tuningfork.core.config import validate
from tuningfork.core.description import describe
from tuningfork.core.seeds import generator_for
from tuningfork.networks.compact import compact_card
from tuningfork.networks.inputs import prepare
from tuningfork.networks.model_file import load, read_card
from tuningfork.networks.structure import TARGETS
from tuningfork.training.metrics import of_structure
from tuningfork.training.sets.parts import simulate_galaxy
from tuningfork.training.tasks import structure_truth

CARD = compact_card("structure")
GALAXIES = 80


@pytest.mark.parametrize("task", ["morphology", "structure"])
def test_it_is_small_and_says_nothing_of_the_machine_that_made_it(task: str) -> None:
    path = compact_card(task)
    card = read_card(path)
    weights = path.with_name(card["weights"])
    assert weights.stat().st_size + path.stat().st_size <= 10_000_000
    assert card["training"]["galaxies"] >= 15_000
    assert not [text for text in path.read_text().split('"') if text.startswith("/")]


@pytest.mark.parametrize(("survey", "mag_max"), [("legacy", 18.5), ("panstarrs", 18.0)])
def test_it_measures_the_galaxies_of_surveys_that_it_was_not_trained_for(root, survey: str, mag_max: float) -> None:
    """Pixels and noise units are all that it sees: pixel scale, depth and zero point may be any."""
    configuration = validate({"survey": {"name": survey}, "simulate": {"population": {"mag_max": mag_max}}})
    description = describe(configuration, root / "config" / "surveys")
    drawn = [
        simulate_galaxy(generator_for(7, "compact", k), configuration.simulate, description, configuration.stamps)
        for k in range(GALAXIES)
    ]
    columns = pd.DataFrame([row for _, row in drawn])
    band = description.reference_band
    stamps = np.stack([stamp for stamp, _ in drawn])[:, :, [description.reference]]
    values = {name: columns[name].to_numpy() for name in columns if columns[name].dtype != object}
    network, _ = load(CARD, "structure")
    with torch.no_grad():
        found = network(*prepare(stamps, values, [band], band))
    figures = of_structure(found["mean"].numpy(), found["factor"].numpy(), structure_truth(values, band))
    for name, least in (("mag", 0.9), ("log_r_eff", 0.75), ("axis_ratio", 0.6), ("log_sersic_n", 0.5)):
        assert figures[name]["r2"] > least, (name, figures[name])
        assert figures[name]["scatter"] < 0.5 * figures[name]["scatter_of_constant"], (name, figures[name])
    assert figures["position_angle"]["median_error"] < 5
    assert 0.55 < np.mean([figures["coverage_68"][name] for name in TARGETS[:5]]) < 0.9

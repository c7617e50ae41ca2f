"""The network from which a training starts: of one band for several, and of other questions for none."""

import numpy as np
import pytest
import torch

from tuningfork.core.decision_tree import Question, answers, questions
from tuningfork.core.errors import InputError
from tuningfork.networks import morphology
from tuningfork.networks.compact import compact_card
from tuningfork.networks.inputs import prepare
from tuningfork.networks.model_file import build, load
from tuningfork.training.start import with_more_bands

BANDS = ["g", "r", "i"]


def test_a_network_that_is_given_more_bands_answers_as_before() -> None:
    """Whatever the other bands show: they count only once they have been learnt from."""
    rng = np.random.default_rng(0)
    stamps = rng.normal(1, 0.3, (4, 2, 3, 64, 64)).astype(np.float32) ** 2
    columns = {f"psf_fwhm_{band}": rng.uniform(1, 2, 4) for band in BANDS}
    columns |= {f"sky_noise_{band}": rng.uniform(0.1, 0.3, 4) for band in BANDS}
    columns |= {"pixel_scale": np.full(4, 0.4), "psf_beta": np.full(4, 3.0)}
    common = {"network": "morphology", "reference_band": "r", "width": 8, "size": 64}
    single = build(common | {"bands": ["r"]}, 1).eval()
    for name in ("conditions_mean", "conditions_std"):
        getattr(single.trunk, name).uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(3))
    larger = build(common | {"bands": BANDS}, 2).eval()
    larger.load_state_dict(with_more_bands(single.state_dict(), larger.state_dict(), BANDS, "r"))
    with torch.no_grad():
        one = single(*prepare(stamps[:, :, 1:2], columns, ["r"], "r"))
        other = larger(*prepare(stamps, columns, BANDS, "r"))
    for name, values in one.items():
        torch.testing.assert_close(other[name], values, rtol=1e-4, atol=1e-5)


def test_a_network_that_answers_other_questions_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a new question in the decision tree: the shipped network has no output for it."""
    ring = Question("ring", "Is there a ring?", ("yes", "no"), None, len(answers()))
    here, there = len(answers()) + len(questions()), len(answers()) + len(questions()) + 3
    monkeypatch.setattr(morphology, "answers", lambda: (*answers(), *ring.labels))
    monkeypatch.setattr(morphology, "questions", lambda: (*questions(), ring))
    cause = rf"compact/morphology.json: .*{here} outputs.*needs {there}.*train.morphology.start: random.*bars.yaml"
    with pytest.raises(InputError, match=cause):
        load(compact_card("morphology"), "morphology")

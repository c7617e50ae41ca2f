"""The whole configuration."""

from typing import Self

from pydantic import model_validator

from tuningfork.core.config.base import ConflictError, Section, option
from tuningfork.core.config.selection import Selection
from tuningfork.core.config.sky import Sky
from tuningfork.core.config.sources import Sources
from tuningfork.core.config.stages import (
    Bars,
    Calibrate,
    Catalogue,
    Evaluate,
    Explain,
    Features,
    Infer,
    Label,
    Report,
    Saliency,
    Simulate,
    Stamps,
    Structure,
)
from tuningfork.core.config.survey import Survey
from tuningfork.core.config.training import Pretrain, Train
from tuningfork.core.config.transfer import Transfer


class Configuration(Section):
    """The whole configuration; the same configuration gives the same catalogue."""

    seed: int = option(20260101, "seed of all random numbers", ge=0, le=2**62)
    sky: Sky = option(Sky(), "the area and its shards")
    survey: Survey = option(Survey(), "the survey and its settings")
    sources: Sources = option(Sources(), "the list of sources")
    transfer: Transfer = option(Transfer(), "transfers from remote services, and their cache")
    stamps: Stamps = option(Stamps(), "the cutting of stamps")
    simulate: Simulate = option(Simulate(), "the simulated training set")
    pretrain: Pretrain = option(Pretrain(), "pretraining of the encoder without labels")
    train: Train = option(Train(), "training of the networks")
    infer: Infer = option(Infer(), "the networks' answers about every stamp")
    calibrate: Calibrate = option(Calibrate(), "samples of held-out simulated galaxies for the calibrations")
    evaluate: Evaluate = option(Evaluate(), "samples of held-out simulated galaxies for the tests")
    structure: Structure = option(Structure(), "measurement of light profiles")
    saliency: Saliency = option(Saliency(), "saliency maps of the bar answer")
    bars: Bars = option(Bars(), "measurement of bars")
    features: Features = option(Features(), "measurement of bulges and spiral arms")
    selection: Selection = option(
        Selection(), "completeness of bars, from simulated galaxies injected into the survey's images"
    )
    catalogue: Catalogue = option(Catalogue(), "the published catalogue")
    explain: Explain = option(Explain(), "explanations for a sample of the sources")
    report: Report = option(Report(), "the report")
    label: Label = option(Label(), "the queue of galaxies to label")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        folder = self.survey.name == "folder"
        if self.sky.footprint.kind == "table" and not (folder or self.sources.catalogue.kind == "table"):
            raise ConflictError(
                "sky.footprint kind table needs sources.catalogue kind table or survey.name folder",
                "sky.footprint.kind",
                "sources.catalogue.kind",
                "survey.name",
            )
        if self.sources.mag_min >= self.sources.mag_max:
            raise ConflictError(
                f"sources.mag_min ({self.sources.mag_min}) must be below sources.mag_max ({self.sources.mag_max})",
                "sources.mag_min",
                "sources.mag_max",
            )
        if folder and self.survey.folder.reference_band not in self.survey.folder.bands:
            raise ConflictError(
                f"survey.folder.reference_band {self.survey.folder.reference_band!r} must be one of {self.survey.folder.bands}",
                "survey.folder.reference_band",
                "survey.folder.bands",
            )
        return self

"""The sections about the training of the networks."""

from typing import Literal

from tuningfork.core.config.base import Section, option
from tuningfork.core.config.measurements import Measurements
from tuningfork.core.config.votes import Votes


class Pretrain(Section):
    """Pretraining of the encoder without labels: it restores noisy, masked stamps."""

    shards: list[str] = option([], "shards whose stamps are used, besides the training set", plan=True)
    epochs: int = option(
        1, "passes over the stamps; 0: no pretraining, and start: pretrained uses random weights", ge=0, le=1000
    )
    masked_fraction: float = option(0.3, "share of the patches that are hidden", ge=0, le=0.9)
    width: int = option(16, "channels of the first layer; multiples of 16 are fast", ge=8, le=256)
    batch_size: int = option(64, "stamps per training step", ge=2, le=4096)
    learning_rate: float = option(2e-3, "peak learning rate", gt=0, le=1)
    threads: int = option(1, "threads of a training on CPUs; another number changes the weights slightly", ge=1, le=256)


class Training(Section):
    """The training of the networks of one task."""

    members: int = option(1, "networks in the ensemble, each trained by a job of its own", plan=True, ge=1, le=64)
    epochs: int = option(3, "passes over the training set; training time is proportional", ge=1, le=1000)
    batch_size: int = option(32, "stamps per training step", ge=2, le=4096)
    learning_rate: float = option(
        1e-3, "peak learning rate of the one-cycle schedule; use 0.005 if start is random or pretrained", gt=0, le=1
    )
    weight_decay: float = option(0.01, "weight decay of AdamW", ge=0, le=1)
    threads: int = option(1, "threads of a training on CPUs; another number changes the weights slightly", ge=1, le=256)
    start: str = option(
        "compact",
        "start of the training: compact, the trained network that comes with the package, which needs the fewest "
        "passes; pretrained, the encoder of the stage pretrain; random; or the path of the card (.json) of a network of "
        "this task",
        path="file",
        words=("compact", "pretrained", "random"),
        min_length=1,
    )
    width: int = option(16, "channels of the first layer, if start is random; multiples of 16 are fast", ge=8, le=256)


class MorphologyTraining(Training):
    """The training of the morphology networks."""

    members: int = option(
        2,
        "networks in the ensemble, each trained by a job of its own; 0: none, for the targets models and training_set",
        plan=True,
        ge=0,
        le=64,
    )
    epochs: int = option(1, "passes over the training set; training time is proportional", ge=1, le=1000)
    evidence: float = option(
        15.0,
        "weight in the loss of the term that makes saliency maps follow the bar: it penalises derivatives of the bar "
        "evidence with respect to the pixels that do not lie on the bar. Larger: maps follow the bar more closely, and "
        "votes and lengths count for less. 0: no such term, as published; training takes a third of the time, and maps "
        "measure hardly more than the size of the galaxy",
        ge=0,
        le=100,
    )
    balance: float = option(
        0.0,
        "how much more often galaxies of rare classes are shown in training: classes are shown in proportion to their "
        "number to the power of 1 - balance. 0: as often as they occur, for unbiased fractions; 1: every class equally "
        "often, to find rare classes; predicted fractions of rare classes then come out too high",
        ge=0,
        le=1,
    )
    pictures: float = option(
        0.0,
        "share of the stamps that are turned into JPEG pictures for training, for networks that tuningfork "
        "measure-folder uses; needs a training set of one band",
        ge=0,
        le=1,
    )
    votes: Votes = option(Votes(), "votes of real volunteers")
    picture_votes: str | None = option(
        None,
        "table of pictures with the votes of people, from tuningfork picture-votes, with its stamps beside it (.npy), to "
        "learn from as well; needs a training set of one band",
        path="file",
        min_length=1,
    )


class StructureTraining(Training):
    """The training of the structure networks."""

    members: int = option(2, "networks in the ensemble, each trained by a job of its own", plan=True, ge=1, le=64)
    epochs: int = option(1, "passes over the training set; training time is proportional", ge=1, le=1000)
    targets: list[Literal["mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "bulge_to_total"]] = option(
        ["mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "bulge_to_total"],
        "parameters that are learned; the others are null in the catalogue",
        min_length=1,
    )
    measurements: Measurements = option(Measurements(), "measured galaxies to which the networks are adapted")


class Train(Section):
    """The training of the networks: one ensemble per task."""

    morphology: MorphologyTraining = option(MorphologyTraining(), "networks that predict votes and bars")
    structure: StructureTraining = option(StructureTraining(), "networks that predict light profiles")

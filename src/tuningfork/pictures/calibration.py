"""What the calibration for pictures holds: the relations of bar lengths, and the corrections of votes."""

from dataclasses import dataclass, field
from typing import Self

from tuningfork.core.calibration_file import ADDED
from tuningfork.measure.bars.calibration import BarCalibration, uncalibrated
from tuningfork.measure.votes.correction import VoteCalibration, uncorrected

PICTURE_RECIPE = "bars on pictures"
"""Name of the recipe in calibration files."""


@dataclass(frozen=True)
class PictureCalibration(BarCalibration):
    """The calibration of some networks for pictures.

    Attributes
    ----------
    votes : VoteCalibration
        Corrections of the votes, towards those of people on pictures, and of the probability of a bar.
    """

    votes: VoteCalibration = field(default_factory=uncorrected, metadata=ADDED)

    @classmethod
    def of(cls, bars: BarCalibration, votes: VoteCalibration | None = None) -> Self:
        """Return a calibration with these relations.

        Parameters
        ----------
        bars : BarCalibration
        votes : VoteCalibration, optional
            Without it, votes stay as they are.

        Returns
        -------
        PictureCalibration
        """
        return cls(bars.lengths, bars.axis_ratio, bars.combination, bars.trained, votes or uncorrected())

    @classmethod
    def none(cls) -> Self:
        """Return the calibration of networks without one: the recommended length is the direct one."""
        return cls.of(uncalibrated())

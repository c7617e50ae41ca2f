"""What the calibration for pictures holds: the relations of bar lengths, and the correction of the bar probability."""

from dataclasses import dataclass, field
from typing import Self

from tuningfork.core.calibration_file import ADDED
from tuningfork.measure.bars.calibration import BarCalibration, uncalibrated
from tuningfork.measure.votes.correction import PresenceCorrection

PICTURE_RECIPE = "bars on pictures"
"""Name of the recipe in calibration files."""


@dataclass(frozen=True)
class PictureCalibration(BarCalibration):
    """The calibration of some networks for pictures.

    Attributes
    ----------
    presence : PresenceCorrection
        Of the probability that a galaxy has a bar.
    """

    presence: PresenceCorrection = field(default=PresenceCorrection(), metadata=ADDED)

    @classmethod
    def of(cls, bars: BarCalibration, presence: PresenceCorrection | None = None) -> Self:
        """Return a calibration with these relations.

        Parameters
        ----------
        bars : BarCalibration
        presence : PresenceCorrection, optional
            Without it, probabilities stay as they are.

        Returns
        -------
        PictureCalibration
        """
        return cls(bars.lengths, bars.axis_ratio, bars.combination, bars.trained, presence or PresenceCorrection())

    @classmethod
    def none(cls) -> Self:
        """Return the calibration of networks without one: the recommended length is the direct one."""
        return cls.of(uncalibrated())

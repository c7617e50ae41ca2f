"""Vote calibrations in which some questions are corrected and all others are left as they are."""

from tuningfork.core.decision_tree import questions
from tuningfork.measure.votes.correction import LearnedCorrection, PresenceCorrection, VoteCalibration, VoteCorrection


def vote_calibration(**learned: LearnedCorrection) -> VoteCalibration:
    """Return a calibration with an entry for every question; what is not given is not applied."""
    plain = LearnedCorrection(VoteCorrection(), False, "simulated", 0)
    corrections = {entry.name: learned.get(entry.name, plain) for entry in questions()}
    return VoteCalibration(corrections, PresenceCorrection(1.2, -0.3, 100))

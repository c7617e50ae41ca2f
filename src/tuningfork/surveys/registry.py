"""The survey that a configuration names."""

from tuningfork.core.stage.parameters import Parameters
from tuningfork.surveys.base import Survey
from tuningfork.surveys.transfer.network import Network


def open_survey(parameters: Parameters, network: Network) -> Survey:
    """Return the survey that the frozen parameters of a stage name.

    Only that survey's module is imported: a job that reads a user's folder needs neither GalSim nor astroquery.
    """
    settings, description = parameters.configuration.survey, parameters.survey
    match settings.name:
        case "simulated":
            from tuningfork.surveys.simulated import SimulatedSurvey

            seed = parameters.configuration.seed
            return SimulatedSurvey(seed, settings.simulated, description, network, parameters.digest)
        case "sdss":
            from tuningfork.surveys.sdss.survey import SdssSurvey

            return SdssSurvey(settings.sdss, description, network)
        case "legacy":
            from tuningfork.surveys.legacy.survey import LegacySurvey

            return LegacySurvey(settings.legacy, description, network)
        case "euclid":
            from tuningfork.surveys.euclid.survey import EuclidSurvey

            return EuclidSurvey(settings.euclid, description, network)
        case "panstarrs":
            from tuningfork.surveys.panstarrs.survey import PanstarrsSurvey

            return PanstarrsSurvey(settings.panstarrs, description, network)
        case "des":
            from tuningfork.surveys.des.survey import DesSurvey

            return DesSurvey(settings.des, description, network)
        case "folder":
            from tuningfork.surveys.folder.survey import FolderSurvey

            return FolderSurvey(settings.folder, description, network)

"""From the name of a survey to its module."""

from tuningfork.core.parameters import Parameters
from tuningfork.surveys.base import Survey


def open_survey(parameters: Parameters) -> Survey:
    """Return the survey that the frozen parameters of a stage name.

    Only the chosen survey's module is imported: a job that reads a user's folder needs neither GalSim nor astroquery.
    """
    settings, description = parameters.configuration.survey, parameters.survey
    if settings.name == "simulated":
        from tuningfork.surveys.simulated import SimulatedSurvey

        return SimulatedSurvey(parameters.configuration.seed, settings.simulated, description, parameters.digest)
    if settings.name == "sdss":
        from tuningfork.surveys.sdss import SdssSurvey

        return SdssSurvey(settings.sdss, description)
    from tuningfork.surveys.folder import FolderSurvey

    return FolderSurvey(settings.folder, description)

"""Faults that a user can mend; they are reported in one line, without a traceback."""


class TuningforkError(Exception):
    """A foreseeable fault: the message names the thing, its value, what was expected and what to do."""


class ConfigurationError(TuningforkError):
    """The configuration is wrong; raised before any job starts."""


class NetworkNeededError(ConfigurationError):
    """The configuration may be right, but cannot be planned without asking a remote service."""


class InputError(TuningforkError):
    """A file or table of the user's, or of the pipeline's own, cannot be used."""


class TransferError(TuningforkError):
    """A remote service did not deliver, after all retries."""

"""To be imported before AstroPhot, which opens a log file in the working directory if the root logger has no handler."""

import logging

logging.getLogger().addHandler(logging.NullHandler())

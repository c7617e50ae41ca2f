"""The configuration: strict models, from which config.yaml and schema.json are written."""

from tuningfork.core.config.load import load, validate
from tuningfork.core.config.root import Configuration

__all__ = ["Configuration", "load", "validate"]

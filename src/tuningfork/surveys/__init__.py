"""The surveys, each one module behind the protocol of `tuningfork.surveys.base`."""

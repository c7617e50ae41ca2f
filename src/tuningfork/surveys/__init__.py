"""The surveys: one package or module each, behind the protocol of `tuningfork.surveys.base`."""

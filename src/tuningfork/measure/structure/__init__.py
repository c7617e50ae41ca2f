"""Profile parameters: network and fit, combined."""

"""Profile parameters: the combination of the networks' estimates and a profile fit."""

"""Bars: estimators, calibration, combination, and the stage."""

"""Evaluation of the measurements: figures for the reader, on which no measuring stage depends."""

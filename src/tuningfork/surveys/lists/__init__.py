"""Lists of sources that are not a survey's own catalogue."""

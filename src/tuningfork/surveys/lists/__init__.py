"""Lists of sources and labels other than a survey's own catalogue."""

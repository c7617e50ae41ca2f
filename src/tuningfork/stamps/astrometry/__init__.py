"""Whether the coordinates of an image agree with the survey and its list of sources."""

"""The selection function of barred galaxies: simulated ones put into the survey's images and measured like any other."""

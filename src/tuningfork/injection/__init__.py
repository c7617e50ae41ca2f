"""The selection function of barred galaxies: simulated galaxies are injected into the survey's images and measured."""

"""Least-squares fits of PSF-convolved Sersic profiles to many galaxies at once.

>>> fit = fit_profiles(images, inverse_variance, Moffat(fwhm_px, beta), start)
"""

from tuningfork.measure.structure.fit.profiles import Fit, fit_profiles, model_images
from tuningfork.measure.structure.fit.psf import Moffat, Psf, PsfImages
from tuningfork.measure.structure.fit.settings import FitSettings

__all__ = ["Fit", "FitSettings", "Moffat", "Psf", "PsfImages", "fit_profiles", "model_images"]

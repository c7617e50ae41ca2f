"""What a survey is: the content of config/surveys/<name>.yaml, with the user's settings laid over it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ValidationError, model_validator

from tuningfork.core.config import Configuration
from tuningfork.core.config.base import Section, option
from tuningfork.core.config.reading.document import read_document
from tuningfork.core.errors import ConfigurationError


class Description(Section):
    """The facts about a survey that every stage may rely on; per-band lists follow `bands`."""

    title: str = option(..., "the survey's name for people")
    bands: list[str] = option(..., "bands, blue to red", min_length=1, max_length=8)
    reference_band: str = option(..., "band in which profile parameters are given")
    pixel_scale: float = option(..., "pixel scale", unit="arcsec", gt=0, le=10)
    zero_point: float = option(..., "AB magnitude of one flux unit", unit="mag", ge=0, le=40)
    flux_unit: str = option(..., "the linear flux unit of the pixels")
    psf_fwhm: list[float] = option(..., "median full width at half maximum of the PSF in each band", unit="arcsec")
    psf_fwhm_scatter: float = option(..., "standard deviation of ln(PSF width)", ge=0, le=1)
    psf_beta: float = option(..., "exponent of the Moffat profile that describes the PSF", gt=1.05, le=100)
    psf_beta_scatter: float = option(0.1, "standard deviation of ln(psf_beta) in the training set", ge=0, le=0.5)
    psf_ellipticity: float = option(
        0.0, "median of 1 - axis ratio of the PSF's isophotes, on simulated images", ge=0, le=0.3
    )
    sky_noise: list[float] = option(
        ..., "median standard deviation of the sky in a pixel in each band", unit="flux unit"
    )
    sky_noise_scatter: float = option(..., "standard deviation of ln(sky noise)", ge=0, le=2)
    sky_noise_lognormal: list[list[float]] = option(
        [],
        "instead of sky_noise_scatter, in each band: shape, location and scale of the log-normal distribution of the "
        "sky noise, location + scale x exp(shape x normal deviate)",
    )
    noise_correlation: list[float] = option(
        [],
        "standard deviation of the Gaussian kernel that has smoothed the noise of simulated images, in each band; "
        "none: white noise",
        unit="pixel",
    )
    inverse_variance_of: Literal["pixel", "area"] = option(
        "pixel",
        "what sky_noise and the inverse variance tell where the noise is correlated: pixel, the scatter of single "
        "pixels; area, that of the sum over many pixels, over the root of their number",
    )
    tile_area: float | None = option(
        None, "sky that a tile adds, without its overlaps, for `tuningfork plan`", unit="deg2", plan=True, gt=0
    )
    tile_megabytes: float | None = option(
        None, "files of a tile, all bands together, for `tuningfork plan`", unit="MB", plan=True, ge=0
    )

    @model_validator(mode="after")
    def _fits_the_bands(self) -> Self:
        bands = len(self.bands)
        if len(self.noise_correlation) not in (0, bands) or not all(0 <= n <= 5 for n in self.noise_correlation):
            raise ValueError(f"noise_correlation: expected {bands} numbers from 0 to 5 px, or none")
        if not self.sky_noise_lognormal:
            return self
        if len(self.sky_noise_lognormal) != bands or any(len(band) != 3 for band in self.sky_noise_lognormal):
            raise ValueError(f"sky_noise_lognormal: expected [shape, location, scale] for each of {bands} bands")
        if any(loc + scale * math.exp(-3 * shape) <= 0 for shape, loc, scale in self.sky_noise_lognormal):
            raise ValueError("sky_noise_lognormal: a noise three standard deviations below the median is not positive")
        return self

    @property
    def reference(self) -> int:
        """Place of the reference band among the bands."""
        return self.bands.index(self.reference_band)

    def of_bands(self, bands: Sequence[str]) -> "Description":
        """Return what is said of some of the bands."""
        places = [self.bands.index(band) for band in bands]
        lists = {name: entries for name, entries in self if isinstance(entries, list) and entries}
        return self.model_copy(update={name: [entries[place] for place in places] for name, entries in lists.items()})


def describe(configuration: Configuration, folder: Path) -> Description:
    """Return the description of the configured survey.

    Parameters
    ----------
    configuration : Configuration
    folder : Path
        The folder with one YAML file a survey (config/surveys).

    Raises
    ------
    ConfigurationError
        The file is missing or has a wrong value.
    """
    path = folder / f"{configuration.survey.name}.yaml"
    if not path.is_file():
        raise ConfigurationError(f"{path}: no description of the survey {configuration.survey.name!r}")
    values = read_document(path).values
    if configuration.survey.name == "folder":
        values |= _of_the_user(configuration, values)
    try:
        description = Description.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(map(str, fault["loc"]))
        raise ConfigurationError(f"{path}: {key}: {fault['msg']} (found {fault['input']!r})") from None
    if configuration.survey.name == "simulated":
        return description.of_bands(configuration.survey.simulated.bands)
    return description


def _of_the_user(configuration: Configuration, values: dict[str, Any]) -> dict[str, Any]:
    """Return what the section survey.folder says about the user's own images."""
    folder = configuration.survey.folder
    return {
        "bands": folder.bands,
        "reference_band": folder.reference_band,
        "pixel_scale": folder.pixel_scale or values["pixel_scale"],
        "zero_point": folder.zero_point,
        "psf_fwhm": [folder.psf_fwhm] * len(folder.bands),
        "psf_beta": folder.psf_beta,
        "sky_noise": [values["sky_noise"][0]] * len(folder.bands),
    }

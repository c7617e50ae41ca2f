"""Settings of the profile fit, with their units."""

from dataclasses import dataclass

from tuningfork.core.errors import ConfigurationError


@dataclass(frozen=True)
class FitSettings:
    """What the fit assumes and how long it tries.

    Attributes
    ----------
    device : str
        Of torch: "cpu", "cuda", ...
    centre_sigma : float
        Standard deviation of the galaxy's place about the centre of the stamp, each axis (pixel).
    sky_sigma : float
        Standard deviation of the flat sky that is left in the stamps (sky noise of a pixel); 0 fixes it to zero.
    r_eff_limits : tuple of float
        Limits of the semi-major half-light radius times the root of the axis ratio (pixel).
    sersic_n_limits : tuple of float
    axis_ratio_min : float
    systematic : float
        Error of the model as a fraction of its light, in quadrature with the noise: keeps the bright core of a
        galaxy that is no Sersic profile from ruling the fit.
    iterations : int
        Largest number of models drawn of a galaxy.
    tolerance : float
        The fit has converged when the next step would lower chi^2 by less than this.
    mask_passes : int
        How often neighbours are looked for at most: with the start's model, and then with the fit's, which may
        explain what the start did not. 0: every pixel with a positive inverse variance is used.
    mask_threshold : float
        Significance, over 3 x 3 pixels, from which a residual belongs to a neighbour.
    mask_share : float
        ... and its height in units of the model's light there.
    mask_core : float
        Within this many half-light radii (and two FWHM of the PSF) nothing is masked.
    crop : bool
        Faint small galaxies are fitted in the window that holds their light; False: always in the whole stamp.
    batch_size : int
        Galaxies that are held on the device at once, fewer if their windows are large.
    """

    device: str = "cpu"
    centre_sigma: float = 1.5
    sky_sigma: float = 0.1
    r_eff_limits: tuple[float, float] = (0.1, 500.0)
    sersic_n_limits: tuple[float, float] = (0.2, 8.0)
    axis_ratio_min: float = 0.05
    systematic: float = 0.002
    iterations: int = 30
    tolerance: float = 1e-2
    mask_passes: int = 2
    mask_threshold: float = 5.0
    mask_share: float = 0.5
    mask_core: float = 1.0
    crop: bool = True
    batch_size: int = 256

    def __post_init__(self) -> None:
        for name in ("centre_sigma", "tolerance", "mask_threshold", "axis_ratio_min"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"fit: {name} is {getattr(self, name)}: expected a positive number")
        for name in ("iterations", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"fit: {name} is {getattr(self, name)}: expected 1 or more")
        for name in ("sky_sigma", "systematic", "mask_passes"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"fit: {name} is {getattr(self, name)}: expected 0 or more")

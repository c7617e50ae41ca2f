"""Settings of the profile fit and their units."""

from dataclasses import dataclass

from tuningfork.core.errors import ConfigurationError


@dataclass(frozen=True)
class FitSettings:
    """Assumptions of the fit and limits of its iterations.

    Attributes
    ----------
    device : str
        Name of a torch device: "cpu", "cuda", ...
    centre_sigma : float
        Standard deviation of the galaxy's position about the centre of the stamp along each axis (pixel).
    sky_sigma : float
        Standard deviation of the residual flat sky in the stamps (sky noise of one pixel); 0 fixes the sky to zero.
    r_eff_limits : tuple of float
        Limits of the semi-major half-light radius times the square root of the axis ratio (pixel).
    sersic_n_limits : tuple of float
    axis_ratio_min : float
    systematic : float
        Error of the model as a fraction of its light, added in quadrature to the noise. It prevents the bright core of
        a galaxy that is no Sersic profile from dominating the fit.
    iterations : int
        Largest number of models drawn per galaxy.
    tolerance : float
        The fit has converged when the next step would lower chi^2 by less than this.
    mask_passes : int
        Largest number of searches for neighbours: the first uses the model of the start, the later ones that of the
        fit, which may explain more light. With 0, every pixel with a positive inverse variance is used.
    mask_threshold : float
        Significance of a residual, over 3 x 3 pixels, above which it may belong to a neighbour.
    mask_share : float
        Ratio of the residual to the model's light above which it may belong to a neighbour.
    mask_core : float
        Radius within which nothing is masked (half-light radii), at least two FWHM of the PSF.
    crop : bool
        Whether small galaxies are fitted in a window that contains their light; otherwise the fit uses the whole stamp.
    batch_size : int
        Largest number of galaxies on the device at once; fewer are used if their windows are large.
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

"""Fit of a round Moffat (1969) profile to the image of a point source, by least squares with equal weights."""

from dataclasses import dataclass

import numpy as np

QUADRATURE_ORDER = 3
"""Points per axis and pixel at which a profile is evaluated to integrate it over pixels (Gauss-Legendre)."""
MAX_CENTRE_OFFSET = 2.0
"""Largest distance, on each axis, of the fitted centre from the brightest pixel (px)."""
MIN_FWHM = 0.3
"""Least full width at half maximum (px)."""
BETA_RANGE = (1.1, 50.0)
"""Exponents that are fitted; near the upper end the profile is a Gaussian."""
PEAK_RANGE = (0.1, 10.0)
"""Limits of the fitted central brightness, in units of the brightest pixel."""
START_BETA = 3.0


@dataclass(frozen=True)
class MoffatFit:
    """A Moffat profile that was fitted to an image.

    Attributes
    ----------
    fwhm : float
        Full width at half maximum (px).
    beta : float
        Exponent.
    x, y : float
        Centre relative to the brightest pixel (px).
    converged : bool
    """

    fwhm: float
    beta: float
    x: float
    y: float
    converged: bool


class _Model:
    """Moffat profiles on the pixels of an image, in terms of ln FWHM, ln(beta - 1), x, y and central brightness.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image.
    row, column : int
        The pixel from which x and y are counted.
    order : int
        Points per axis and pixel at which the profile is evaluated.
    """

    def __init__(self, shape: tuple[int, ...], row: int, column: int, order: int) -> None:
        nodes, self._weights = np.polynomial.legendre.leggauss(order)
        self._across = np.arange(shape[1])[:, None] - column + nodes / 2
        self._up = np.arange(shape[0])[:, None] - row + nodes / 2

    def _averaged(self, values: np.ndarray) -> np.ndarray:
        """Return the means over the pixels (H W,) of values at the nodes (H, nodes, W, nodes)."""
        return np.asarray(np.einsum("iajb,a,b->ij", values, self._weights, self._weights)).ravel() / 4

    def _components(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        beta = 1 + np.exp(values[1])
        radius = np.exp(values[0]) / (2 * np.sqrt(2 ** (1 / beta) - 1))
        x = ((self._across - values[2]) / radius)[None, None]
        y = ((self._up - values[3]) / radius)[:, :, None, None]
        base = 1 + x**2 + y**2
        return beta, radius, x, y, base, base**-beta

    def image(self, values: np.ndarray) -> np.ndarray:
        """Return the brightness of the pixels.

        Parameters
        ----------
        values : ndarray
            (5,).

        Returns
        -------
        ndarray
            (H W,).
        """
        return np.asarray(values[4] * self._averaged(self._components(values)[-1]))

    def slopes(self, values: np.ndarray) -> np.ndarray:
        """Return the derivatives of the brightness with respect to `values`.

        Parameters
        ----------
        values : ndarray
            (5,).

        Returns
        -------
        ndarray
            (H W, 5).
        """
        beta, radius, x, y, base, profile = self._components(values)
        steep = 2 * beta * values[4] * profile / base
        of_radius, power = self._averaged(steep * (base - 1)), 2 ** (1 / beta)
        of_beta = self._averaged(-values[4] * profile * np.log(base))
        # A larger exponent at the same width means a larger radius.
        of_beta += of_radius * np.log(2) * power / (2 * beta**2 * (power - 1))
        shifts = [self._averaged(steep * offset) / radius for offset in (x, y)]
        return np.stack([of_radius, (beta - 1) * of_beta, *shifts, self._averaged(profile)], axis=1)


def fit_moffat(image: np.ndarray) -> MoffatFit:
    """Return the round Moffat profile that is nearest, integrated over the pixels, to the image of a point source.

    Its width is that of the PSF without the response of the pixels.

    Parameters
    ----------
    image : ndarray
        (H, W), with its brightest pixel, which must be positive, on the source.

    Returns
    -------
    MoffatFit
    """
    # Imported here because it takes long and few runs have images of stars.
    from scipy.optimize import least_squares

    row, column = np.unravel_index(image.argmax(), image.shape)
    scaled = (image / image[row, column]).ravel()
    model = _Model(image.shape, int(row), int(column), QUADRATURE_ORDER)
    start_width = 2 * np.sqrt((scaled > 0.5).sum() / np.pi)
    low = [np.log(MIN_FWHM), np.log(BETA_RANGE[0] - 1), -MAX_CENTRE_OFFSET, -MAX_CENTRE_OFFSET, PEAK_RANGE[0]]
    high = [
        np.log(2 * max(image.shape)),
        np.log(BETA_RANGE[1] - 1),
        MAX_CENTRE_OFFSET,
        MAX_CENTRE_OFFSET,
        PEAK_RANGE[1],
    ]
    solution = least_squares(
        lambda values: model.image(values) - scaled,
        [np.log(start_width), np.log(START_BETA - 1), 0.0, 0.0, 1.0],
        model.slopes,
        bounds=(low, high),
        x_scale=[0.1, 0.3, 0.1, 0.1, 0.05],
        max_nfev=100,
    )
    log_fwhm, log_beta, x, y, _ = solution.x.tolist()
    return MoffatFit(float(np.exp(log_fwhm)), float(1 + np.exp(log_beta)), x, y, bool(solution.success))

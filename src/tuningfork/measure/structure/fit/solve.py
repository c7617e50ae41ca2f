"""Levenberg-Marquardt iterations for a batch of galaxies, each with its own damping, until each has converged."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tuningfork.measure.structure.fit.settings import FitSettings
from tuningfork.measure.structure.fit.spectra import ETA_1, ETA_2, LOG_N, LOG_R, MAG, SKY, X, Y

FREE_PARAMETERS = 8
DAMPING_START, DAMPING_LIMITS = 1e-3, (1e-7, 1e8)
DAMPING_FACTOR, MIN_RAISED_DAMPING = 8.0, 0.1
"""Factor by which the damping changes, and its smallest value after a rejected step."""
MAX_PARAMETER_STEPS = (1.5, 2.0, 2.0, 0.7, 0.7, 0.7, 0.7, 1e9)
"""Largest change of each parameter in one step; the linearised model is not valid beyond it."""
WALL_ETA, WALL_SIGMA = 2.5, 0.2
"""Ellipticity at which the quadratic penalty begins (axis ratio 0.08), and the ellipticity beyond it that adds 1 to
chi^2."""
CHI2_ROUNDING = 1e-6
"""Relative error of chi^2 in single precision; a step that raises chi^2 by less is accepted."""

Equations = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""Parameters (M, 8) and the rows (M,) of the galaxies -> J^T W J (M, 8, 8), J^T W r (M, 8), chi^2 (M,); float64."""


@dataclass
class Solution:
    """State of the fits of N galaxies.

    Attributes
    ----------
    parameters : Tensor
        float64 (N, 8).
    normal : Tensor
        (N, 8, 8), normal matrix including the priors.
    gradient : Tensor
        (N, 8), minus half the derivative of `chi2`.
    chi2 : Tensor
        (N,), chi^2 including the priors.
    damping : Tensor
        (N,)
    converged : Tensor
        bool (N,)
    iterations : Tensor
        (N,), number of models drawn.
    """

    parameters: Tensor
    normal: Tensor
    gradient: Tensor
    chi2: Tensor
    damping: Tensor
    converged: Tensor
    iterations: Tensor


def initial(parameters: Tensor) -> Solution:
    """Return the state before the first model is drawn.

    Parameters
    ----------
    parameters : Tensor
        (N, 8) free parameters.
    """
    number, device = len(parameters), parameters.device
    zeros = torch.zeros(number, FREE_PARAMETERS, dtype=torch.float64, device=device)
    return Solution(
        parameters=parameters.clone(),
        normal=torch.eye(FREE_PARAMETERS, dtype=torch.float64, device=device).repeat(number, 1, 1),
        gradient=zeros,
        chi2=torch.full((number,), torch.inf, dtype=torch.float64, device=device),
        damping=torch.full((number,), DAMPING_START, dtype=torch.float64, device=device),
        converged=torch.zeros(number, dtype=torch.bool, device=device),
        iterations=torch.zeros(number, dtype=torch.int64, device=device),
    )


def solve(state: Solution, rows: Tensor, equations: Equations, settings: FitSettings, iterations: int) -> None:
    """Fit galaxies in place.

    Parameters
    ----------
    state : Solution
        Of N galaxies, changed in place.
    rows : Tensor
        (M,) rows of the galaxies that are fitted.
    equations : callable
        See `Equations`.
    settings : FitSettings
    iterations : int
        Largest number of models drawn per galaxy.
    """
    if not len(rows):
        return
    state.chi2[rows] = torch.inf
    state.converged[rows] = False
    state.damping[rows] = DAMPING_START
    trial, promise = state.parameters[rows], torch.ones(len(rows), dtype=torch.float64, device=rows.device)
    for _ in range(iterations):
        normal, gradient, chi2 = _with_priors(trial, *equations(trial, rows), settings)
        old = state.chi2[rows]
        better = chi2 <= old + CHI2_ROUNDING * chi2.abs()
        state.iterations[rows] += 1
        accepted = rows[better]
        state.parameters[accepted] = trial[better]
        state.normal[accepted], state.gradient[accepted] = normal[better], gradient[better]
        state.chi2[accepted] = chi2[better]
        state.damping[rows] = _next_damping(state.damping[rows], old - chi2, promise)
        trial, promise = _steps(state, rows, settings)
        done = (promise < settings.tolerance) & torch.isfinite(state.chi2[rows])
        state.converged[rows] = done
        # The last step is so small that it is accepted without drawing another model.
        state.parameters[rows[done]] = trial[done]
        rows, trial, promise = rows[~done], trial[~done], promise[~done]
        if not len(rows):
            break


def _next_damping(damping: Tensor, gain: Tensor, promise: Tensor) -> Tensor:
    """Return the damping after a step that lowered chi^2 by `gain`, where a linear model predicts `promise`."""
    kept = gain / promise.clamp_min(1e-12)
    factor = torch.where(kept > 0.75, 1 / DAMPING_FACTOR, 1.0)
    raised = torch.clamp(damping * DAMPING_FACTOR, min=MIN_RAISED_DAMPING)
    first = torch.isinf(gain) & (gain > 0)
    changed = torch.where(kept > 0.25, damping * factor, raised)
    return torch.where(first, damping, changed).clamp(*DAMPING_LIMITS)


def _with_priors(
    parameters: Tensor, normal: Tensor, gradient: Tensor, chi2: Tensor, settings: FitSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Add the Gaussian priors of position and sky."""
    precision = torch.zeros(FREE_PARAMETERS, dtype=torch.float64, device=parameters.device)
    precision[[X, Y]] = settings.centre_sigma**-2
    precision[SKY] = max(settings.sky_sigma, 1e-6) ** -2
    normal = normal + torch.diag(precision)
    gradient = gradient - precision * parameters
    chi2 = chi2 + (precision * parameters**2).sum(dim=1)
    _add_wall(parameters, normal, gradient, chi2)
    bad = ~(torch.isfinite(chi2) & torch.isfinite(normal).all(dim=(1, 2)))
    return normal, gradient, torch.where(bad, torch.inf, chi2)


def _add_wall(parameters: Tensor, normal: Tensor, gradient: Tensor, chi2: Tensor) -> None:
    """Add, in place, the quadratic penalty that prevents extremely flat fits of unresolved sources."""
    etas = parameters[:, [ETA_1, ETA_2]]
    eta = torch.hypot(*etas.unbind(1)).clamp_min(1e-9)
    excess = (eta - WALL_ETA).clamp_min(0) / WALL_SIGMA
    direction = etas / eta[:, None] / WALL_SIGMA * (excess > 0)[:, None]
    normal[:, ETA_1 : ETA_2 + 1, ETA_1 : ETA_2 + 1] += direction[:, :, None] * direction[:, None, :]
    gradient[:, ETA_1 : ETA_2 + 1] -= direction * excess[:, None]
    chi2 += excess**2


def _steps(state: Solution, rows: Tensor, settings: FitSettings) -> tuple[Tensor, Tensor]:
    """Return the next trial parameters and the decrease of chi^2 that a linear model predicts for them."""
    parameters, gradient = state.parameters[rows], state.gradient[rows]
    low, high = limits(settings, parameters.device)
    # A parameter at a limit is held fixed if the gradient points beyond the limit.
    held = ((parameters <= low) & (gradient < 0)) | ((parameters >= high) & (gradient > 0))
    free = (~held).double()
    normal = state.normal[rows] * free[:, :, None] * free[:, None, :]
    diagonal = normal.diagonal(dim1=1, dim2=2).clamp_min(1e-12)
    scale = diagonal.rsqrt()
    scaled = normal * scale[:, :, None] * scale[:, None, :]
    identity = torch.eye(FREE_PARAMETERS, dtype=torch.float64, device=rows.device)
    damping = state.damping[rows][:, None, None]
    held_diagonal = torch.diag_embed(1 - free)
    matrix = scaled + identity * (damping + 1e-10) + held_diagonal
    right = gradient * free * scale
    step = torch.linalg.solve_ex(matrix, right)[0]
    promise = (step * right).sum(dim=1)
    step = step * scale * free
    largest = torch.tensor(MAX_PARAMETER_STEPS, dtype=torch.float64, device=rows.device)
    shrink = (step.abs() / largest).amax(dim=1, keepdim=True).clamp_min(1)
    trial = torch.clamp(parameters + torch.nan_to_num(step / shrink), low, high)
    return round_enough(trial, settings), promise.abs()


def limits(settings: FitSettings, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the limits of the parameters.

    Returns
    -------
    lower, upper : Tensor
        (8,)
    """
    low = torch.full((FREE_PARAMETERS,), -torch.inf, dtype=torch.float64, device=device)
    high = -low
    for column, (lowest, highest) in ((LOG_R, settings.r_eff_limits), (LOG_N, settings.sersic_n_limits)):
        limit = torch.tensor([lowest, highest], dtype=torch.float64, device=device).log()
        low[column], high[column] = limit[0], limit[1]
    low[MAG], high[MAG] = -40.0, 20.0
    low[[X, Y]], high[[X, Y]] = -10 * settings.centre_sigma, 10 * settings.centre_sigma
    return low, high


def round_enough(parameters: Tensor, settings: FitSettings) -> Tensor:
    """Return the parameters with ellipticities of at most that of the smallest axis ratio.

    Parameters
    ----------
    parameters : Tensor
        (M, 8) free parameters.
    settings : FitSettings

    Returns
    -------
    Tensor
        (M, 8)
    """
    longest = -torch.log(torch.tensor(settings.axis_ratio_min, dtype=torch.float64))
    eta = torch.hypot(parameters[:, ETA_1], parameters[:, ETA_2])
    factor = (longest.to(eta.device) / eta.clamp_min(1e-9)).clamp_max(1)
    parameters[:, ETA_1] *= factor
    parameters[:, ETA_2] *= factor
    return parameters

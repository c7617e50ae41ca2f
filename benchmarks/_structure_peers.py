"""Fitting codes of others behind one function each: a Sersic profile to one galaxy, or to a batch of them."""

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import _structure_log  # noqa: F401
import astrophot
import numpy as np
import pyimfit
import statmorph
import torch
from _structure_sets import Sample, psf_image
from _structure_start import PARAMETERS, Values
from scipy import ndimage, special

N_LIMITS = (0.36, 8.0)
BATCH = 8

astrophot.config.set_logging_output(stdout=False, filename=None)

FAILED = dict.fromkeys(PARAMETERS, np.nan)


def effective_brightness(flux: float, r_eff: float, n: float, q: float) -> float:
    """Return the surface brightness at r_eff of a Sersic profile of a total flux, and the other way for flux = 1."""
    b = special.gammaincinv(2 * n, 0.5)
    return float(flux / (2 * np.pi * r_eff**2 * q * n * np.exp(b) * b ** (-2 * n) * special.gamma(2 * n)))


def values(brightness: float, r_eff: float, n: float, q: float, angle: float) -> Values:
    """Return `PARAMETERS` of a fit in terms of the brightness at r_eff; NaN where the result is absurd."""
    if not np.all(np.isfinite([brightness, r_eff, n, q, angle])) or min(brightness, r_eff, n, q) <= 0:
        return FAILED
    flux = brightness / effective_brightness(1.0, r_eff, n, q)
    found = (-2.5 * np.log10(flux), r_eff, n, q, angle % 180)
    return dict(zip(PARAMETERS, map(float, found), strict=True))


def with_pyimfit(sample: Sample, start: list[Values]) -> list[Values]:
    """Fit one by one with Imfit's Levenberg-Marquardt solver."""
    return [_imfit_one(sample[row : row + 1], start[row]) for row in range(len(sample))]


def _imfit_one(one: Sample, start: Values) -> Values:
    half = one.images.shape[1] // 2
    x, y = start["x"] + half + 1, start["y"] + half + 1
    brightness = effective_brightness(start["flux"], start["r_eff"], start["sersic_n"], start["axis_ratio"])
    scene = pyimfit.SimpleModelDescription()
    scene.x0.setValue(x, [x - 5, x + 5])
    scene.y0.setValue(y, [y - 5, y + 5])
    sersic = pyimfit.make_imfit_function("Sersic")
    sersic.PA.setValue(start["position_angle"], [-180, 360])
    sersic.ell.setValue(1 - start["axis_ratio"], [0, 0.95])
    sersic.n.setValue(start["sersic_n"], list(N_LIMITS))
    sersic.I_e.setValue(brightness, [0, 1e3 * brightness])
    sersic.r_e.setValue(start["r_eff"], [0.1, 100])
    scene.addFunction(sersic)
    fitter = pyimfit.Imfit(scene, psf=psf_image(one.fwhm[0], one.beta[0]), maxThreads=1)
    image, error = one.images[0].astype(np.float64), np.sqrt(one.variance[0].astype(np.float64))
    result = fitter.fit(image, error=error, error_type="sigma", mask=one.mask[0].astype(np.float64), solver="LM")
    if not result.fitConverged:
        return FAILED
    _, _, angle, ellipticity, n, found, r_eff = result.params
    return values(found, r_eff, n, 1 - ellipticity, angle)


def with_statmorph(sample: Sample, start: list[Values]) -> list[Values]:
    """Measure one by one with statmorph, and take its Sersic fit (which finds its own start)."""
    return [_statmorph_one(sample[row : row + 1]) for row in range(len(sample))]


def _statmorph_one(one: Sample) -> Values:
    image, deviation, mask = one.images[0], np.sqrt(one.variance[0]), one.mask[0]
    smooth = ndimage.uniform_filter(np.where(mask, 0, image), 7)
    labels, _ = ndimage.label((smooth > 1.5 / 7) & ~mask)
    half = image.shape[0] // 2
    centre = labels[half - 2 : half + 3, half - 2 : half + 3].max()
    segment = (labels == centre).astype(int) if centre else np.zeros_like(labels)
    if not segment.any():
        return FAILED
    psf = psf_image(one.fwhm[0], one.beta[0])
    found = statmorph.SourceMorphology(image, segment, label=1, mask=mask, weightmap=deviation, psf=psf)
    if found.flag_sersic or found.flag == 4:
        return FAILED
    angle = np.rad2deg(found.sersic_theta) - 90
    return values(found.sersic_amplitude, found.sersic_rhalf, found.sersic_n, 1 - found.sersic_ellip, angle)


def _astrophot_target(one: Sample, **more: object) -> astrophot.TargetImage:
    psf = astrophot.PSFImage(data=psf_image(one.fwhm[0], one.beta[0]))
    return astrophot.TargetImage(
        data=one.images[0], variance=one.variance[0], mask=one.mask[0], psf=psf, zeropoint=0.0, **more
    )


def _astrophot_start(start: Values, half: int) -> dict[str, object]:
    """Return the start in AstroPhot's terms: centres as (column, row), angles in radians."""
    brightness = effective_brightness(start["flux"], start["r_eff"], start["sersic_n"], start["axis_ratio"])
    return {
        "center": [start["x"] + half, start["y"] + half],
        "q": start["axis_ratio"],
        "PA": np.deg2rad(start["position_angle"]) % np.pi,
        "n": start["sersic_n"],
        "Re": start["r_eff"],
        "Ie": brightness,
    }


def with_astrophot(sample: Sample, start: list[Values]) -> list[Values]:
    """Fit one by one with AstroPhot's Levenberg-Marquardt."""
    return [_astrophot_one(sample[row : row + 1], start[row]) for row in range(len(sample))]


def _astrophot_one(one: Sample, start: Values) -> Values:
    guess = _astrophot_start(start, one.images.shape[1] // 2)
    model = astrophot.Model(model_type="sersic galaxy model", target=_astrophot_target(one), **guess)
    model.initialize()
    result = astrophot.fit.LM(model, verbose=0).fit(update_uncertainty=False)
    if "fail" in result.message:
        return FAILED
    return _astrophot_values({name: float(getattr(model, name).value) for name in ("Ie", "Re", "n", "q", "PA")})


def _astrophot_values(found: Values) -> Values:
    return values(found["Ie"], found["Re"], found["n"], found["q"], np.rad2deg(found["PA"]))


def with_astrophot_batch(sample: Sample, start: list[Values]) -> list[Values]:
    """Fit `BATCH` galaxies at a time with AstroPhot's BatchLM."""
    found: list[Values] = []
    for first in range(0, len(sample), BATCH):
        rows = range(first, min(first + BATCH, len(sample)))
        found += _astrophot_batch([sample[row : row + 1] for row in rows], [start[row] for row in rows])
    return found


def _astrophot_batch(ones: list[Sample], start: list[Values]) -> list[Values]:
    half = ones[0].images.shape[1] // 2
    targets = [_astrophot_target(one, name=f"target_{place}") for place, one in enumerate(ones)]
    batch = astrophot.TargetImageBatch(targets)
    guesses = [_astrophot_start(one, half) for one in start]
    model = astrophot.Model(model_type="sersic galaxy model", target=targets[0], **guesses[0])
    model.initialize()
    together = {name: torch.tensor(np.array([guess[name] for guess in guesses])) for name in guesses[0]}
    for name, value in together.items():
        getattr(model, name).value = value
    astrophot.fit.BatchLM(model, batch, batch.window, verbose=0).fit(update_uncertainty=False)
    names = ("Ie", "Re", "n", "q", "PA")
    columns = {name: getattr(model, name).value.detach().numpy() for name in names}
    return [_astrophot_values({name: float(columns[name][row]) for name in names}) for row in range(len(ones))]


PEERS: dict[str, Callable[[Sample, list[Values]], list[Values]]] = {
    "astrophot": with_astrophot,
    "astrophot_batch": with_astrophot_batch,
    "pyimfit": with_pyimfit,
    "statmorph": with_statmorph,
}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the peers' warnings off the screen."""
    with warnings.catch_warnings(), Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        warnings.simplefilter("ignore")
        yield

"""Votes of simulated volunteers, drawn from the truth of a galaxy and from how well it can be seen.

A feature is noticed with the probability of a logistic curve in what makes it visible:

    seen(signal, resolution, contrast) = logistic(1.5 + 1.2 ln(min(signal, 60) / 15) + 3.5 ln(resolution / 3) + 1.5 ln(contrast))

`signal` is the signal-to-noise ratio of a PSF-sized patch at the mean surface brightness within the half-light
radius, `resolution` the size of the feature in units of the PSF's full width at half maximum (a bar's length / 2,
the half-light radius otherwise). `contrast` of arms and rings is their part of the light over 0.15, times the square root of
the cosine of the inclination; that of a bar the square of its surface brightness relative to that of the galaxy
within the half-light radius, over 1.3 (see :func:`bar_contrast`). A feature that is not noticed is not reported, so
the fractions fall smoothly towards those of a galaxy without it, as Galaxy Zoo's do with redshift (Bamford+ 2009,
Hart+ 2016).
"""

import numpy as np

from tuningfork.core.decision_tree import questions
from tuningfork.simulate.galaxies.artifacts import ARTIFACT
from tuningfork.simulate.galaxies.draw import Galaxy

ARTIFACT_VOTES = 0.01
MISTAKEN_VOTES = 0.04
"""Probability of reporting a feature that is not there."""
EDGE_ON_AXIS_RATIO = 0.4
"""Half of the volunteers call a disc without visible arms edge-on at this axis ratio: as seen, PSF and bulge included,
the galaxies of the Galaxy Zoo 1 class `edge-on` have a median axis ratio of 0.41, and a tenth above 0.6."""
PLAIN_DISC_AXIS_RATIOS, PLAIN_DISC_VOTES = (0.35, 0.45, 0.6, 1.0), (0.95, 0.6, 0.25, 0.15)
"""Axis ratios, and the share of volunteers who call a disc without arms featured if they see its disc. Nearly face-on
lenticulars look smooth to people."""
RING_TAKEN_FOR_ARMS = 0.3
"""Part of those who notice a ring without arms and speak of arms."""


def visibility(signal: float, resolution: float, contrast: float) -> float:
    """Return the probability that a volunteer notices a feature; the module's text defines it.

    Parameters
    ----------
    signal, resolution, contrast : float

    Returns
    -------
    float
    """
    quantities = np.maximum([min(signal, 60) / 15, resolution / 3, contrast], 1e-3)
    return float(1 / (1 + np.exp(-1.5 - np.dot([1.2, 3.5, 1.5], np.log(quantities)))))


def signal_to_noise(galaxy: Galaxy, sky_noise: float, psf_fwhm: float, pixel_scale: float, zero_point: float) -> float:
    """Return the signal-to-noise ratio of a PSF-sized patch at the mean surface brightness within the half-light radius.

    Parameters
    ----------
    galaxy : Galaxy
    sky_noise : float
        Standard deviation in a pixel (flux units).
    psf_fwhm : float
        arcsec.
    pixel_scale : float
        arcsec.
    zero_point : float
        AB magnitude of a flux unit.

    Returns
    -------
    float
    """
    flux = 10 ** (-0.4 * (galaxy.mag - zero_point))
    surface = flux / (2 * np.pi * galaxy.r_eff**2 * galaxy.axis_ratio)
    patch = np.pi / 4 * psf_fwhm**2
    return float(surface * patch / (sky_noise * np.sqrt(patch) / pixel_scale))


def bar_contrast(galaxy: Galaxy) -> float:
    """Return the contrast of a bar, at most 1.5; 1 for a bar 1.3 times as bright as the galaxy within its half-light radius.

    Bars are assumed to be three times as long as wide.
    """
    galaxy_area = 2 * np.pi * galaxy.r_eff**2 * galaxy.axis_ratio
    bar_area = np.pi / 4 * galaxy.bar_length**2 / 3
    return float(min((galaxy.bar_strength * galaxy_area / bar_area / 1.3) ** 2, 1.5))


def answer_probabilities(galaxy: Galaxy, signal: float, psf_fwhm: float) -> dict[str, np.ndarray]:
    """Return for each question the probability of each answer, given that the question is asked.

    Parameters
    ----------
    galaxy : Galaxy
    signal : float
        See :func:`signal_to_noise`.
    psf_fwhm : float
        In the band that the volunteers see (arcsec).

    Returns
    -------
    dict
        Name of the question -> ndarray (A,), one probability per answer.
    """
    if galaxy.kind == ARTIFACT:
        return _of_an_artifact()
    size = galaxy.r_eff / psf_fwhm
    pattern_seen, arms_seen = _pattern_and_arms_seen(galaxy, signal, size)
    barred = galaxy.bar_strength > 0
    bar_seen = visibility(signal, galaxy.bar_length / 2 / psf_fwhm, bar_contrast(galaxy)) if barred else 0.0
    edge_on_seen = visibility(signal, size, 1.5) if galaxy.kind == "edge_on" else 0.0
    bulge = _bulge(galaxy)
    disc_seen = 0.0 if bulge == 1 else visibility(signal, size, 0.4 * (1 - bulge)) * _noticed_without_arms(galaxy)
    looks_featured = 0.3 if galaxy.kind == "lens" else 0.7
    disturbed_seen = visibility(signal, size, galaxy.disturbance / 0.2) if galaxy.disturbance else 0.0
    featured = 1 - np.prod(
        1 - 0.97 * np.array([pattern_seen, bar_seen, edge_on_seen, disc_seen, looks_featured * disturbed_seen])
    )
    featured = (1 - ARTIFACT_VOTES) * (MISTAKEN_VOTES + (1 - MISTAKEN_VOTES) * featured)
    inclined = 0.0 if galaxy.kind == "edge_on" else _taken_for_edge_on(galaxy, (1 - arms_seen) * (1 - bar_seen))
    return {
        "smooth_or_featured": np.array([1 - ARTIFACT_VOTES - featured, featured, ARTIFACT_VOTES]),
        "edge_on": _yes(0.02 + 0.95 * max(edge_on_seen, inclined)),
        "bar": _yes(MISTAKEN_VOTES + (0.98 - MISTAKEN_VOTES) * bar_seen),
        "spiral_arms": _yes(MISTAKEN_VOTES + (0.98 - MISTAKEN_VOTES) * arms_seen),
        "bulge_size": _bulge_size(bulge),
        "merging": _merging(galaxy, disturbed_seen),
    }


def draw_votes(rng: np.random.Generator, probabilities: dict[str, np.ndarray], volunteers: int) -> np.ndarray:
    """Return how many volunteers give each answer.

    A question that follows from an answer is put to those who gave it.

    Parameters
    ----------
    rng : numpy.random.Generator
    probabilities : dict
        See :func:`answer_probabilities`.
    volunteers : int

    Returns
    -------
    ndarray
        int32 counts in the order of :func:`tuningfork.core.decision_tree.answers`.
    """
    votes: dict[str, int] = {}
    for question in questions():
        asked = volunteers if question.after is None else votes[question.after]
        counts = rng.multinomial(asked, probabilities[question.name])
        votes |= dict(zip(question.labels, counts.tolist(), strict=True))
    return np.array(list(votes.values()), dtype=np.int32)


def _taken_for_edge_on(galaxy: Galaxy, plain: float) -> float:
    """Return the share of volunteers who call an inclined disc edge-on, if the share `plain` sees no arms and no bar."""
    return float(0.9 / (1 + np.exp((galaxy.axis_ratio - EDGE_ON_AXIS_RATIO) / 0.04)) * (0.25 + 0.75 * plain))


def _noticed_without_arms(galaxy: Galaxy) -> float:
    return float(np.interp(galaxy.axis_ratio, PLAIN_DISC_AXIS_RATIOS, PLAIN_DISC_VOTES))


def _of_an_artifact() -> dict[str, np.ndarray]:
    """Return the answers about what is no galaxy; some volunteers take a star for a smooth galaxy."""
    return {
        "smooth_or_featured": np.array([0.04, 0.03, 0.93]),
        "edge_on": _yes(0.3),
        "bar": _yes(MISTAKEN_VOTES),
        "spiral_arms": _yes(MISTAKEN_VOTES),
        "bulge_size": _bulge_size(0.1),
        "merging": np.array([0.96, 0.03, 0.01]),
    }


def _yes(probability: float) -> np.ndarray:
    return np.array([probability, 1 - probability])


def _pattern_and_arms_seen(galaxy: Galaxy, signal: float, size: float) -> tuple[float, float]:
    """Return the probability that arms or rings are noticed, and that arms are said to be there."""
    tilt = np.sqrt(galaxy.cos_inclination)
    pattern, arms = (
        visibility(signal, size, strength / 0.15 * tilt)
        for strength in (galaxy.arm_strength, galaxy.arm_strength - galaxy.ring_strength)
    )
    return pattern, max(arms, RING_TAKEN_FOR_ARMS * pattern)


def _merging(galaxy: Galaxy, seen: float) -> np.ndarray:
    """Return the probability of none, disturbed and merger; arcs look disturbed, but not like a second galaxy."""
    merger = seen * (0.1 if galaxy.kind == "lens" else np.clip(galaxy.disturbance / 0.5, 0.3, 0.9))
    return np.array([0.96 - 0.93 * seen, 0.03 + 0.93 * seen - 0.93 * merger, 0.01 + 0.93 * merger])


def _bulge(galaxy: Galaxy) -> float:
    """Return the fraction of the light that is taken for a bulge; for a single Sersic profile 0 at n = 1 and 1 from n = 4 on."""
    if np.isfinite(galaxy.bulge_fraction):
        return galaxy.bulge_fraction
    return float(np.clip((galaxy.sersic_n - 1) / 3, 0, 1))


def _bulge_size(fraction: float) -> np.ndarray:
    """Return the probability of none, small, obvious and dominant; the limits differ between people by a factor of 1.6."""
    edges = np.log([0.03, 0.12, 0.35])
    below = 1 / (1 + np.exp((np.log(max(fraction, 1e-3)) - edges) / np.log(1.6) * 1.7))
    return np.diff(np.concatenate([[0.0], below, [1.0]]))

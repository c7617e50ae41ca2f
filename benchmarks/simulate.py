"""Drawing galaxies: ours on one Fourier grid against plain GalSim, `drawImage` of each galaxy in each band.

Both draw the same parts of the same galaxies with the same PSF on 128 x 128 pixels, in one thread, alternating: the
Sersic profiles and edge-on discs, since plain GalSim has neither our bars nor a quick way to draw some 200 knots of
an arm. GalSim's tables of each Sersic index are filled beforehand for both. "Loose" is GalSim with a folding
threshold of 2 % (0.5 % is its own default), which makes its grids smaller. Differences are in units of the noise of
sky and source. The last figure is our whole training stamp: all parts, neighbours, noise, truth and votes.

    python benchmarks/simulate.py [--quick]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import galsim
import numpy as np

from tuningfork.core.config import Configuration
from tuningfork.core.config.stages import Stamps
from tuningfork.core.description import Description, describe
from tuningfork.core.seeds import generator_for
from tuningfork.simulate.canvas import Light, canvas_size, north_up
from tuningfork.simulate.galaxies import draw_galaxy
from tuningfork.simulate.noise import SKY_BRIGHTNESS
from tuningfork.simulate.profiles import EdgeOn, Sersic
from tuningfork.training.parts import simulate_galaxy

SIZE = 128
ROOT = Path(__file__).resolve().parents[1]


def smooth_lights(number: int, description: Description) -> list[tuple[list[Light], float]]:
    """Return the lights that both can draw, and the half-light radius (arcsec), of each galaxy."""
    population = Configuration().simulate.population
    galaxies = [draw_galaxy(generator_for(1, "benchmark", index), population) for index in range(number)]
    return [
        (
            [
                light
                for light in galaxy.lights(description.bands, description.reference, description.zero_point)
                if isinstance(light.profile, Sersic | EdgeOn)
            ],
            galaxy.r_eff,
        )
        for galaxy in galaxies
    ]


def ours(lights: list[Light], r_eff: float, description: Description) -> np.ndarray:
    """Draw as the training set is drawn."""
    size = canvas_size(max(SIZE, int(5 * r_eff / description.pixel_scale)))
    image = north_up(size, description.pixel_scale).draw(lights, description.psf_fwhm, description.psf_beta)
    first = size // 2 - SIZE // 2
    return image[:, first : first + SIZE, first : first + SIZE]


def plain(lights: list[Light], r_eff: float, description: Description, parameters: galsim.GSParams) -> np.ndarray:
    """Draw with GalSim's `drawImage`, one sum of profiles a band."""
    planes = []
    for band, fwhm in enumerate(description.psf_fwhm):
        parts = [
            (light.profile.galsim() * float(light.fluxes[band])).shift(light.x, light.y)
            for light in lights
            if isinstance(light.profile, Sersic | EdgeOn)
        ]
        psf = galsim.Moffat(beta=description.psf_beta, fwhm=fwhm)
        seen = galsim.Convolve(galsim.Sum(parts), psf, gsparams=parameters)
        # The centre of an even image of GalSim's lies half a pixel below ours.
        planes.append(seen.drawImage(nx=SIZE, ny=SIZE, scale=description.pixel_scale, offset=(0.5, 0.5)).array)
    return np.stack(planes)


def warm_up(
    objects: list[tuple[list[Light], float]], description: Description, peers: dict[str, galsim.GSParams]
) -> None:
    """Draw one galaxy of each Sersic index with everything, so that GalSim has its tables."""
    known: set[float] = set()
    for lights, r_eff in objects:
        indices = {light.profile.n for light in lights if isinstance(light.profile, Sersic)}
        if indices - known:
            known |= indices
            ours(lights, r_eff, description)
            for parameters in peers.values():
                plain(lights, r_eff, description, parameters)


def timed(function: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Return the seconds of one call and its result."""
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer galaxies")
    number = 60 if parser.parse_args().quick else 600
    description = describe(Configuration(), ROOT / "config" / "surveys")
    objects = smooth_lights(number, description)
    peers = {"plain": galsim.GSParams(), "loose": galsim.GSParams(folding_threshold=2e-2)}
    warm_up(objects, description, peers)
    seconds: dict[str, list[float]] = {name: [] for name in ("ours", *peers)}
    differences: dict[str, list[float]] = {name: [] for name in peers}
    sky = 10 ** (-0.4 * (SKY_BRIGHTNESS - description.zero_point)) * description.pixel_scale**2
    for lights, r_eff in objects:
        taken, mine = timed(lambda lights=lights, r_eff=r_eff: ours(lights, r_eff, description))
        seconds["ours"].append(taken)
        noise = np.array(description.sky_noise)[:, None, None] * np.sqrt(1 + np.maximum(mine, 0) / sky)
        for name, parameters in peers.items():
            taken, image = timed(lambda a=lights, r=r_eff, p=parameters: plain(a, r, description, p))
            seconds[name].append(taken)
            differences[name].append(float(np.abs((mine - image) / noise).max()))
    settings = Configuration().simulate
    begin = time.perf_counter()
    for index in range(number):
        simulate_galaxy(generator_for(2, "benchmark", index), settings, description, Stamps(size=SIZE))
    stamp = (time.perf_counter() - begin) / number
    report(seconds, differences, stamp, number)


def report(seconds: dict[str, list[float]], differences: dict[str, list[float]], stamp: float, number: int) -> None:
    """Print the table and the figures."""
    print(f"{number} galaxies, 3 bands, {SIZE} x {SIZE} pixels, one thread")
    print(
        f"{'drawn by':10s} {'ms (mean)':>10s} {'ms (median)':>12s} {'largest difference to ours / noise: median, 95 %':>52s}"
    )
    for name, values in seconds.items():
        apart = differences.get(name)
        text = f"{np.median(apart):.3f}, {np.percentile(apart, 95):.3f}" if apart else ""
        print(f"{name:10s} {1e3 * statistics.mean(values):10.2f} {1e3 * statistics.median(values):12.2f} {text:>52s}")
    print(f"a whole training stamp of ours: {1e3 * stamp:.2f} ms")
    mean = {name: statistics.mean(values) for name, values in seconds.items()}
    print(
        json.dumps(
            {
                "galaxies": number,
                "ours_ms": round(1e3 * mean["ours"], 3),
                "plain_galsim_ms": round(1e3 * mean["plain"], 3),
                "ratio_to_plain_galsim": round(mean["plain"] / mean["ours"], 2),
                "ratio_to_loose_galsim": round(mean["loose"] / mean["ours"], 2),
                "difference_in_noise_median": round(float(np.median(differences["plain"])), 4),
                "difference_in_noise_95": round(float(np.percentile(differences["plain"], 95)), 4),
                "training_stamp_ms": round(1e3 * stamp, 2),
            }
        )
    )


if __name__ == "__main__":
    main()

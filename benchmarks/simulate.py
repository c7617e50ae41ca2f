"""Drawing galaxies: ours on one Fourier grid against plain GalSim, `drawImage` of each galaxy in each band.

Both draw the same parts of the same galaxies with the same PSF on 128 x 128 pixels, in one thread, alternating: the
Sersic profiles, of any index, and edge-on discs, since plain GalSim has neither our bars nor a quick way to draw some
200 knots of an arm. GalSim tabulates each new Sersic index, which all but few galaxies have: "plain" is the drawing
after that, "new index" includes it. "Loose" is GalSim with a folding threshold of 2 % (0.5 % is its own default), which
makes its grids smaller. Times are of the processor, which other processes do not lengthen. Differences are in units of
the noise of sky and source. A second set, single Sersic profiles of random index, shows how they depend on the index.
The last figure is our whole training stamp: all parts, neighbours, noise, truth and votes.

    python benchmarks/simulate.py [--quick]
"""

import argparse
import itertools
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
from tuningfork.simulate.galaxies.draw import draw_galaxy
from tuningfork.simulate.galaxies.priors import draw_magnitude, draw_radius, log_uniform
from tuningfork.simulate.imaging.noise import SKY_BRIGHTNESS
from tuningfork.simulate.light.canvas import Light, canvas_size, north_up
from tuningfork.simulate.light.profiles import EdgeOn, Sersic
from tuningfork.training.sets.parts import simulate_galaxy

SIZE = 128
GALSIM_INDICES = (0.3, 6.2)
INDEX_BINS = (0.3, 1.0, 2.0, 3.0, 4.0, 5.0, 6.3)
PEERS = {"plain": galsim.GSParams(), "loose": galsim.GSParams(folding_threshold=2e-2)}
Comparison = tuple[dict[str, list[float]], dict[str, list[float]]]
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


def plain(lights: list[Light], description: Description, parameters: galsim.GSParams) -> np.ndarray:
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


def timed(function: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Return the processor seconds of one call and its result."""
    begin = time.process_time()
    result = function()
    return time.process_time() - begin, result


def single_lights(number: int, description: Description) -> list[tuple[list[Light], float]]:
    """Return single Sersic profiles of random index, as far as GalSim goes, and their half-light radii (arcsec)."""
    population = Configuration().simulate.population
    objects = []
    for index in range(number):
        rng = generator_for(3, "benchmark", index)
        mag = float(draw_magnitude(rng, population.mag_min, population.mag_max, population.mag_slope))
        r_eff = draw_radius(rng, mag, population)
        profile = Sersic(log_uniform(rng, *GALSIM_INDICES), r_eff, rng.uniform(0.2, 1), rng.uniform(0, 180))
        flux = 10 ** (-0.4 * (mag - description.zero_point))
        objects.append(([Light(profile, np.full(len(description.bands), flux))], r_eff))
    return objects


def difference(mine: np.ndarray, image: np.ndarray, description: Description) -> float:
    """Return the largest difference of two images in units of the noise of sky and source."""
    sky = 10 ** (-0.4 * (SKY_BRIGHTNESS - description.zero_point)) * description.pixel_scale**2
    noise = np.array(description.sky_noise)[:, None, None] * np.sqrt(1 + np.maximum(mine, 0) / sky)
    return float(np.abs((mine - image) / noise).max())


def compare(objects: list[tuple[list[Light], float]], description: Description) -> Comparison:
    """Draw all objects in every way, alternating."""
    seconds: dict[str, list[float]] = {name: [] for name in ("ours", "new index", *PEERS)}
    differences: dict[str, list[float]] = {name: [] for name in PEERS}
    for lights, r_eff in objects:
        taken, mine = timed(lambda lights=lights, r_eff=r_eff: ours(lights, r_eff, description))
        seconds["ours"].append(taken)
        taken, _ = timed(lambda lights=lights: plain(lights, description, PEERS["plain"]))
        seconds["new index"].append(taken)
        for name, parameters in PEERS.items():
            if name != "plain":
                plain(lights, description, parameters)
            taken, image = timed(lambda lights=lights, p=parameters: plain(lights, description, p))
            seconds[name].append(taken)
            differences[name].append(difference(mine, image, description))
    return seconds, differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer galaxies")
    number = 60 if parser.parse_args().quick else 400
    description = describe(Configuration(), ROOT / "config" / "surveys")
    ours(*single_lights(1, description)[0], description)
    seconds, differences = compare(smooth_lights(number, description), description)
    report(seconds, differences, number)
    singles = single_lights(number, description)
    of_singles = by_index(singles, compare(singles, description)[1]["plain"])
    settings = Configuration().simulate
    begin = time.process_time()
    for index in range(number):
        simulate_galaxy(generator_for(2, "benchmark", index), settings, description, Stamps(size=SIZE))
    stamp = (time.process_time() - begin) / number
    print(f"a whole training stamp of ours: {1e3 * stamp:.2f} ms")
    mean = {name: statistics.mean(values) for name, values in seconds.items()}
    figures = {f"{name.replace(' ', '_')}_ms": round(1e3 * value, 3) for name, value in mean.items()}
    figures |= {
        f"ratio_to_{peer}_galsim": round(mean[name] / mean["ours"], 2)
        for name, peer in (("plain", "plain"), ("loose", "loose"), ("new index", "cold"))
    }
    figures |= {
        "galaxies": number,
        "difference_in_noise_median": round(float(np.median(differences["plain"])), 4),
        "difference_in_noise_95": round(float(np.percentile(differences["plain"], 95)), 4),
        "difference_in_noise_of_random_index_95": of_singles,
        "training_stamp_ms": round(1e3 * stamp, 2),
    }
    print(json.dumps(figures))


def by_index(objects: list[tuple[list[Light], float]], differences: list[float]) -> float:
    """Print how far single profiles are from GalSim's, by index; return the 95 % quantile of all."""
    index, apart = np.array([lights[0].profile.n for lights, _ in objects]), np.array(differences)
    print("single Sersic profiles, largest difference to plain GalSim / noise: median, 95 %, maximum")
    for low, high in itertools.pairwise(INDEX_BINS):
        chosen = apart[(index >= low) & (index < high)]
        if chosen.size:
            print(
                f"  n {low:3.1f} to {high:3.1f} ({chosen.size:3d}) {np.median(chosen):8.3f}"
                f" {np.percentile(chosen, 95):8.3f} {chosen.max():8.3f}"
            )
    return round(float(np.percentile(apart, 95)), 4)


def report(seconds: dict[str, list[float]], differences: dict[str, list[float]], number: int) -> None:
    """Print the table of the population."""
    print(f"{number} galaxies, 3 bands, {SIZE} x {SIZE} pixels, one thread")
    print(
        f"{'drawn by':10s} {'ms (mean)':>10s} {'ms (median)':>12s} {'largest difference to ours / noise: median, 95 %':>52s}"
    )
    for name, values in seconds.items():
        apart = differences.get(name)
        text = f"{np.median(apart):.3f}, {np.percentile(apart, 95):.3f}" if apart else ""
        print(f"{name:10s} {1e3 * statistics.mean(values):10.2f} {1e3 * statistics.median(values):12.2f} {text:>52s}")


if __name__ == "__main__":
    main()

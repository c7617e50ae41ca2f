"""Cut stamps from one tile: ours against astropy's Cutout2D, and against a floor that only reads and copies.

Each cuts flux and inverse variance of the same sources from the same FITS file, reading it, on one thread.
    python benchmarks/cutouts.py [--quick]
"""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import fitsio
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS

from tuningfork.core.description import Description
from tuningfork.core.files import new_array
from tuningfork.stamps.mosaic import Mosaic
from tuningfork.surveys.base import FetchedTile, Image, OwnImages

SHAPE = (1489, 2048)
SIZE = 128
DESCRIPTION = Description(
    title="benchmark",
    bands=["r"],
    reference_band="r",
    pixel_scale=0.396,
    zero_point=22.5,
    flux_unit="nanomaggy",
    psf_fwhm=[1.3],
    psf_fwhm_scatter=0.1,
    psf_beta=3.0,
    sky_noise=[0.03],
    sky_noise_scatter=0.1,
)


def make_tile(path: Path) -> None:
    """Write a tile of the size of an SDSS frame: flux, and inverse variance in an extension."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [180.0, 30.0]
    wcs.wcs.crpix = [SHAPE[1] / 2, SHAPE[0] / 2]
    wcs.wcs.cdelt = [-0.396 / 3600, 0.396 / 3600]
    flux = np.random.default_rng(1).normal(0, 0.03, SHAPE).astype(np.float32)
    weight = np.full(SHAPE, 1 / 0.03**2, dtype=np.float32)
    fits.HDUList([fits.PrimaryHDU(flux, wcs.to_header()), fits.ImageHDU(weight)]).writeto(path)


def read(path: Path) -> Image:
    """Return the tile."""
    with fitsio.FITS(str(path)) as file:
        header = file[0].read_header()
        wcs = WCS({key: header[key] for key in header if key and key not in {"COMMENT", "HISTORY"}})
        return Image(file[0].read(), file[1].read(), wcs, 1.3, 22.5)


def positions(image: Image, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return right ascension and declination (deg) of sources all over the tile."""
    rng = np.random.default_rng(2)
    return image.wcs.all_pix2world(rng.uniform(0, SHAPE[1] - 1, count), rng.uniform(0, SHAPE[0] - 1, count), 0)


def ours(path: Path, ra: np.ndarray, dec: np.ndarray, output: Path) -> np.ndarray:
    """Cut the stamps as the pipeline does."""
    own = OwnImages([None] * len(ra), [False] * len(ra))
    with new_array(output, (len(ra), 2, 1, SIZE, SIZE), np.float32) as stamps:
        mosaic = Mosaic(stamps, ra, dec, own, DESCRIPTION, lambda tile, band: read(path))
        mosaic.build([FetchedTile("tile", {"r": "tile.fits"}, {})])
    return np.load(output, mmap_mode="r")[:, :, 0]


def cutout2d(path: Path, ra: np.ndarray, dec: np.ndarray, output: Path) -> np.ndarray:
    """Cut the stamps with astropy, source by source."""
    image = read(path)
    with new_array(output, (len(ra), 2, SIZE, SIZE), np.float32) as stamps:
        for number, position in enumerate(SkyCoord(ra, dec, unit="deg")):
            for place, plane in enumerate((image.pixels, image.inverse_variance)):
                cutout = Cutout2D(plane, position, SIZE, wcs=image.wcs, mode="partial", fill_value=0.0)
                stamps[number, place] = cutout.data
    return np.load(output, mmap_mode="r")


def floor(path: Path, ra: np.ndarray, dec: np.ndarray, output: Path) -> np.ndarray:
    """Read the tile, find all positions at once and copy slices: the least that any program must do."""
    image = read(path)
    x, y = image.wcs.all_world2pix(ra, dec, 0)
    left, bottom = (np.rint(value).astype(int) for value in (x, y))
    planes = [np.pad(plane, SIZE // 2) for plane in (image.pixels, image.inverse_variance)]
    with new_array(output, (len(ra), 2, SIZE, SIZE), np.float32) as stamps:
        for number, (column, row) in enumerate(zip(left.tolist(), bottom.tolist(), strict=True)):
            for place, plane in enumerate(planes):
                stamps[number, place] = plane[row : row + SIZE, column : column + SIZE]
    return np.load(output, mmap_mode="r")


def measure(repeats: int, path: Path, ra: np.ndarray, dec: np.ndarray) -> dict[str, tuple[float, np.ndarray]]:
    """Return the shortest time (s) and the stamps of each program; they take turns, so that load hits all alike."""
    times: dict[str, list[float]] = {cut.__name__: [] for cut in PROGRAMS}
    stamps = {}
    for _ in range(repeats):
        for cut in PROGRAMS:
            output = path.with_name(f"{cut.__name__}.npy")
            begin = time.perf_counter()
            stamps[cut.__name__] = cut(path, ra, dec, output)
            times[cut.__name__].append(time.perf_counter() - begin)
    return {name: (min(spent), stamps[name]) for name, spent in times.items()}


PROGRAMS: list[Callable[[Path, np.ndarray, np.ndarray, Path], np.ndarray]] = [floor, ours, cutout2d]


def main() -> None:
    """Measure all three and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer stamps, within a minute")
    count, repeats = (1000, 5) if parser.parse_args().quick else (4000, 5)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tile.fits"
        make_tile(path)
        ra, dec = positions(read(path), count)
        results = measure(repeats, path, ra, dec)
    same = np.mean([np.array_equal(a, b) for a, b in zip(results["ours"][1], results["floor"][1], strict=True)])
    print(f"{count} stamps of {SIZE} x {SIZE} pixels, flux and inverse variance, one tile, one thread\n")
    print("| program | seconds | stamps/s |\n| --- | --- | --- |")
    rates = {name: count / seconds for name, (seconds, _) in results.items()}
    for name, label in (("ours", "ours"), ("cutout2d", "astropy Cutout2D"), ("floor", "read and copy")):
        print(f"| {label} | {results[name][0]:.3f} | {rates[name]:,.0f} |")
    print(f"\nStamps that are the same as the floor's, pixel by pixel: {100 * same:.1f} %\n")
    print(json.dumps({
        "stamps": count,
        "stamps_per_second": round(rates["ours"]),
        "ratio_to_cutout2d": round(rates["ours"] / rates["cutout2d"], 3),
        "ratio_to_floor": round(rates["ours"] / rates["floor"], 3),
        "same_pixels": round(float(same), 4),
    }))  # fmt: skip


if __name__ == "__main__":
    main()

"""The tile of `cutouts.py` and the programs that cut stamps from it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.table import Table
from astropy.wcs import WCS

from tuningfork.core.columns.table import shard_table
from tuningfork.core.config.stages import Stamps
from tuningfork.core.description import Description
from tuningfork.core.tables import write_table
from tuningfork.stamps.mosaic import Mosaic
from tuningfork.stamps.positions import Positions
from tuningfork.stamps.scaling import Scaling
from tuningfork.stamps.shard import describe_stamps
from tuningfork.stamps.store import new_stamps
from tuningfork.surveys.base import FetchedTile, Image, OwnImages, Tile
from tuningfork.surveys.euclid.mosaic import MosaicPlane

WIDTH = 4096
SIZE = 128
SCALE = 0.262
NOISE = 0.03
DESCRIPTION = Description(
    title="benchmark", bands=["r"], reference_band="r", pixel_scale=SCALE, zero_point=22.5, flux_unit="nanomaggy",
    psf_fwhm=[1.3], psf_fwhm_scatter=0.1, psf_beta=3.0, sky_noise=[NOISE], sky_noise_scatter=0.1,
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What is to be cut: the files of the tile, flux first, and the positions (deg)."""

    files: tuple[Path, ...]
    ra: np.ndarray
    dec: np.ndarray
    size: int = SIZE

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Shape of the stamps."""
        return len(self.ra), len(self.files), 1, self.size, self.size


def make_tile(folder: Path) -> tuple[Path, Path]:
    """Write a tile of the size of a survey's: flux, and inverse variance that differs from pixel to pixel."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [180.0, 30.0]
    wcs.wcs.crpix = [WIDTH / 2, WIDTH / 2]
    wcs.wcs.cdelt = [-SCALE / 3600, SCALE / 3600]
    rng = np.random.default_rng(1)
    flux = rng.normal(0, NOISE, (WIDTH, WIDTH)).astype(np.float32)
    weight = rng.uniform(0.9, 1.1, flux.shape).astype(np.float32) / NOISE**2
    paths = folder / "tile_flux.fits", folder / "tile_weight.fits"
    for path, pixels in zip(paths, (flux, weight), strict=True):
        fits.PrimaryHDU(pixels, wcs.to_header()).writeto(path)
    return paths


def make_task(files: tuple[Path, ...], count: int, size: int = SIZE) -> Task:
    """Return sources all over the tile, whole stamps on it."""
    rng = np.random.default_rng(2)
    x, y = rng.uniform(size / 2 + 1, WIDTH - size / 2 - 2, (2, count))
    return Task(files, *WCS(fits.getheader(files[0])).all_pix2world(x, y, 0), size)


def open_tile(files: tuple[Path, ...]) -> Image:
    """Open the tile; without a file of weights they are constant."""
    flux, *weight = [MosaicPlane.open(path) for path in files]

    def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        pixels = flux.rows(start, stop)
        return pixels, weight[0].rows(start, stop) if weight else np.broadcast_to(np.float32(NOISE**-2), pixels.shape)

    return Image(flux.shape, rows, WCS(flux.header), lambda x, y: np.full(len(x), 1.3), 22.5)


def ours(task: Task, folder: Path) -> None:
    """Cut the stamps as the pipeline does; with inverse variances also the table."""
    count = len(task.ra)
    positions = Positions(task.ra, task.dec, OwnImages([None] * count, [False] * count))
    scaling = Scaling(Stamps(size=task.size, scale="native"), np.full(count, np.nan))
    with new_stamps(folder / "ours.npy", task.shape) as store:
        mosaic = Mosaic(store, positions, scaling, DESCRIPTION, lambda tile, band: open_tile(task.files))
        mosaic.build([FetchedTile(Tile("tile", 180.0, 30.0), {"r": {"image": "tile"}}, {})])
        if len(task.files) > 1:
            columns = {"source_id": np.arange(count), "flags": np.zeros(count, int), "ra": task.ra, "dec": task.dec}
            table = describe_stamps(mosaic, shard_table("sources", columns))
            write_table(folder / "ours.parquet", shard_table("stamps", table, DESCRIPTION.bands))


def floor(task: Task, folder: Path) -> None:
    """Read the tile once, find all positions at once and copy each stamp once: the least that any program must do."""
    image = open_tile(task.files)
    planes = [MosaicPlane.open(file).rows(0, WIDTH) for file in task.files]
    left, bottom = (
        (np.floor(value + 0.5).astype(int) - task.size // 2).tolist()
        for value in image.wcs.all_world2pix(task.ra, task.dec, 0)
    )
    stamp = np.empty((len(planes), task.size, task.size), np.float32)
    with new_stamps(folder / "floor.npy", task.shape) as store:
        for number, (x, y) in enumerate(zip(left, bottom, strict=True)):
            for place, plane in enumerate(planes):
                stamp[place] = plane[y : y + task.size, x : x + task.size]
            store.write(number, 0, stamp)


def cutout2d(task: Task, folder: Path) -> None:
    """Cut the stamps with astropy, source by source."""
    wcs = open_tile(task.files).wcs
    planes = [MosaicPlane.open(file).rows(0, WIDTH) for file in task.files]
    with new_stamps(folder / "cutout2d.npy", task.shape) as store:
        for number, position in enumerate(SkyCoord(task.ra, task.dec, unit="deg")):
            cutouts = [Cutout2D(plane, position, task.size, wcs, mode="partial", fill_value=0.0) for plane in planes]
            store.write(number, 0, np.stack([cutout.data for cutout in cutouts]))
    if len(planes) > 1:
        describe(np.load(folder / "cutout2d.npy", mmap_mode="r")[:, :, 0], task.size, folder)


def describe(stamps: Iterable[np.ndarray], size: int, folder: Path) -> None:
    """Write a table of what flux and inverse variance (2, S, S) say about each of the stamps, as anyone would."""
    offset = np.arange(size) - size // 2
    distance = np.hypot(offset[:, None], offset)
    outside, core = np.maximum(abs(offset[:, None]), abs(offset)) >= size // 4, distance <= 1.3 / SCALE
    table: dict[str, list[float]] = {"noise": [], "valid": [], "masked": [], "signal": []}
    for flux, weight in stamps:
        noise = 1 / np.sqrt(np.median(weight[outside & (weight > 0)]))
        table["noise"].append(noise)
        table["valid"].append((weight > 0).mean())
        table["masked"].append((weight[distance <= 3 / SCALE] <= 0).any())
        table["signal"].append(flux[core].sum() / (noise * np.sqrt(core.sum())))
    Table(table).write(folder / "table.parquet")


def cutana_zarr(task: Task, folder: Path) -> None:
    """Cut the stamps with Cutana into a zarr store."""
    _cutana(task, folder, {"output_format": "zarr"})


def cutana(task: Task, folder: Path) -> None:
    """Cut the stamps with Cutana into raw FITS files, one a source."""
    _cutana(task, folder, {"output_format": "fits", "do_only_cutout_extraction": True})


def _cutana(task: Task, folder: Path, settings: dict[str, object]) -> None:
    import zarr
    from cutana import get_default_config
    from cutana.cutout_process import create_cutouts_batch
    from cutana.cutout_writer_fits import write_fits_batch
    from cutana.job_tracker import JobTracker

    bands = ["flux", "weight"][: len(task.files)]
    config = get_default_config()
    config.output_dir, config.process_id, config.process_threads = str(folder), "worker", 1
    config.apply_flux_conversion, config.normalisation_method, config.target_resolution = False, "none", task.size
    config.selected_extensions = [{"name": band, "ext": "PRIMARY"} for band in bands]
    config.channel_weights = {band: [float(band == other) for other in bands] for band in bands}
    for key, value in settings.items():
        config[key] = value
    paths = str([str(path) for path in task.files])
    sources = [
        {"SourceID": f"s{number}", "RA": ra, "Dec": dec, "diameter_pixel": task.size, "fits_file_paths": paths}
        for number, (ra, dec) in enumerate(zip(task.ra.tolist(), task.dec.tolist(), strict=True))
    ]
    tracker = JobTracker(progress_dir=str(folder), session_id="benchmark")
    tracker.register_process("worker", len(sources))
    results = create_cutouts_batch(sources, config, tracker)
    if config.output_format == "fits":
        written = write_fits_batch(results, str(folder), config=config, modifier="worker")
        if len(written) != len(sources):
            raise RuntimeError(f"Cutana wrote {len(written)} files of {len(sources)}")
        stamps = (np.stack([hdu.data for hdu in fits.open(path)[1:]]) for path in written)
    else:
        stamps = np.moveaxis(zarr.open(next(folder.glob("*/images.zarr")), mode="r")["images"][:], -1, 1)
    if len(bands) > 1:
        describe(stamps, task.size, folder)

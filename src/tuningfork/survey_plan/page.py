"""The plan as a user reads it."""

import math
import os
from pathlib import Path

from tuningfork.core.config import Configuration, load
from tuningfork.core.config.reading.paths import require_paths
from tuningfork.core.description import Description, describe
from tuningfork.core.errors import ConfigurationError
from tuningfork.core.stage import paths
from tuningfork.sky.shards import Shard
from tuningfork.survey_plan.area import count_tiles, footprint_area, shard_area, with_sources
from tuningfork.survey_plan.costs import PLANNED, PLANNED_BYTES, Costs, costs
from tuningfork.survey_plan.figure import Figure, count, degrees, duration, size
from tuningfork.survey_plan.galaxies import expected_galaxies
from tuningfork.survey_plan.previous_run import read_previous_run
from tuningfork.surveys.area import shards_of

MEGABYTE = 1e6


def survey_plan(
    configfile: Path | None,
    root: Path,
    bandwidth: float = 20.0,
    cores: int | None = None,
    results: Path = Path(paths.RESULTS),
) -> str:
    """Return a table of what a run of a configuration will take; nothing is fetched for it.

    Parameters
    ----------
    configfile : Path or None
        The configuration; without it, the default.
    root : Path
        Root of the repository, for the descriptions of the surveys.
    bandwidth : float
        MB/s that come from the service, all connections together.
    cores : int, optional
        Cores that compute at a time; by default all of this machine.
    results : Path
        Results of a previous run, whose times are used if it left benchmark files.

    Returns
    -------
    str
        One line per quantity.

    Raises
    ------
    ConfigurationError
        The configuration is wrong, or cannot be planned without the network.
    """
    _check(bandwidth, cores)
    chosen = load(configfile) if configfile else Configuration()
    require_paths(chosen)
    description = describe(chosen, root / "config" / "surveys")
    offline = chosen.model_copy(update={"transfer": chosen.transfer.model_copy(update={"offline": True})})
    shards = shards_of(offline, description)
    galaxies = expected_galaxies(chosen, description, shards)
    tiles = with_sources(count_tiles(chosen, description, shards), galaxies)
    taken = costs(
        chosen,
        description,
        shards=len(shards),
        tiles=tiles,
        galaxies=galaxies,
        bandwidth=bandwidth * MEGABYTE,
        previous=read_previous_run(results),
    )
    cores = cores or os.cpu_count() or 1
    lines = [
        *_sky(chosen, description, shards, tiles, galaxies),
        *_transfers(chosen, tiles, taken, bandwidth),
        *_work(taken, cores),
        *_disk(chosen, taken),
    ]
    width = max(len(name) for name, _, _ in lines)
    middle = max(len(value) for _, value, _ in lines)
    return "".join(f"{name:<{width}}  {value:<{middle}}  {note}".rstrip() + "\n" for name, value, note in lines)


def _check(bandwidth: float, cores: int | None) -> None:
    if not 0 < bandwidth < math.inf:
        raise ConfigurationError(f"--bandwidth {bandwidth:g}: expected MB/s above zero")
    if cores is not None and cores < 1:
        raise ConfigurationError(f"--cores {cores}: expected one or more")


def _sky(
    chosen: Configuration, description: Description, shards: list[Shard], tiles: Figure, galaxies: Figure
) -> list[tuple[str, str, str]]:
    order = chosen.sky.shard_order
    inside = footprint_area(chosen.sky.footprint)
    area = len(shards) * shard_area(order)
    limits = f"{chosen.sources.mag_min:g} to {chosen.sources.mag_max:g} in {description.reference_band}"
    taken = chosen.sources.catalogue.kind in {"survey", "detection"} and chosen.survey.name != "folder"
    return [
        ("survey", description.title, f"bands {' '.join(description.bands)}"),
        ("footprint", "" if inside is None else degrees(inside), chosen.sky.footprint.kind),
        ("shards", f"{len(shards):,}", f"order {order}, processed whole: {degrees(area)}"),
        ("tiles", count(tiles), tiles.how),
        ("galaxies", count(galaxies), "; ".join(filter(None, [limits if taken else "", galaxies.how]))),
    ]


def _transfers(chosen: Configuration, tiles: Figure, taken: Costs, bandwidth: float) -> list[tuple[str, str, str]]:
    if chosen.survey.name in {"simulated", "folder"}:
        where = "rendered here" if chosen.survey.name == "simulated" else "read where they are"
        return [("images", count(taken.images), where), ("to fetch", "nothing", "")]
    rows = [("images", count(taken.images), "one per tile and band")]
    if taken.fetched.value is None or tiles.value is None:
        return [*rows, ("to fetch", "not known", "the survey's description does not say how large a tile is")]
    limit = f"{bandwidth:g} MB/s in all, at most {chosen.transfer.rate:g} requests/s per host"
    rows.append(("to fetch", f"about {size(taken.fetched.number)}", "what the cache does not have already"))
    rows.append(("transfer time", f"about {duration(taken.transfer)}", limit))
    return rows


def _work(taken: Costs, cores: int) -> list[tuple[str, str, str]]:
    start = f"planned by Snakemake in {duration(taken.jobs * PLANNED)} with {size(taken.jobs * PLANNED_BYTES)}"
    seconds = duration(max(taken.computing / cores, taken.chain))
    return [
        ("jobs", f"{taken.jobs:,}", start if taken.jobs > 1000 else ""),
        ("computing", f"about {duration(taken.computing)} of a core", _basis(taken)),
        ("computing time", f"about {seconds}", f"{cores} cores"),
    ]


def _basis(taken: Costs) -> str:
    """Return what the time of computing is based on."""
    measured = sum(stage.measured for stage in taken.stages.values())
    built_in = "speeds without a GPU (docs/scale.md)"
    if not measured:
        return f"by built-in {built_in}"
    return f"{measured} stages as measured in the previous run, the others by built-in {built_in}"


def _disk(chosen: Configuration, taken: Costs) -> list[tuple[str, str, str]]:
    known = taken.images.value is not None and (taken.fetched.value is not None)
    full = taken.cache >= chosen.transfer.cache_size * 1e9
    bound = f"its limit, transfer.cache_size; {chosen.transfer.cache}" if full else chosen.transfer.cache
    return [
        ("disk: cache", f"about {size(taken.cache)}" if known else "not known", bound),
        (
            "disk: stamps",
            f"about {size(taken.stamps)}",
            "with saliency maps, if kept (--notemp); otherwise less",
        ),
        ("disk: training set", size(taken.training), ""),
        ("disk: catalogue", f"about {size(taken.catalogue)}", "HATS, one file, and the parts"),
    ]

"""How many galaxies a run will find."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tuningfork.core.config import Configuration
from tuningfork.core.config.population import Population
from tuningfork.core.config.sources import HatsCatalogue, TableCatalogue, VizierCatalogue
from tuningfork.core.description import Description
from tuningfork.sky.hats import read_properties
from tuningfork.sky.shards import Shard, pixels, valid_position
from tuningfork.survey_plan.area import shard_area
from tuningfork.survey_plan.figure import Figure
from tuningfork.surveys.folder.survey import FolderSurvey
from tuningfork.surveys.lists.sources.table import UserTable

NUMBER_COUNTS = ((16.0, 11.0), (17.77, 92.0), (19.5, 864.0), (24.9, 88_600.0), (27.0, 330_000.0))
"""Galaxies per square degree brighter than a magnitude in r: 92 at 17.77 (SDSS main sample, Strauss+ 2002), 864 at 19.5
(DESI Bright Galaxy Survey, Hahn+ 2023), 24.6 an arcmin2 at i of 24.5 (HSC, Mandelbaum+ 2018), with the slope of
Yasuda+ 2001 (0.52 between 16 and 18, 0.6 brighter than 16) and 0.27 beyond."""
EUCLIDEAN_SLOPE = 0.6
COLOUR_TO_R = {"u": -2.2, "g": -0.7, "r": 0.0, "i": 0.4, "z": 0.6, "y": 0.7, "VIS": 0.4, "Y": 0.8, "J": 1.0, "H": 1.3}
"""Band -> magnitude in r minus magnitude in the band, of a typical galaxy."""
COUNTS_SOURCE = "from published counts, within a factor of two"


def brighter_than(mag: float, band: str) -> float:
    """Return how many galaxies per square degree are brighter than a magnitude in a band."""
    r = mag + COLOUR_TO_R.get(band, 0.0)
    mags, counts = np.array(NUMBER_COUNTS).T
    if r < mags[0]:
        return float(counts[0] * 10 ** (EUCLIDEAN_SLOPE * (r - mags[0])))
    return float(10 ** np.interp(r, mags, np.log10(counts)))


def expected_galaxies(configuration: Configuration, description: Description, shards: Sequence[Shard]) -> Figure:
    """Return how many sources the run will have.

    Parameters
    ----------
    configuration : Configuration
    description : Description
    shards : sequence of Shard

    Returns
    -------
    Figure
    """
    selection = configuration.sources
    match selection.catalogue:
        case TableCatalogue() as catalogue:
            return Figure(_rows(UserTable(catalogue), configuration, shards))
        case HatsCatalogue(path=path):
            return _hats(Path(path))
        case VizierCatalogue():
            return Figure(None)
    area = len(shards) * shard_area(shards[0].order)
    match configuration.survey.name:
        case "folder":
            images = FolderSurvey(configuration.survey.folder, description).layouts
            return Figure(len(images), "" if selection.catalogue.kind == "survey" else "one an image")
        case "simulated":
            sky = configuration.survey.simulated
            share = _share(sky.population, selection.mag_min, selection.mag_max)
            return Figure(area * sky.galaxy_density * share, "the density of the simulated sky")
    band = description.reference_band
    density = brighter_than(selection.mag_max, band) - brighter_than(selection.mag_min, band)
    return Figure(area * density, COUNTS_SOURCE)


def _share(population: Population, mag_min: float, mag_max: float) -> float:
    """Return the share of a population's galaxies between two magnitudes."""
    low, high = population.mag_min, population.mag_max
    rate = population.mag_slope * np.log(10)

    def below(mag: float) -> float:
        x = float(np.clip(mag, low, high)) - low
        return float(np.expm1(rate * x) / np.expm1(rate * (high - low)) if abs(rate) > 1e-9 else x / (high - low))

    return max(below(mag_max) - below(mag_min), 0.0)


def _rows(table: UserTable, configuration: Configuration, shards: Sequence[Shard]) -> int:
    """Return how many rows of the user's table lie in the shards; all, where the shards follow from the table."""
    wanted = np.array([shard.pixel for shard in shards])
    number = 0
    for frame in table.frames(["ra", "dec"] if "ra" in table.columns else ["file"]):
        if configuration.sky.footprint.kind == "table" or "ra" not in frame:
            number += len(frame)
            continue
        ra, dec = frame["ra"].to_numpy(), frame["dec"].to_numpy()
        good = valid_position(ra, dec)
        number += int(np.isin(pixels(ra[good], dec[good], shards[0].order), wanted).sum())
    return number


def _hats(folder: Path) -> Figure:
    """Return the number of rows that a HATS catalogue's properties state."""
    rows = (read_properties(folder) or {}).get("hats_nrows", "")
    if rows.isdigit():
        return Figure(int(rows), "all rows of the catalogue, also those outside the footprint")
    return Figure(None)

"""Stamps of galaxies that are put into the images, cut as those of the survey's own sources are."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tuningfork.core.columns.table import shard_table
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import write_table
from tuningfork.injection.images import with_galaxies
from tuningfork.injection.place import Injection
from tuningfork.stamps.mosaic import Mosaic
from tuningfork.stamps.positions import Positions
from tuningfork.stamps.scaling import Scaling
from tuningfork.stamps.shard import describe_stamps, open_again
from tuningfork.stamps.store import StampFiles, new_stamps
from tuningfork.surveys.base import FetchedTile, Image, OwnImages, Survey
from tuningfork.surveys.jobs import reach
from tuningfork.surveys.near import needed
from tuningfork.surveys.transfer.network import Network


def source_rows(injections: Sequence[Injection]) -> pa.Table:
    """Return the galaxies as a table of the stage `sources`.

    Returns
    -------
    pyarrow.Table
    """
    values = {
        "source_id": np.array([one.source_id for one in injections], dtype=np.int64),
        "flags": np.zeros(len(injections), dtype=np.int64),
        "ra": np.array([one.ra for one in injections], dtype=float),
        "dec": np.array([one.dec for one in injections], dtype=float),
        "redshift": np.array([one.galaxy.redshift for one in injections], dtype=float),
        "survey_mag": np.array([one.galaxy.mag for one in injections], dtype=float),
        "survey_radius": np.array([one.listed_radius for one in injections], dtype=float),
    }
    return shard_table("sources", values)


def cut_stamps(
    parameters: Parameters,
    survey: Survey,
    network: Network,
    tiles: Sequence[FetchedTile],
    injections: Sequence[Injection],
    stamps: StampFiles,
) -> None:
    """Put galaxies into the images of tiles and cut their stamps.

    Parameters
    ----------
    parameters : Parameters
        Of the stage inject.
    survey : Survey
    network : Network
    tiles : sequence of FetchedTile
    injections : sequence of Injection
        So far from each other that no stamp shows two.
    stamps : StampFiles
        The store to write.
    """
    description, settings = parameters.survey, parameters.configuration.stamps
    seed, rows = parameters.configuration.seed, source_rows(injections)
    ra, dec, radius = (rows[name].to_numpy() for name in ("ra", "dec", "survey_radius"))
    half = float(reach(rows, settings, description).max())
    near = {tile.name for tile in needed([one.tile for one in tiles], ra, dec, half)}

    def open_band(tile: FetchedTile, band: str) -> Image:
        image = open_again(survey, network, tile, band)
        return with_galaxies(image, tile.name, band, injections, description, seed)

    shape = (rows.num_rows, 2, len(description.bands), settings.size, settings.size)
    with new_stamps(stamps.pixels, shape) as store:
        positions = Positions(ra, dec, OwnImages.of(rows))
        mosaic = Mosaic(store, positions, Scaling(settings, radius), description, open_band)
        mosaic.build([tile for tile in tiles if tile.name in near])
        values = describe_stamps(mosaic, rows)
    write_table(
        stamps.table,
        shard_table("stamps", values, description.bands),
        bands=description.bands,
        reference_band=description.reference_band,
    )

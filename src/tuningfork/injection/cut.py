"""Stamps of injected galaxies, cut in the same way as those of the survey's sources."""

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
    """Return the galaxies as a table with the columns of the stage `sources`.

    Returns
    -------
    pyarrow.Table
    """
    values = {
        "source_id": np.array([injection.source_id for injection in injections], dtype=np.int64),
        "flags": np.zeros(len(injections), dtype=np.int64),
        "ra": np.array([injection.ra for injection in injections], dtype=float),
        "dec": np.array([injection.dec for injection in injections], dtype=float),
        "redshift": np.array([injection.galaxy.redshift for injection in injections], dtype=float),
        "survey_mag": np.array([injection.galaxy.mag for injection in injections], dtype=float),
        "survey_radius": np.array([injection.listed_radius for injection in injections], dtype=float),
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
    """Inject galaxies into the images of tiles and cut their stamps.

    Parameters
    ----------
    parameters : Parameters
        Of the stage inject.
    survey : Survey
    network : Network
    tiles : sequence of FetchedTile
    injections : sequence of Injection
        The galaxies must be so far from each other that no stamp shows two of them.
    stamps : StampFiles
        The stamp store to write.
    """
    description, settings = parameters.survey, parameters.configuration.stamps
    seed, rows = parameters.configuration.seed, source_rows(injections)
    ra, dec, radius = (rows[name].to_numpy() for name in ("ra", "dec", "survey_radius"))
    half = float(reach(rows, settings, description).max())
    near = {tile.name for tile in needed([fetched.tile for fetched in tiles], ra, dec, half)}

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

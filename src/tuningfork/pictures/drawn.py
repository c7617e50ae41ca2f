"""Simulated galaxies drawn as pictures and read back, from which the calibration for pictures is learned."""

from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.config import Configuration
from tuningfork.core.description import Description
from tuningfork.core.files import new_array
from tuningfork.core.running.progress import track
from tuningfork.core.seeds import generator_for
from tuningfork.core.tables import write_table
from tuningfork.stamps.store import StampFiles
from tuningfork.training.sets.parts import simulate_galaxy
from tuningfork.training.sets.pictures import as_pictures

CALIBRATION_SPLITS = ("validation", "test")
"""What is learned from, and what is tested on."""


def draw_part(part: StampFiles, number: int, band: str, configuration: Configuration, description: Description) -> None:
    """Write a part of a training set with galaxies as they come back from pictures, in one band.

    Parameters
    ----------
    part : StampFiles
        The store that is made: `number` rows for each of `CALIBRATION_SPLITS`, in turn.
    number : int
    band : str
    configuration : Configuration
    description : Description
    """
    size, band_index = configuration.stamps.size, description.bands.index(band)
    columns = ("pixel_scale", f"sky_noise_{band}", f"psf_fwhm_{band}")
    rows: list[dict[str, Any]] = []
    with new_array(part.pixels, (2 * number, 2, 1, size, size), np.float32) as pixels:
        for index in track(range(2 * number), "pictures", 2 * number):
            generator = generator_for(configuration.seed, "pictures", index)
            stamp, row = simulate_galaxy(generator, configuration.simulate, description, configuration.stamps)
            image = stamp[:1, band_index : band_index + 1]
            imaging = {name: np.array([row[name]], dtype=float) for name in columns}
            as_pictures(image, imaging, band, 1.0, generator)
            pixels[index, 0], pixels[index, 1] = image[0], imaging[columns[1]][0] ** -2
            seen = {name: float(values[0]) for name, values in imaging.items()}
            rows.append({"index": index, "split": CALIBRATION_SPLITS[index % 2]} | row | seen)
    arrays = {name: pa.array([row[name] for row in rows], from_pandas=True) for name in rows[0]}
    write_table(part.table, pa.table(arrays), bands=[band], reference_band=band)

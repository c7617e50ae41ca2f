"""How well bars are measured on pictures: simulated galaxies, drawn as pictures, through the same measurement."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.calibrate.held_out import held_out
from tuningfork.core.config import Configuration
from tuningfork.core.description import Description
from tuningfork.core.files import new_array
from tuningfork.core.progress import track
from tuningfork.core.seeds import generator_for
from tuningfork.core.tables import write_table
from tuningfork.evaluate.bars import combined_names, learn_bars, measured, published_names, score
from tuningfork.networks.ensemble import Ensemble
from tuningfork.pictures.measure import digests
from tuningfork.stamps.picture.stamp import STRETCH
from tuningfork.training.sets.parts import simulate_galaxy
from tuningfork.training.sets.pictures import as_pictures

SPLITS = ("validation", "test")


def calibrate_pictures(
    number: int, ensemble: Ensemble, configuration: Configuration, description: Description
) -> dict[str, Any]:
    """Return the calibrations and weights for pictures, learnt on simulated galaxies, and figures on others.

    Parameters
    ----------
    number : int
        Galaxies to learn from, and as many to test on.
    ensemble : Ensemble
        Of morphology networks that read one band.
    configuration : Configuration
        Its population and survey are simulated; no network may have learnt from its seed.
    description : Description
        Of the survey.

    Returns
    -------
    dict
        JSON values: `bar_calibration` and `bar_combination`, which `tuningfork measure-folder` reads, `bars` with the
        figures of every estimator, and where they come from.
    """
    with TemporaryDirectory() as folder:
        part = Path(folder) / "part-0.parquet"
        draw_part(part, number, ensemble.reference_band, configuration, description)
        frame = held_out([part], ensemble, configuration)
    method = configuration.bars.method
    learnt = learn_bars(frame, method)
    figures = score(frame, measured(frame, learnt, method), learnt, configuration.seed)
    names = published_names(method)
    lengths = {new: learnt.lengths[old].as_dict() for old, new in combined_names(method).items()}
    return {
        "bar_calibration": lengths | {"axis_ratio": learnt.axis_ratio.as_dict()},
        "bar_combination": learnt.combination.as_dict(),
        "bars": {names.get(name, name): one for name, one in figures.items()},
        "networks": digests(ensemble),
        "stretch": STRETCH,
        "galaxies": number,
        "seed": configuration.seed,
    }


def draw_part(table: Path, number: int, band: str, configuration: Configuration, description: Description) -> None:
    """Write a part of a training set with galaxies as they come back from pictures, in one band.

    Parameters
    ----------
    table : Path
        The table that is made; its stamps are written beside it. `number` rows for each of `SPLITS`, in turn.
    number : int
    band : str
    configuration : Configuration
    description : Description
    """
    size, place = configuration.stamps.size, description.bands.index(band)
    columns = ("pixel_scale", f"sky_noise_{band}", f"psf_fwhm_{band}")
    rows: list[dict[str, Any]] = []
    with new_array(table.with_suffix(".npy"), (2 * number, 2, 1, size, size), np.float32) as pixels:
        for index in track(range(2 * number), "pictures", 2 * number):
            generator = generator_for(configuration.seed, "pictures", index)
            stamp, row = simulate_galaxy(generator, configuration.simulate, description, configuration.stamps)
            image, own = stamp[:1, place : place + 1], {name: np.array([row[name]], dtype=float) for name in columns}
            as_pictures(image, own, band, 1.0, generator)
            pixels[index, 0], pixels[index, 1] = image[0], own[columns[1]][0] ** -2
            seen = {name: float(values[0]) for name, values in own.items()}
            rows.append({"index": index, "split": SPLITS[index % 2]} | row | seen)
    arrays = {name: pa.array([row[name] for row in rows], from_pandas=True) for name in rows[0]}
    write_table(table, pa.table(arrays), bands=[band], reference_band=band)

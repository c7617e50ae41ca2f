"""Images that the user provides for the simulation, .npy or FITS: checked, of limited size, and read whole."""

from pathlib import Path

import fitsio
import numpy as np

from tuningfork.core.errors import InputError
from tuningfork.core.files import map_array

MAX_PLANE_VALUES = 50_000_000
"""Values that are read at most, of all files together."""
PLANE_ENDINGS = (".npy", ".fits", ".fit", ".fits.fz", ".fits.gz")


def read_planes(path: Path, what: str, room: int = MAX_PLANE_VALUES) -> np.ndarray:
    """Return the array in a file.

    Parameters
    ----------
    path : Path
        .npy, or FITS, of which the first image is taken.
    what : str
        The configuration's key, for messages.
    room : int
        Largest number of values.

    Returns
    -------
    ndarray
        float32.

    Raises
    ------
    InputError
        The file is missing, unreadable, too large, or has values that are not finite.
    """
    try:
        if path.suffix == ".npy":
            array = map_array(path)
            _require_room(array.shape, path, what, room)
        else:
            with fitsio.FITS(str(path)) as file:
                image = next((unit for unit in file if unit.has_data() and unit.get_exttype() == "IMAGE_HDU"), None)
                if image is None:
                    raise InputError(f"{what}: {path}: no image in it")
                _require_room(tuple(image.get_dims()), path, what, room)
                array = image.read()
        values = np.asarray(array, dtype=np.float32)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{what}: {path}: not a readable .npy or FITS image ({error})") from None
    if not np.isfinite(values).all():
        raise InputError(f"{what}: {path}: some values are not finite; leave out planes with masked pixels")
    return values


def _require_room(shape: tuple[int, ...], path: Path, what: str, room: int) -> None:
    if np.prod(shape, dtype=float) > room:
        raise InputError(
            f"{what}: {path}: {tuple(int(n) for n in shape)} values are more than can be kept ({MAX_PLANE_VALUES} in all files "
            "together); give fewer or smaller images"
        )

"""The saturated pixels of an SDSS frame, from the field's fpM file.

The photometric pipeline interpolates over saturated pixels, so that a frame shows some thousand counts there, and no
sign that they are not real; bright unsaturated stars have more. Only the mask of the pipeline tells.

An fpM file has one table for each kind of mask. A row is a connected region: `NSPAN` spans along rows, each of three
big-endian short integers, the row and the first and last column.
(https://data.sdss.org/datamodel/files/PHOTO_REDUX/RERUN/RUN/objcs/CAMCOL/fpM.html)
"""

import warnings
from pathlib import Path

import fitsio
import numpy as np

from tuningfork.core.errors import InputError

SATURATED_TABLE = 2
"""HDU of the regions of the mask S_MASK_SATUR, number 1; that of number 0 is HDU 1."""
SPAN_BYTES = 6


def read_saturated(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Return which pixels of a frame are saturated.

    Parameters
    ----------
    path : Path
        The fpM file of the frame's field and band.
    shape : tuple of int
        Height and width of the frame.

    Returns
    -------
    ndarray of bool
        (H, W)

    Raises
    ------
    InputError
        If the file cannot be read, or is not the mask of a frame of this shape.
    """
    try:
        with warnings.catch_warnings(), fitsio.FITS(str(path), upper=True) as file:
            # The header does not state the length of the variable columns.
            warnings.simplefilter("ignore", fitsio.FITSRuntimeWarning)
            table = file[SATURATED_TABLE]
            regions = table.read(columns=["NSPAN", "S"]) if table.get_nrows() else []
        spans = [_spans(region["S"], int(region["NSPAN"])) for region in regions]
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        raise _fault(path, " ".join(str(error).split())) from None
    saturated = np.zeros(shape, dtype=bool)
    for row, first, last in np.concatenate([np.empty((0, 3), int), *spans]).tolist():
        if not (0 <= row < shape[0] and 0 <= first <= last < shape[1]):
            raise _fault(path, f"row {row}, columns {first} to {last} of a frame of {shape[1]} x {shape[0]} pixels")
        saturated[row, first : last + 1] = True
    return saturated


def _spans(content: np.ndarray, number: int) -> np.ndarray:
    stored = np.asarray(content, dtype=np.uint8).tobytes()
    return np.frombuffer(stored[: number * SPAN_BYTES], dtype=">i2").reshape(number, 3).astype(int)


def _fault(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: not the mask of a frame of SDSS ({reason}); delete it and run again")

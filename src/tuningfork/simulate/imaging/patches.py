"""Empty patches of the real sky, whose pixels are the noise of the simulated images."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from tuningfork.core.description import Description
from tuningfork.core.errors import InputError
from tuningfork.core.statistics import MAD_TO_SIGMA
from tuningfork.simulate.light.planes import MAX_PLANE_VALUES, PLANE_ENDINGS, read_planes

PATCHES_KEY = "simulate.sky_patches"
MIN_PATCH_SIDE, MAX_PATCH_FILES = 32, 10_000


class SkyPatches:
    """Sky without sources, background subtracted.

    Parameters
    ----------
    folder : str
        Folder of .npy or FITS files: (H, W) for a survey of one band, or (B, H, W); flux units and pixels of the
        survey.
    description : Description

    Raises
    ------
    InputError
        There is no such folder or file, or a file cannot be used.
    """

    def __init__(self, folder: str, description: Description) -> None:
        self.planes: list[np.ndarray] = []
        room = MAX_PLANE_VALUES
        for path in patch_files(folder):
            planes = read_planes(path, PATCHES_KEY, room)
            room -= planes.size
            planes = planes[None] if planes.ndim == 2 else planes
            if planes.ndim != 3 or len(planes) != len(description.bands) or min(planes.shape[1:]) < MIN_PATCH_SIDE:
                raise InputError(
                    f"{PATCHES_KEY}: {path}: shape {planes.shape}; expected ({len(description.bands)}, H, W) with sides of at "
                    f"least {MIN_PATCH_SIDE} pixels"
                )
            self.planes.append(planes)
        self.noise = [_noise(planes) for planes in self.planes]
        silent = [path for path, noise in zip(patch_files(folder), self.noise, strict=True) if not (noise > 0).all()]
        if silent:
            raise InputError(f"{PATCHES_KEY}: {silent[0]}: a band without noise; expected pixels of the sky")

    @staticmethod
    def of(folder: str, description: Description) -> "SkyPatches":
        """Return the patches; a process reads them once."""
        return _read(folder, description.model_dump_json())

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the planes of one file and their noise.

        Parameters
        ----------
        rng : numpy.random.Generator

        Returns
        -------
        planes : ndarray
            (B, H, W), flux units.
        noise : ndarray
            (B,), flux units.
        """
        place = int(rng.integers(len(self.planes)))
        return self.planes[place], self.noise[place]


def patch_files(folder: str) -> list[Path]:
    """Return the files of a folder of patches, by name.

    Raises
    ------
    InputError
        There is no such folder, or none or too many files are in it.
    """
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"{PATCHES_KEY}: {folder}: no such folder")
    files = sorted(file for file in path.iterdir() if file.name.endswith(PLANE_ENDINGS))
    if not 1 <= len(files) <= MAX_PATCH_FILES:
        raise InputError(
            f"{PATCHES_KEY}: {folder}: {len(files)} files {', '.join(PLANE_ENDINGS)}; expected 1 to {MAX_PATCH_FILES}"
        )
    return files


def cut_patch(rng: np.random.Generator, planes: np.ndarray, width: int, together: int = 1) -> np.ndarray:
    """Return a square of the sky at a random position, turned or mirrored at random.

    A square wider than the planes is folded back at their edges.

    Parameters
    ----------
    rng : numpy.random.Generator
    planes : ndarray
        (B, H, W).
    width : int
        Of the square, in its own pixels.
    together : int
        Pixels of the planes on a side that make one of the square; their fluxes are added.

    Returns
    -------
    ndarray
        float32 (B, width, width).
    """
    needed = width * together
    rows, columns = (_folded(int(rng.integers(2 * size)), needed, size) for size in planes.shape[1:])
    square = planes[:, rows[:, None], columns]
    square = np.rot90(square, int(rng.integers(4)), axes=(1, 2))
    if together > 1:
        square = square.reshape(len(planes), width, together, width, together).sum(axis=(2, 4))
    return np.ascontiguousarray(square, dtype=np.float32)


def _folded(first: int, needed: int, size: int) -> np.ndarray:
    """Return `needed` indices, from `first` on, of an axis of `size` that runs back and forth without end."""
    if needed <= size:
        # No fold is needed: forwards or, for the second half of the places, backwards.
        start = first % (size - needed + 1)
        places = np.arange(start, start + needed)
        return places if first < size else places[::-1]
    place = np.arange(first, first + needed) % (2 * size)
    return np.minimum(place, 2 * size - 1 - place)


def _noise(planes: np.ndarray) -> np.ndarray:
    """Return the noise (B,) from the median absolute deviation, which faint unmasked sources hardly change."""
    deviation = np.abs(planes - np.median(planes, axis=(1, 2), keepdims=True))
    return np.asarray(MAD_TO_SIGMA * np.median(deviation, axis=(1, 2)), dtype=float)


@lru_cache(maxsize=1)
def _read(folder: str, description: str) -> SkyPatches:
    return SkyPatches(folder, Description.model_validate_json(description))

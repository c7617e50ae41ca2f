"""From a stamp in the survey's flux unit to the input of the networks, in units of pixels and noise.

The image is divided by the sky noise of its band and compressed with arcsinh. In addition the networks get a vector of
conditions: the wings and the width of the PSF (which a profile fit would need, Tuccillo+ 2018, Li+ 2022), and the
growth curve, colours, moments and concentration of the stamp, which nearly determine magnitude, size and Sersic index.
The conditions do not change when the stamp is turned or mirrored.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tuningfork.core.errors import InputError

APERTURE_RADII = (1.5, 3.0, 6.0, 10.0, 16.0, 24.0, 36.0, 50.0, 64.0)
"""Radii of the circular apertures of the growth curve (px)."""
MOMENT_RADII = (6.0, 12.0, 24.0, 48.0)
"""Radii within which second moments are taken (px)."""
ORIENTATIONS = 8
"""Number of turns and mirror images of a square."""


def conditions_size(bands: int, profile: bool = True) -> int:
    """Return the length of the vector of conditions for `bands` bands.

    Its last part, `profile`, holds the moments and the steps of the growth curve in the reference band.
    """
    return 1 + bands * (3 + len(APERTURE_RADII)) + (2 * len(MOMENT_RADII) + len(APERTURE_RADII) - 1 if profile else 0)


def conditions_of(place: int, bands: int) -> list[int]:
    """Return which conditions of a network for several bands are those of one band alone, without `profile`.

    Parameters
    ----------
    place : int
        Index of that band among the bands.
    bands : int
        Number of bands.

    Returns
    -------
    list of int
    """
    facts = [0, *(1 + part * bands + place for part in range(3))]
    growth = 1 + 3 * bands + place * len(APERTURE_RADII)
    return [*facts, *range(growth, growth + len(APERTURE_RADII))]


def measurable(columns: pa.Table | Mapping[str, Any], reference_band: str) -> np.ndarray:
    """Return which rows have a stamp that the networks can read: noise and PSF in the reference band are known.

    Parameters
    ----------
    columns : pyarrow.Table or mapping
        N rows of a stamp store or of a training set.
    reference_band : str

    Returns
    -------
    ndarray
        bool (N,)

    Raises
    ------
    InputError
        A column is missing.
    """
    good = np.ones(len(_floats(columns, "pixel_scale")), dtype=bool)
    for name in (f"sky_noise_{reference_band}", f"psf_fwhm_{reference_band}", "psf_beta", "pixel_scale"):
        values = _floats(columns, name)
        good &= np.isfinite(values) & (values > 0)
    known = columns.column_names if isinstance(columns, pa.Table) else columns
    if "valid_fraction" in known:
        good &= _floats(columns, "valid_fraction") > 0
    return good


def prepare(
    stamps: np.ndarray, columns: pa.Table | Mapping[str, Any], bands: Sequence[str], reference_band: str
) -> tuple[Tensor, Tensor]:
    """Turn stamps into the networks' input.

    Parameters
    ----------
    stamps : ndarray
        float32 (N, 2, B, S, S): image in flux units and inverse variance, bands in the order of `bands`.
    columns : pyarrow.Table or mapping
        The N rows' `pixel_scale`, `psf_beta`, `psf_fwhm_{band}` (arcsec) and `sky_noise_{band}` (flux units).
    bands : sequence of str
    reference_band : str

    Returns
    -------
    inputs : Tensor
        float32 (N, B, S, S): arcsinh(flux / sky noise), zero where there are no data or the band is missing.
    conditions : Tensor
        float32 (N, C), see :func:`conditions_size`. All are finite; in rows that are not :func:`measurable` they have
        no meaning.

    Raises
    ------
    InputError
        The stamps have another number of bands, or a column is missing.
    """
    if stamps.ndim != 5 or stamps.shape[1] != 2 or stamps.shape[2] != len(bands):
        raise InputError(f"stamps of shape {stamps.shape}: expected (N, 2, {len(bands)}, S, S) for bands {list(bands)}")
    image = np.where(stamps[:, 1] > 0, stamps[:, 0], np.float32(0))
    return prepare_images(image, columns, bands, reference_band)


def prepare_images(
    images: np.ndarray, columns: pa.Table | Mapping[str, Any], bands: Sequence[str], reference_band: str
) -> tuple[Tensor, Tensor]:
    """Turn images without inverse variances into the networks' input.

    Parameters
    ----------
    images : ndarray
        (N, B, S, S), flux units; zero where there are no data.
    columns : pyarrow.Table or mapping
        See :func:`prepare`.
    bands : sequence of str
    reference_band : str

    Returns
    -------
    inputs, conditions : Tensor
        See :func:`prepare`.
    """
    noise = np.stack([_floats(columns, f"sky_noise_{band}") for band in bands], axis=1)
    width = np.stack([_floats(columns, f"psf_fwhm_{band}") for band in bands], axis=1)
    width = width / _floats(columns, "pixel_scale")[:, None]
    present = np.isfinite(noise) & (noise > 0) & np.isfinite(width) & (width > 0)
    scale = np.where(present, 1 / np.where(present, noise, 1), 0).astype(np.float32)
    signal = images * scale[:, :, None, None]
    if not np.isfinite(signal.sum(dtype=np.float64)):
        signal[~np.isfinite(signal)] = 0
    beta = _floats(columns, "psf_beta")
    wings = 1 / np.where(np.isfinite(beta) & (beta > 0), beta, np.inf)
    conditions = _conditions(torch.from_numpy(signal), wings, present, noise, width, list(bands).index(reference_band))
    # NumPy's arcsinh is many times faster than torch's on a CPU.
    return torch.from_numpy(np.arcsinh(signal, out=signal)), conditions


def _floats(columns: pa.Table | Mapping[str, Any], name: str) -> np.ndarray:
    try:
        values = columns[name]
    except KeyError:
        raise InputError(f"the table of the stamps lacks the column {name}; make it again with this version") from None
    if isinstance(values, pa.ChunkedArray | pa.Array):
        values = pa.chunked_array([values]) if isinstance(values, pa.Array) else values
        values = values.to_numpy()
    return np.asarray(values, dtype=np.float64)


def _conditions(
    signal: Tensor, wings: np.ndarray, present: np.ndarray, noise: np.ndarray, width: np.ndarray, reference: int
) -> Tensor:
    """Return the conditions (N, C) of the signal (N, B, S, S) in units of the noise."""
    known = present[:, reference]
    width = np.where(present, width, np.where(known, width[:, reference], 3.0)[:, None])
    noise = np.where(present, noise, np.where(known, noise[:, reference], 1.0)[:, None])
    seeing = np.log(width)
    depth = np.log(noise / noise[:, reference][:, None])
    facts = torch.from_numpy(np.concatenate([wings[:, None], seeing, depth, present], axis=1).astype(np.float32))
    rows, bands, size, _ = signal.shape
    # One matrix product for all sums, because few columns cost nearly as much as many.
    sums = signal.reshape(rows * bands, -1) @ _sums(size)
    sums = sums.reshape(rows, bands, -1)
    growth = torch.asinh(sums[..., : len(APERTURE_RADII)])
    moments = _moments(sums[:, reference, len(APERTURE_RADII) :], size)
    # The differences are linear in the growth curve but small; on a scale of their own they reveal the Sersic index.
    steps = growth[:, reference].diff(dim=1)
    return torch.cat([facts, growth.reshape(rows, -1), moments, steps], dim=1)


def _moments(sums: Tensor, size: int) -> Tensor:
    """Return the scaled second moment and the ellipticity within each radius, shape (N, 2 K), from their sums."""
    total, squares, plus, cross = sums.chunk(4, dim=1)
    # The noise of the flux within the aperture keeps the ratios finite in an empty aperture.
    floor = 5 * _pixels(size).sqrt()
    flux = torch.maximum(total, floor)
    radius = torch.tensor(MOMENT_RADII)
    spread = (squares / flux / radius**2).clamp(-1, 1)
    ellipticity = torch.hypot(plus, cross) / torch.maximum(squares.abs(), flux * radius**2 / 20)
    return torch.cat([spread, ellipticity.clamp(0, 1)], dim=1)


def _grid(size: int) -> tuple[Tensor, Tensor]:
    """Return the coordinates (px) relative to the centre of every pixel, each of shape (S * S,)."""
    axis = torch.arange(size, dtype=torch.float32) - size // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x.reshape(-1), y.reshape(-1)


# Outside of inference mode, so that the cached tensor can be used where derivatives are taken.
@lru_cache(maxsize=4)
@torch.inference_mode(False)
def _sums(size: int) -> Tensor:
    """Return the weights (S * S, R + 4 K) of the pixels in the apertures, and in flux and second moments."""
    x, y = (values[:, None] for values in _grid(size))
    apertures = (torch.hypot(x, y) <= torch.tensor(APERTURE_RADII)).float()
    inside = (torch.hypot(x, y) <= torch.tensor(MOMENT_RADII)).float()
    moments = [inside, inside * (x**2 + y**2), inside * (x**2 - y**2), inside * 2 * x * y]
    return torch.cat([apertures, *moments], dim=1)


@lru_cache(maxsize=4)
@torch.inference_mode(False)
def _pixels(size: int) -> Tensor:
    """Return the number of pixels within each of the radii of the moments."""
    x, y = (values[:, None] for values in _grid(size))
    return (torch.hypot(x, y) <= torch.tensor(MOMENT_RADII)).sum(0).float()


def dihedral(images: Tensor, k: int) -> Tensor:
    """Turn images by k x 90 deg counter-clockwise; for k >= 4 mirror them left-right first.

    "Counter-clockwise" as displayed with row 0 at the bottom: +y turns towards -x.

    Parameters
    ----------
    images : Tensor
        (..., S, S)
    k : int
        From 0 to 7.

    Returns
    -------
    Tensor
        Of the same shape.
    """
    if k >= 4:
        images = images.flip(-1)
    # Row 0 is at the bottom, so the sense of torch.rot90 (row 0 at the top) is reversed.
    return torch.rot90(images, -(k % 4), dims=(-2, -1)) if k % 4 else images


def undo_dihedral(images: Tensor, k: int) -> Tensor:
    """Undo :func:`dihedral`.

    Parameters
    ----------
    images : Tensor
        (..., S, S)
    k : int

    Returns
    -------
    Tensor
        Of the same shape.
    """
    images = torch.rot90(images, k % 4, dims=(-2, -1)) if k % 4 else images
    return images.flip(-1) if k >= 4 else images


def dihedral_angle(angle: np.ndarray, k: int) -> np.ndarray:
    """Return position angles in images after :func:`dihedral`.

    Parameters
    ----------
    angle : ndarray
        deg, from +y counter-clockwise.
    k : int

    Returns
    -------
    ndarray
        Of the same shape, deg, in [0, 180).
    """
    angle = np.asarray(angle)
    return np.mod((-angle if k >= 4 else angle) + 90 * (k % 4), 180)


def undo_dihedral_angle(angle: np.ndarray, k: int) -> np.ndarray:
    """Undo :func:`dihedral_angle`.

    Parameters
    ----------
    angle : ndarray
        deg, from +y counter-clockwise.
    k : int

    Returns
    -------
    ndarray
        Of the same shape, deg, in [0, 180).
    """
    angle = np.asarray(angle) - 90 * (k % 4)
    return np.mod(-angle if k >= 4 else angle, 180)

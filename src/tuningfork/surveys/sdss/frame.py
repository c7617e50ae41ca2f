"""Reading of a corrected frame of SDSS, Data Release 8 or later.

The file holds the sky-subtracted image in nanomaggies, the calibration vector (nanomaggies per count, one value per
column) and a coarse image of the sky in counts with the positions at which to interpolate it. From these follow the
counts that the detector recorded, and from the counts the noise, as the data model of the frame files explains
(https://data.sdss.org/datamodel/files/BOSS_PHOTOOBJ/frames/RERUN/RUN/CAMCOL/frame.html).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.surveys.background import sky_level_and_noise
from tuningfork.surveys.base import Rows
from tuningfork.surveys.sdss.camera import SATURATION_COUNTS

MAX_FRAME_PIXELS = 2**25
"""Pixels of the largest image that is accepted; a frame has 2048 x 1489."""
REMEDY = "delete it and run again"
WCS_KEYS = (
    "CTYPE1",
    "CTYPE2",
    "CUNIT1",
    "CUNIT2",
    "CRPIX1",
    "CRPIX2",
    "CRVAL1",
    "CRVAL2",
    "CD1_1",
    "CD1_2",
    "CD2_1",
    "CD2_2",
)


@dataclass(frozen=True)
class Frame:
    """The content of a frame file.

    Attributes
    ----------
    pixels : ndarray
        Image (H, W), nanomaggies, float32.
    wcs : WCS
    calibration : ndarray or None
        Nanomaggies per count in each column (W,).
    sky : FrameSky or None
    """

    pixels: np.ndarray
    wcs: WCS
    calibration: np.ndarray | None
    sky: "FrameSky | None"

    @classmethod
    def read(cls, path: Path, band: str) -> "Frame":
        """Read a frame file; the compressed file is decompressed once, in memory.

        Raises
        ------
        InputError
            If the file cannot be read or is not a frame of this band.
        """
        try:
            with fitsio.FITS(str(path)) as file:
                header, shape = file[0].read_header(), file[0].get_dims()
                pixels = file[0].read() if len(shape) == 2 and 0 < shape[0] * shape[1] <= MAX_FRAME_PIXELS else None
                calibration = file[1].read() if len(file) > 2 else None
                sky = file[2].read(lower=True) if len(file) > 2 else None
            if pixels is None or str(header.get("FILTER", band)).strip() != band:
                raise InputError(
                    f"{path}: expected an SDSS frame of the band {band}, found another FITS file; {REMEDY}"
                )
            return cls.of_parts(pixels.astype(np.float32), _wcs(header), calibration, sky)
        except (OSError, ValueError, TypeError, IndexError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: not a readable frame of SDSS ({reason}); {REMEDY}") from None

    @classmethod
    def of_parts(
        cls, pixels: np.ndarray, wcs: WCS, calibration: np.ndarray | None, sky: Mapping[str, Any] | np.ndarray | None
    ) -> "Frame":
        """Return a frame from the contents of its HDUs; a calibration that does not fit the image is ignored.

        Parameters
        ----------
        pixels : ndarray
            Image (H, W), nanomaggies, float32.
        wcs : WCS
        calibration : ndarray or None
            Nanomaggies per count in each column (W,).
        sky : mapping, ndarray or None
            Row with `allsky`, `xinterp` and `yinterp`.

        Returns
        -------
        Frame

        Raises
        ------
        ValueError
            If the table of the sky is damaged.
        """
        if calibration is None or sky is None or calibration.shape != pixels.shape[1:]:
            return cls(pixels, wcs, None, None)
        return cls(pixels, wcs, calibration.astype(np.float32), FrameSky.of(sky, pixels.shape))

    def rows(self, gain: float, dark_variance: float, saturated: np.ndarray | None = None) -> Rows:
        """Return a function that reads image and inverse variance (1/nanomaggies^2) a few rows at a time.

        The inverse variance is zero where a pixel is saturated or not finite. Without calibration or sky, the noise is
        measured on the image.

        Parameters
        ----------
        gain : float
            Photo-electrons per count.
        dark_variance : float
            Variance of read-out noise and dark current (counts^2).
        saturated : ndarray of bool, optional
            (H, W), the saturated pixels. Without it, pixels with more counts than `SATURATION_COUNTS` are left out.

        Returns
        -------
        callable
            See :class:`tuningfork.surveys.base.Image`.
        """
        if self.calibration is None or self.sky is None:
            _, noise = sky_level_and_noise(self.pixels[np.isfinite(self.pixels)])
            flat = np.float32(1 / noise**2)

            def plain(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
                pixels = self.pixels[start:stop].copy()
                good = np.isfinite(pixels)
                if saturated is not None:
                    good &= ~saturated[start:stop]
                return pixels, np.where(good, flat, np.float32(0))

            return plain
        factor, sky = self.calibration[None, :], self.sky

        def calibrated(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
            pixels = self.pixels[start:stop].copy()
            with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
                counts = pixels / factor + sky.rows(start, stop)
                variance = (np.clip(counts, 0, None) / np.float32(gain) + np.float32(dark_variance)) * factor**2
                full = counts >= SATURATION_COUNTS if saturated is None else saturated[start:stop]
                good = ~full & np.isfinite(variance) & (variance > 0)
            return pixels, np.divide(1, variance, out=np.zeros_like(pixels), where=good)

        return calibrated


@dataclass(frozen=True)
class FrameSky:
    """The sky under a frame (counts), interpolated linearly between the pixels of a coarse image.

    Attributes
    ----------
    columns : ndarray
        The coarse image, interpolated along its rows: (K, W).
    places : ndarray
        For each row of the frame, its position in `columns`, (H,).
    """

    columns: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, table: Mapping[str, Any] | np.ndarray, shape: tuple[int, ...]) -> "FrameSky":
        """Return the sky of a frame.

        Parameters
        ----------
        table : mapping or ndarray
            Row with `allsky`, `xinterp` and `yinterp`.
        shape : tuple of int
            Height H and width W of the frame.

        Returns
        -------
        FrameSky

        Raises
        ------
        ValueError
            If the table is damaged.
        """
        coarse = np.asarray(table["allsky"], dtype=np.float32)
        coarse = coarse.reshape(coarse.shape[-2:])
        across, along = np.ravel(table["xinterp"]), np.ravel(table["yinterp"])
        if min(coarse.shape) < 2 or not (np.isfinite(across).all() and np.isfinite(along).all()):
            raise ValueError("the table of the sky is damaged")
        if (len(along), len(across)) != shape:
            # A cutout of a frame keeps the positions of the whole frame; the median will do, as the sky hardly varies.
            return cls(np.full((2, shape[1]), np.median(coarse), dtype=np.float32), np.zeros(shape[0]))
        return cls(_linear(coarse, across, 1), along)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return the sky in some rows of the frame.

        Parameters
        ----------
        start, stop : int
            Rows [start, stop).

        Returns
        -------
        ndarray
            float32 (stop - start, W), counts.
        """
        return _linear(self.columns, self.places[start:stop], 0)


def _wcs(header: Mapping[str, Any]) -> WCS:
    """Return the WCS of a frame's header; raise ValueError if a key is missing or has no valid value."""
    for key in WCS_KEYS:
        if key not in header:
            raise ValueError(f"the header has no {key}")
        number = key.startswith(("CR", "CD"))
        if number and not (isinstance(header[key], int | float) and np.isfinite(header[key])):
            raise ValueError(f"{key} = {header[key]!r} is not a number")
    return WCS({key: header[key] for key in WCS_KEYS})


def _linear(values: np.ndarray, positions: np.ndarray, axis: int) -> np.ndarray:
    """Interpolate along one axis; beyond the ends, the value at the end is used."""
    positions = np.clip(positions, 0, values.shape[axis] - 1)
    low = np.minimum(positions.astype(int), values.shape[axis] - 2)
    fraction = (positions - low).astype(np.float32)
    fraction = fraction[:, None] if axis == 0 else fraction
    return np.asarray(np.take(values, low, axis) * (1 - fraction) + np.take(values, low + 1, axis) * fraction)

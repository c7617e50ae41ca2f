"""Folders of scenes: FITS images with a table of sources for the survey `folder`, pictures, and the table of truths."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.wcs import WCS

from second_generator.imaging import ZERO_POINT
from second_generator.model import BANDS
from second_generator.pictures import draw_picture
from second_generator.scenes import Scene, draw_scene

TRUTH, SOURCES, CONFIGURATION = "truth.csv", "sources.csv", "fits.yaml"
FIRST_PLACE, SPACING, COLUMNS = (150.0, 20.0), 0.2, 40
"""Sky position of the first scene (deg); distance between scenes (deg); scenes in a row."""
MAG_ERROR, RADIUS_ERROR = 0.05, 0.08
"""Errors in the table of sources, which is what a catalogue of a survey would say: mag, and standard deviation of ln(radius)."""
UNKNOWN_MAG, UNKNOWN_RADIUS = 17.0, 4.0
"""What the table says about things that are no galaxies (mag, arcsec)."""


def name_of(index: int) -> str:
    """Return the name of a scene, which tells nothing about it."""
    return f"scene-{index:05d}"


def wcs_of(scene: Scene) -> WCS:
    """Return the WCS of a scene: the galaxy lies at its place on the sky, north is turned by the rotation."""
    row, column = divmod(scene.index, COLUMNS)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [FIRST_PLACE[0] + SPACING * column, FIRST_PLACE[1] + SPACING * row]
    wcs.wcs.crpix = [scene.x + 1, scene.y + 1]
    angle, scale = np.deg2rad(scene.conditions.rotation), scene.conditions.pixel_scale / 3600
    # The image's upward direction has the position angle `rotation`; east is 90 deg counter-clockwise from north.
    wcs.wcs.cd = scale * np.array([[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return wcs


def write_fits(scene: Scene, path: Path) -> None:
    """Write a scene as a FITS file with one extension for each band."""
    header = wcs_of(scene).to_header()
    header["MAGZERO"], header["BUNIT"] = ZERO_POINT, "nanomaggy"
    hdus = [fits.PrimaryHDU()]
    for band, plane in zip(BANDS, scene.image, strict=True):
        hdus.append(fits.ImageHDU(plane, header, name=band))
        hdus[-1].header["BAND"] = band
    fits.HDUList(hdus).writeto(path, overwrite=True)


def source_of(scene: Scene, seed: int) -> dict[str, object]:
    """Return the row of a scene in the table of sources."""
    rng = np.random.default_rng([seed, scene.index, 2])
    mag_error, radius_error = MAG_ERROR * rng.standard_normal(), RADIUS_ERROR * rng.standard_normal()
    truth, name = scene.truth, name_of(scene.index)
    ra, dec = wcs_of(scene).wcs.crval
    galaxy = np.isfinite(truth.r_eff)
    radius = truth.r_eff * np.sqrt(truth.axis_ratio) * np.exp(radius_error) if galaxy else UNKNOWN_RADIUS
    mag = truth.mag + mag_error if galaxy else UNKNOWN_MAG
    place = {"source_id": scene.index, "name": name, "file": f"{name}.fits", "ra": ra, "dec": dec}
    return place | {"mag": round(mag, 3), "radius": round(float(radius), 3)}


def draw_scenes(seed: int, number: int) -> Iterator[Scene]:
    """Yield scenes, one after the other."""
    return (draw_scene(seed, index) for index in range(number))


def write_pictures(scenes: Iterable[Scene], seed: int, folder: Path) -> pd.DataFrame:
    """Write scenes as PNG pictures into `pictures/`, and the table of truths.

    Parameters
    ----------
    scenes : iterable of Scene
    seed : int
    folder : Path

    Returns
    -------
    pandas.DataFrame
        The truths, with the place, pixel scale and Q of the pictures.
    """
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    rows = []
    for scene in scenes:
        picture = draw_picture(scene, seed)
        picture.save(folder / "pictures" / f"{name_of(scene.index)}.png")
        seen = {"picture_scale": picture.pixel_scale, "picture_x": picture.x, "picture_y": picture.y}
        rows.append(scene.row() | seen | {"stretch": picture.stretch})
    return _write_truth(rows, folder / TRUTH)


def write_images(scenes: Iterable[Scene], seed: int, folder: Path, template: Path) -> pd.DataFrame:
    """Write scenes as FITS files into `images/`, with a table of sources, a configuration, and the table of truths.

    Parameters
    ----------
    scenes : iterable of Scene
    seed : int
    folder : Path
    template : Path
        The configuration, in which IMAGES and SOURCES stand for the paths.

    Returns
    -------
    pandas.DataFrame
        The truths.
    """
    folder = folder.resolve()
    images, sources = folder / "images", folder / SOURCES
    images.mkdir(parents=True, exist_ok=True)
    rows, listed = [], []
    for scene in scenes:
        write_fits(scene, images / f"{name_of(scene.index)}.fits")
        listed.append(source_of(scene, seed))
        rows.append(scene.row())
    with sources.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(listed[0]))
        writer.writeheader()
        writer.writerows(listed)
    text = template.read_text(encoding="utf-8").replace("IMAGES", str(images)).replace("SOURCES", str(sources))
    (folder / CONFIGURATION).write_text(text, encoding="utf-8")
    return _write_truth(rows, folder / TRUTH)


def _write_truth(rows: list[dict[str, object]], path: Path) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    table.to_csv(path, index=False)
    return table

"""The names of the files in a user's folder, and which image they belong to."""

import hashlib
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from tuningfork.core.errors import ConfigurationError
from tuningfork.core.files import as_text
from tuningfork.surveys.folder.planes.roles import BESIDE, OTHER, ROLE_OF
from tuningfork.surveys.folder.psf_files import PSFEX_ENDING

FITS_ENDINGS = (".fits", ".fit", ".fts")
PACKED_ENDINGS = (".gz", ".bz2", ".fz", ".xz")
UNREAD_ENDINGS = (".z", ".zst", ".lz4", ".lzma", ".zip", ".7z", ".rar")
"""Endings of packed FITS files that are not unpacked."""
PSF_NAME = re.compile(r"(.+)[-_.]psf", re.IGNORECASE | re.DOTALL)
"""Name of the files with the PSF of an image."""
ROLE_NAME = re.compile(rf"(.+)[-_.]({'|'.join(BESIDE)})", re.IGNORECASE | re.DOTALL)
"""Name of the files with the weight, variance, error or mask of an image."""
SKY_NAME = re.compile(r"(.+)[-_.](?:sci|image|img)", re.IGNORECASE | re.DOTALL)
"""Name of the image itself where the others are named in the same way: x_drz_sci.fits and x_drz_wht.fits."""
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".jfif", ".jpe")
UNREAD_PICTURE_ENDINGS = (
    ".tif", ".tiff", ".gif", ".bmp", ".webp", ".jp2", ".j2k", ".j2c", ".jpx", ".jxl", ".heic", ".heif", ".avif", ".asdf",
)  # fmt: skip
"""Endings of pictures, and of images in other formats, that are not read; they are galaxies all the same."""
MAX_LISTED = 10_000
"""Most entries of sub-folders that are looked at for images."""


@dataclass(frozen=True)
class Layout:
    """The files of one image: one file per band, or one for all bands.

    Attributes
    ----------
    name : str
    files : dict
        Band -> path.
    psfs : dict
        Band -> path of the image of its PSF, if there is such a file beside the image.
    beside : dict
        Band -> role (:mod:`tuningfork.surveys.folder.planes.extensions`) -> path of a file beside the image.
    title : str
        The name as the user wrote it; `name` is the same without the characters that a tile cannot have.
    """

    name: str
    files: dict[str, Path]
    psfs: dict[str, Path] = field(default_factory=dict)
    beside: dict[str, dict[str, Path]] = field(default_factory=dict)
    title: str = ""

    @property
    def combined(self) -> bool:
        """Whether one file holds several bands."""
        return len(self.files) > 1 and len(set(self.files.values())) == 1

    @property
    def paths(self) -> list[Path]:
        """The files with the pixels, and those with their weights and masks."""
        return [*self.files.values(), *(path for roles in self.beside.values() for path in roles.values())]


def is_picture(path: Path) -> bool:
    """Return whether a file is a PNG or JPEG, or another picture, by its name."""
    return path.suffix.lower() in PICTURE_ENDINGS + UNREAD_PICTURE_ENDINGS


def stem(path: Path) -> str | None:
    """Return the name of an image file without its suffixes, or None if its name is not that of an image."""
    name = path.name
    if is_picture(path):
        return name[: -len(path.suffix)]
    for ending in PACKED_ENDINGS + UNREAD_ENDINGS:
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    for ending in FITS_ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return None


def safe_name(name: str) -> str:
    """Return a name for a tile: every character that is not a letter, digit, '.', '_', '+' or '-' becomes '_'."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name)


def find_images(folder: Path, bands: list[str]) -> dict[str, Layout]:
    """Return the images in a folder by name, sorted.

    `name-g.fits` and similar names (also with '_' or '.') are one band of the image `name`; any other FITS file, and every
    picture, holds all bands. `name-psf-g.fits` and `name-psf.fits` are the PSF of the image `name`, if there is one, and so
    are PSFEx files of the same names or of that of the image's file, with the ending .psf. `name-weight-g.fits`,
    `name-g-mask.fits` and their like belong to the image in the same way. Links that lead nowhere, and whatever else
    cannot be read, are images all the same: their galaxies are not lost but get a reason.

    Raises
    ------
    ConfigurationError
        If two files are the same band of the same image.
    """
    pattern = re.compile(rf"(.+)[-_.]({'|'.join(map(re.escape, bands))})", re.DOTALL)
    files: dict[str, dict[str, Path]] = {}
    with os.scandir(folder) as entries:
        file_names = sorted((entry.name for entry in entries if not _is_folder(entry)), key=os.fsencode)
    for path in map(folder.joinpath, file_names):
        is_psfex = path.suffix.lower() == PSFEX_ENDING
        base = path.stem if is_psfex else stem(path)
        if not base or base.startswith("."):
            continue
        match = None if is_picture(path) else pattern.fullmatch(base)
        name, bands_of_file = (match[1], [match[2]]) if match else (base, bands)
        if is_psfex and not PSF_NAME.fullmatch(name):
            name += "-psf"
        elif not match and not is_picture(path) and (role := ROLE_NAME.fullmatch(base)):
            # The role may also come after the band.
            inner = pattern.fullmatch(role[1])
            name, bands_of_file = (f"{inner[1]}-{role[2]}", [inner[2]]) if inner else (base, bands)
        for band in bands_of_file:
            other = files.setdefault(name, {}).setdefault(band, path)
            if other is not path:
                raise ConfigurationError(
                    f"survey.folder.images: {as_text(other)} and {as_text(path)} are both the band {band} of the image "
                    f"{as_text(name)}; rename one"
                )
    return _layouts(files)


def images_below(folder: Path) -> list[Path]:
    """Return the images in the sub-folders of a folder, which are not read; of large trees only some.

    Those of a PSF are left out, because a table may name them there.
    """
    found: list[Path] = []
    left = MAX_LISTED
    for place, folders, files in os.walk(folder):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=os.fsencode)[: max(left, 0)]
        if Path(place) != folder:
            paths = [Path(place) / name for name in sorted(files, key=os.fsencode)[: max(left, 0)]]
            found += [path for path in paths if (base := stem(path)) and base[0] != "." and not _of_psf(base)]
            left -= len(files)
        left -= len(folders)
        if left <= 0:
            break
    return found


def _of_psf(base: str) -> bool:
    return re.search(r"(?:^|[-_.])psf(?:[-_.]|$)", base, re.IGNORECASE) is not None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _layouts(files: dict[str, dict[str, Path]]) -> dict[str, Layout]:
    """Return the images among files (name -> band -> path), each with the files that are named after it."""
    psfs = {match[1]: name for name in files if (match := PSF_NAME.fullmatch(name)) and match[1] in files}
    owners = {name: name for name in files} | {match[1]: name for name in files if (match := SKY_NAME.fullmatch(name))}
    roles = {name: match for name in files if (match := ROLE_NAME.fullmatch(name)) and match[1] in owners}
    images = set(files) - set(psfs.values()) - set(roles)
    # A PSFEx file that is named after no image is none itself.
    images -= {name for name in images if any(path.suffix.lower() == PSFEX_ENDING for path in files[name].values())}
    beside: dict[str, dict[str, dict[str, Path]]] = {}
    for name, match in roles.items():
        role = ROLE_OF[match[2].lower()]
        for band, path in files[name].items() if role != OTHER else ():
            beside.setdefault(owners[match[1]], {}).setdefault(band, {})[role] = path
    tiles = _tile_names(images)
    layouts = [
        Layout(
            tiles[name], files[name], files.get(psfs.get(name, ""), {}), beside.get(name, {}), _title(name, tiles[name])
        )
        for name in images
    ]
    return {layout.name: layout for layout in sorted(layouts, key=lambda layout: layout.name)}


def _tile_names(names: set[str]) -> dict[str, str]:
    """Return a name of a tile for each name of an image; a part of its checksum keeps those apart that would be the same."""
    plain = {name: safe_name(name) for name in names}
    number = Counter(plain.values())
    return {
        name: safe if safe == name or (name.isascii() and number[safe] == 1) else f"{safe}-{_digest(name)}"
        for name, safe in plain.items()
    }


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:8]


def keys_of(name: str) -> list[str]:
    """Return the ways in which a table may write the name of a file: also if its bytes are Latin-1, or its accents apart.

    Parameters
    ----------
    name : str
        As the operating system gives it.

    Returns
    -------
    list of str
    """
    latin = os.fsencode(name).decode("latin-1")
    return list(dict.fromkeys([name, as_text(name), *(normalize("NFC", text) for text in (as_text(name), latin))]))


def _title(name: str, tile: str) -> str:
    return tile if tile == safe_name(name) else as_text(name)

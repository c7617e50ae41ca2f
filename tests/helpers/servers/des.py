"""A server like those of the Dark Energy Survey: tiles as at NCSA, catalogue and list of tiles as at the Data Lab."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.io import fits

from helpers.servers.base import NOT_FOUND, Answer, Request, Service
from helpers.servers.tap import Tap

DATA, TAP = "/despublic", "/tap"


class Des(Service):
    """Answers for the archive of tiles and for the TAP service.

    Parameters
    ----------
    objects : mapping
        Columns of des_dr2.main.
    tiles : sequence of mapping
        Rows of ivoa_des_dr2.siav1, see :func:`listed`.

    Attributes
    ----------
    files : dict
        Path -> content.
    tap : Tap
    """

    def __init__(self, objects: Mapping[str, Any], tiles: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        columns = {key: [row[key] for row in tiles] for key in tiles[0]}
        self.tap = Tap({"des_dr2.main": objects, "ivoa_des_dr2.siav1": columns}, path=TAP)

    @property
    def settings(self) -> dict[str, str]:
        """The section survey.des of a configuration that uses this server."""
        return {"data_url": self.url + DATA, "tap_url": self.url + TAP}

    def answer(self, request: Request) -> Answer:
        """Return a file or the TAP service's answer."""
        if request.path.startswith(f"{TAP}/"):
            return self.tap.answer(request)
        content = self.files.get(request.path)
        return Answer(content, headers={"Content-Type": "application/fits"}) if content is not None else NOT_FOUND

    def add(self, file: str, image: np.ndarray, mask: np.ndarray, weight: np.ndarray, header: fits.Header) -> None:
        """Serve the file of one band of a tile."""
        name = re.split("_", file, maxsplit=1)[0]
        self.files[f"{DATA}/dr2_tiles/{name}/{file}"] = packed(image, mask, weight, header)


def listed(name: str, corners: Sequence[tuple[float, float]], files: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the rows of the list of images for a tile: each extension of each band's file, and of the file that still
    has its background."""
    places = {
        f"{axis}{k}": corner[j] for k, corner in enumerate(corners, start=1) for j, axis in enumerate(("ra", "dec"))
    }
    return [
        {"object": name, "filter": band, "fileref": kind, "obs_pub_did": f"ivo://datalab.noao/des_dr2/{kind}#{number}"}
        | {"access_url": f"https://datalab.noirlab.edu/svc/cutout?col=des_dr2&siaRef={kind}&extn={number}"}
        | places
        for band, file in files.items()
        for kind in (file, file.replace(".fits", "_nobkg.fits"))
        for number in (1, 2, 3)
    ]


def header_of(crval: tuple[float, float], crpix: tuple[float, float], band: str) -> fits.Header:
    """Return what matters of a tile's header."""
    header = fits.Header()
    for axis, (value, pixel) in enumerate(zip(crval, crpix, strict=True), start=1):
        header[f"CTYPE{axis}"], header[f"CUNIT{axis}"] = ("RA---TAN", "DEC--TAN")[axis - 1], "deg"
        header[f"CRVAL{axis}"], header[f"CRPIX{axis}"] = value, pixel
        for other in (1, 2):
            header[f"CD{axis}_{other}"] = {(1, 1): -7.305555555556e-05, (2, 2): 7.305555555556e-05}.get(
                (axis, other), 0.0
            )
    header["BAND"], header["MAGZERO"] = band, 30.0
    return header


def packed(image: np.ndarray, mask: np.ndarray, weight: np.ndarray, header: fits.Header) -> bytes:
    """Return the packed file with the extensions SCI, MSK and WGT."""
    planes = [("SCI", image.astype(np.float32)), ("MSK", mask.astype(np.int32)), ("WGT", weight.astype(np.float32))]
    method = {"compression_type": "RICE_1", "quantize_method": 2, "quantize_level": 16.0, "dither_seed": 1}
    content = io.BytesIO()
    packs = [fits.CompImageHDU(values, header, name=name, **method) for name, values in planes]
    fits.HDUList([fits.PrimaryHDU(), *packs]).writeto(content)
    return content.getvalue()

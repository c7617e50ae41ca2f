"""Euclid's files: their names and addresses, and mosaics of full size."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tuningfork.core.errors import InputError
from tuningfork.surveys.euclid.products import Product, checked_url, corners


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/ibe/data/{name}", "ftp://irsa.ipac.caltech.edu/{name}", "file:///etc/{name}",
        "https://irsa.ipac.caltech.edu@example.org/{name}", "https://irsa.ipac.caltech.edu:8080/{name}",
        "https://irsa.ipac.caltech.edu.example.org/{name}", "https://irsa.ipac.caltech.edu/{name}/../../passwd",
        "https://[irsa/{name}",
    ],
)  # fmt: skip
def test_addresses_that_lead_elsewhere_are_refused(url: str) -> None:
    name = "EUC_MER_BGSUB-MOSAIC-VIS_TILE102158277-27C4DD_20241025T124812.358980Z_00.00.fits"
    with pytest.raises(InputError, match="expected a MER mosaic on the same host"):
        checked_url(url.format(name=name), "https://irsa.ipac.caltech.edu")
    good = f"https://irsa.ipac.caltech.edu/ibe/data/euclid/q1/MER/102158277/VIS/{name}"
    assert checked_url(good, "https://irsa.ipac.caltech.edu") == good


def test_names_of_real_files() -> None:
    product = Product.parse("EUC_MER_MOSAIC-NIR-H-RMS_TILE102158277-797A7D_20241025T122514.635323Z_00.00.fits")
    assert product is not None
    assert (product.tile, product.band, product.role) == ("102158277", "H", "noise")
    for name in (
        "EUC_MER_BGSUB-MOSAIC-CFIS-R_TILE102158277-CA7AB3_20241025T120300.417407Z_00.00.fits",
        "EUC_MER_BGMOD-NIR-H_TILE102158277-48F2AF_20241025T122514.635142Z_00.00.fits",
        "EUC_MER_BGSUB-MOSAIC-VIS_TILE102158277-27C4DD_20241025T124812.358980Z_00.00.fits/../x",
    ):
        assert Product.parse(name) is None


def test_regions_of_the_real_service() -> None:
    region = "POLYGON ICRS 274.366 64.765 273.115 64.765 273.127 64.232 274.354 64.232 274.366 64.765"
    assert corners(region) == ((274.366, 64.765), (273.115, 64.765), (273.127, 64.232), (274.354, 64.232))
    assert corners("CIRCLE ICRS 10 20 1") == corners("POLYGON ICRS 1 2 3 x 5 6") == corners("") == ()


BIG = """
import resource, sys
from pathlib import Path
import numpy as np
from tuningfork.surveys.euclid.mosaic import open_mosaic
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
paths = [Path(name) for name in sys.argv[1:]]
image = open_mosaic(paths[0], paths[1], paths[2], None, 23.9, 0.2)
for row in range(0, 19_200, 3_000):
    flux, weight = image.rows(row, row + 128)
    assert flux.shape == (128, 19_200) and not flux.any() and (weight > 0).all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_a_mosaic_of_full_size_is_never_in_memory(tmp_path: Path) -> None:
    """Three sparse files of 1.47 GB each: seven strips of 128 rows cost what a strip costs."""
    header = fits.Header({"MAGZERO": 24.6, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 273.7, "CRVAL2": 64.5})
    header.update({"CDELT1": -0.1 / 3600, "CDELT2": 0.1 / 3600, "CRPIX1": 9600.5, "CRPIX2": 9600.5})
    paths = []
    for name, dtype in (("image", np.float32), ("noise", np.int16), ("mask", np.int32)):
        small = fits.PrimaryHDU(np.zeros((1, 1), dtype), header)
        small.header["NAXIS1"] = small.header["NAXIS2"] = 19_200
        if name == "noise":
            small.header["BZERO"] = 1
        text = small.header.tostring().encode()
        paths.append(tmp_path / f"{name}.fits")
        with paths[-1].open("wb") as file:
            file.write(text)
            file.truncate(len(text) + -(-(19_200**2) * np.dtype(dtype).itemsize // 2880) * 2880)
    found = subprocess.run([sys.executable, "-c", BIG, *map(str, paths)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert float(found.stdout) < 250

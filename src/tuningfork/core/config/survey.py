"""The survey and the settings of each survey."""

from typing import Literal, Self

from pydantic import model_validator

from tuningfork.core.config.base import ADDRESS, ConflictError, Section, option
from tuningfork.core.config.population import SkyPopulation

MAX_BAND = 32
"""Longest name of a band, which is a part of the names of files and columns."""


class SimulatedSky(Section):
    """A sky rendered with GalSim, with known truth; it needs no downloads."""

    bands: list[Literal["g", "r", "i"]] = option(
        ["g", "r", "i"], "bands to draw, in this order; they must include r, the reference band", min_length=1
    )
    galaxy_density: float = option(2000.0, "galaxies per square degree", unit="1/deg2", gt=0, le=100_000)
    star_density: float = option(3000.0, "stars per square degree", unit="1/deg2", ge=0, le=200_000)
    tile_size: int = option(1000, "width and height of a tile", unit="pixel", ge=256, le=10_000)
    tile_overlap: int = option(160, "overlap of neighbouring tiles", unit="pixel", ge=0, le=1000)
    population: SkyPopulation = option(SkyPopulation(), "distribution of the galaxies' true parameters")

    @model_validator(mode="after")
    def _tiles_advance(self) -> Self:
        if 2 * self.tile_overlap > self.tile_size:
            raise ConflictError(
                f"tile_overlap ({self.tile_overlap}) must be at most half of tile_size ({self.tile_size})",
                "tile_overlap",
                "tile_size",
            )
        return self

    @model_validator(mode="after")
    def _bands_in_order(self) -> Self:
        if "r" not in self.bands or self.bands != [band for band in ("g", "r", "i") if band in self.bands]:
            raise ConflictError(f"bands ({self.bands}) must be some of g, r, i in this order, r among them", "bands")
        return self


class Sdss(Section):
    """SDSS imaging, Data Release 8 to 17."""

    skyserver_url: str = option(
        "https://skyserver.sdss.org", "address of SkyServer, for the catalogue", pattern=ADDRESS
    )
    sas_url: str = option(
        "https://data.sdss.org/sas", "address of the Science Archive Server, for frames and PSFs", pattern=ADDRESS
    )
    data_release: int = option(17, "data release", ge=8, le=17)
    catalogue: Literal["skyserver", "files"] = option(
        "skyserver", "skyserver: SQL queries; files: the photoObj files of the Science Archive Server"
    )


class Legacy(Section):
    """DESI Legacy Imaging Surveys, bricks of Data Release 10 (south)."""

    data_url: str = option(
        "https://portal.nersc.gov/cfs/cosmo/data/legacysurvey",
        "address of the bricks and their catalogues",
        pattern=ADDRESS,
    )
    tap_url: str = option("https://datalab.noirlab.edu/tap", "address of the catalogue's TAP service", pattern=ADDRESS)
    data_release: int = option(10, "data release", ge=9, le=10)
    catalogue: Literal["tap", "files"] = option("tap", "tap: the TAP service; files: the tractor file of each brick")


class Euclid(Section):
    """Euclid Quick Release 1: the mosaics and the catalogue of the MER pipeline, from IRSA."""

    irsa_url: str = option("https://irsa.ipac.caltech.edu", "address of IRSA", pattern=ADDRESS)
    copy_url: str = option(
        "",
        "address of a copy of IRSA's files, such as https://nasa-irsa-euclid-q1.s3.us-east-1.amazonaws.com; IRSA asks "
        "you to use it for many tiles; empty: IRSA itself",
        pattern=f"^$|{ADDRESS}",
    )


class Panstarrs(Section):
    """Pan-STARRS1 Data Release 2: stack images (sky cells) and the stack catalogue."""

    image_url: str = option("https://ps1images.stsci.edu", "address of the images", pattern=ADDRESS)
    tap_url: str = option(
        "https://vao.stsci.edu/PS1DR2/tapservice.aspx", "address of the catalogue's TAP service", pattern=ADDRESS
    )


class Des(Section):
    """Dark Energy Survey Data Release 2: coadded tiles and catalogue."""

    tap_url: str = option("https://datalab.noirlab.edu/tap", "address of the catalogue's TAP service", pattern=ADDRESS)
    data_url: str = option("https://desdr-server.ncsa.illinois.edu/despublic", "address of the tiles", pattern=ADDRESS)


class Folder(Section):
    """The user's own images; sources.catalogue may name a table of sources."""

    images: str = option(
        "images",
        "folder with FITS, PNG or JPEG images, with one file per band or all bands in one file",
        path="folder",
        min_length=1,
    )
    bands: list[str] = option(
        ["g", "r", "i"],
        "bands, in the order of the image planes, or as in the file names (name-g.fits, name-r.fits, ...)",
        min_length=1,
        max_length=8,
    )
    reference_band: str = option("r", "band in which light profiles are measured")
    pixel_scale: float | None = option(
        None,
        "pixel scale of images without a WCS, for which the column pixel_scale of the table says no other; without "
        "either, such images end the run; images with a WCS have their own",
        unit="arcsec",
        gt=0,
        le=10,
    )
    sky: Literal["estimate", "subtracted"] = option(
        "estimate", "estimate: measure the sky level and subtract it; subtracted: the images are sky-subtracted"
    )
    zero_point: float = option(
        22.5,
        "AB magnitude of a source with one flux unit, in the training set and in images for which neither the column "
        "zero_point of the table nor the header says another",
        unit="mag",
        ge=0,
        le=40,
    )
    psf_fwhm: float = option(
        1.3,
        "typical full width at half maximum of the PSF, pixel not included; used for images that have no image of the "
        "PSF (extension PSF, name-psf-r.fits, name-psf.fits, name-r.psf of PSFEx, or the column psf or psf_r of the "
        "table) and no column psf_fwhm or psf_fwhm_r",
        unit="arcsec",
        gt=0,
        le=20,
    )
    psf_beta: float = option(
        3.0, "exponent of the PSF's Moffat profile, for images without an image of the PSF", gt=1.05, le=100
    )

    @model_validator(mode="after")
    def _bands_are_names(self) -> Self:
        for band in self.bands:
            if not band.strip() or band != band.strip() or "/" in band or len(band) > MAX_BAND:
                raise ConflictError(
                    f"{band[:MAX_BAND]!r} is no name of a band; expected 1 to {MAX_BAND} characters without / and spaces "
                    "around them",
                    "bands",
                )
        return self


class Survey(Section):
    """The survey; only the settings of the chosen survey are used."""

    name: Literal["simulated", "sdss", "legacy", "euclid", "panstarrs", "des", "folder"] = option(
        "simulated", "the survey: simulated, sdss, legacy, euclid, panstarrs, des or folder"
    )
    simulated: SimulatedSky = option(SimulatedSky(), "settings of the simulated sky")
    sdss: Sdss = option(Sdss(), "settings of SDSS")
    legacy: Legacy = option(Legacy(), "settings of the DESI Legacy Surveys")
    euclid: Euclid = option(Euclid(), "settings of Euclid Q1")
    panstarrs: Panstarrs = option(Panstarrs(), "settings of Pan-STARRS1")
    des: Des = option(Des(), "settings of the Dark Energy Survey")
    folder: Folder = option(Folder(), "settings of the user's own images")

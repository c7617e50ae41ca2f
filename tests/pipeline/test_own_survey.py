"""The survey that docs/surveys.md adds as an example, in a copy of the repository, from the configuration to the stamps."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from astropy.io import fits
from astropy.wcs import WCS
from helpers.servers.base import NOT_FOUND, Answer, Request, Service
from helpers.worked_examples import apply_diff, blocks, section

SIZE, SCALE, NOISE = 400, 0.4, 0.1
TILES = {"east": (210.02, 0.1), "west": (209.99, 0.1)}
GALAXIES = [(7, 210.02, 0.1, 18.0, 2.0), (3, 210.005, 0.105, 17.0, 2.0), (9, 210.0, 0.1, 23.0, 2.0)]
"""source_id, ra, dec, magnitude, radius; the second lies where the tiles overlap, the third is too faint to be taken."""
PLAN = """
from pathlib import Path
from sys import argv
import yaml
from tuningfork.core.stage import paths
from tuningfork.core.files import write_text
from tuningfork.plan import plan_run, write_plan
plan = plan_run(yaml.safe_load(Path("atlas.yaml").read_text()), Path(argv[1]))
write_plan(plan)
for stage, token in plan.tokens.items():
    write_text(paths.PARAMETERS.format(stage=stage), token)
print(" ".join(plan.shards))
"""


def image(ra_0: float, dec_0: float) -> bytes:
    """Return a tile with all galaxies, round Gaussians, and noise."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [ra_0, dec_0], [(SIZE + 1) / 2] * 2
    wcs.wcs.cdelt = [-SCALE / 3600, SCALE / 3600]
    rows, columns = np.indices((SIZE, SIZE))
    pixels = np.random.default_rng(1).normal(0, NOISE, (SIZE, SIZE))
    for _, ra, dec, mag, radius in GALAXIES:
        x, y = wcs.all_world2pix(ra, dec, 0)
        sigma = radius / SCALE / np.sqrt(2 * np.log(2))
        profile = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
        pixels += 10 ** (-0.4 * (mag - 25.0)) * profile
    header = wcs.to_header()
    header["PSFFWHM"], header["MAGZERO"] = 1.15, 25.0
    weight = np.full((SIZE, SIZE), NOISE**-2, dtype=np.float32)
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(pixels.astype(np.float32), header), fits.ImageHDU(weight)]).writeto(
        buffer, checksum=True
    )
    return buffer.getvalue()


@pytest.fixture(scope="module")
def atlas():
    files = {
        "/galaxies.csv": "\n".join(["id,ra,dec,mag,radius", *(",".join(map(str, row)) for row in GALAXIES)]).encode(),
        "/tiles.csv": "\n".join(
            ["name,ra,dec,width", *(f"{name},{ra},{dec},{SIZE * SCALE / 3600}" for name, (ra, dec) in TILES.items())]
        ).encode(),
    }
    files |= {f"/{name}-{band}.fits": image(*place) for name, place in TILES.items() for band in "gr"}

    def answer(request: Request) -> Answer:
        return Answer(files[request.path]) if request.path in files else NOT_FOUND

    with Service(answer) as service:
        yield service


@pytest.fixture(scope="module")
def stamps(root: Path, atlas: Service, tmp_path_factory: pytest.TempPathFactory):
    """Table and pixels of the stamps that the copy of the repository cuts."""
    clone, run = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("run")
    for name in ("src", "config", "scripts", "tests"):
        shutil.copytree(root / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    page = section(root / "docs" / "surveys.md", "A survey of your own")
    (clone / "src/tuningfork/surveys/atlas.py").write_text(blocks(page, "python")[0])
    (clone / "config/surveys/atlas.yaml").write_text(blocks(page, "yaml")[0])
    for diff in blocks(page, "diff"):
        apply_diff(diff, clone)
    settings = {
        "sky": {"footprint": {"kind": "cone", "ra": 210.005, "dec": 0.1, "radius": 0.01}, "shard_order": 5},
        "survey": {"name": "atlas", "atlas": {"url": atlas.url}},
        "sources": {"mag_max": 20.0},
        "transfer": {"backoff": 0.01},
    }
    (run / "atlas.yaml").write_text(yaml.safe_dump(settings))

    def python(*arguments: str) -> str:
        environment = os.environ | {"PYTHONPATH": str(clone / "src")}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=run, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    python("-m", "tuningfork.cli", "config", "--write", str(clone))
    (shard,) = python("-c", PLAN, str(clone)).split()
    common = ["--shard", shard, "--plan", "results/plan.json"]
    for stage, options in {
        "sources": ["--output", "sources.parquet"],
        "tiles": ["--sources", "sources.parquet", "--output", "tiles.parquet"],
        "stamps": [
            "--sources",
            "sources.parquet",
            "--tiles",
            "tiles.parquet",
            "--pixels",
            "stamps.npy",
            "--table",
            "stamps.parquet",
        ],
    }.items():
        parameters = ["--parameters", f"results/params/{stage}.json", "--log", f"{stage}.log"]
        python(str(clone / "scripts" / f"{stage}.py"), *parameters, *common, *options)
    return pq.read_table(run / "stamps.parquet").to_pandas(), np.load(run / "stamps.npy")


def test_the_galaxies_within_the_limits_have_stamps(stamps) -> None:
    table, _ = stamps
    assert table["source_id"].tolist() == [3, 7]
    assert table["flags"].tolist() == [0, 0]


def test_scale_psf_and_zero_point_reach_the_stamps(stamps) -> None:
    table, _ = stamps
    assert table["pixel_scale"].to_numpy() == pytest.approx(SCALE, rel=1e-3)
    assert table["psf_fwhm_r"].to_numpy() == pytest.approx(1.15)
    assert table["zero_point"].to_numpy() == pytest.approx(25.0)
    assert table["sky_noise_r"].to_numpy() == pytest.approx(NOISE)


def test_the_stamps_hold_the_galaxies_light(stamps) -> None:
    table, pixels = stamps
    middle = slice(64 - 20, 64 + 21)
    for row, mag in zip(range(2), (17.0, 18.0), strict=True):
        flux = pixels[row, 0, 1, middle, middle].sum()
        assert table["zero_point"][row] - 2.5 * np.log10(flux) == pytest.approx(mag, abs=0.02)


def test_every_file_is_asked_for_once(atlas: Service, stamps) -> None:
    asked = [request.path for request in atlas.requests]
    assert sorted(asked) == sorted(set(asked))

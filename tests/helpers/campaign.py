"""A small sky of Legacy Surveys bricks, a portal some of whose files are bad, and jobs that fetch them as processes."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from helpers.frozen import frozen
from helpers.servers.legacy import (
    NOISE,
    PACKING,
    PSF,
    Given,
    LegacyServer,
    Sky,
    Source,
    _header,
    gaussian,
    pack,
    wcs_of,
)
from tuningfork.core.files import open_array
from tuningfork.core.flags import decode
from tuningfork.core.tables import read_table
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.legacy.bricks import Brick, brick_named, bricks_around

ORDER, SIZE, WIDTH = 6, 48, 320
SHARDS = sorted(
    {
        Shard(ORDER, int(pixels(np.array([ra]), np.array([dec]), ORDER)[0])).name
        for ra in (149.6, 150.4)
        for dec in (1.8, 2.6)
    }
)
FLUX = {"g": 40.0, "r": 90.0, "i": 120.0, "z": 150.0}
OFFSETS = ((-60, -50), (55, -30), (10, 70))
"""Where the galaxies of each brick stand, in pixels from its centre."""
WRONG_WCS, NO_BAND, BLANK, MASKED, TRUNCATED, TWICE = "wrong WCS", "no z", "NaN", "NaN at a galaxy", "cut", "twice"
PROGRAM = """
import sys
from pathlib import Path
from tuningfork.core.stage.parameters import read_parameters, read_transfer
from tuningfork.stamps.shard import cut_shard
from tuningfork.surveys.jobs import fetch_tiles, list_sources
params, plan, out = Path(sys.argv[1]), read_transfer(sys.argv[2]), Path(sys.argv[3])
stage = {name: read_parameters(params / f"{name}.json") for name in ("sources", "tiles", "stamps")}
for shard in sys.argv[4:]:
    s, t = out / f"s-{shard}.parquet", out / f"t-{shard}.parquet"
    list_sources(parameters=stage["sources"], shard=shard, transfer=plan, output=s)
    fetch_tiles(parameters=stage["tiles"], shard=shard, sources=s, transfer=plan, output=t)
    cut_shard(parameters=stage["stamps"], shard=shard, sources=s, tiles=t, transfer=plan, pixels=out / f"{shard}.npy", table=out / f"{shard}.parquet")
"""


def chosen_bricks() -> list[str]:
    """Return the bricks nearest to the point where the shards meet, so that neighbours share some of them."""
    around = {brick.name: brick for name in SHARDS for brick in bricks_around(Shard.parse(name), 0.02)}
    ra, dec = np.mean([Shard.parse(name).centre for name in SHARDS], axis=0)
    return sorted(sorted(around, key=lambda name: np.hypot(around[name].ra - ra, around[name].dec - dec))[:26])


BRICKS = chosen_bricks()
SPOILT = dict(zip((WRONG_WCS, NO_BAND, BLANK, MASKED, TRUNCATED, TWICE), BRICKS[2::4], strict=False))


def sources_of(name: str) -> list[Source]:
    wcs = wcs_of(brick_named(name))
    ra, dec = wcs.all_pix2world([1799.5 + x for x, _ in OFFSETS], [1799.5 + y for _, y in OFFSETS], 0)
    return [Source(float(a), float(d), FLUX, 1.5) for a, d in zip(ra, dec, strict=True)]


def header_of(brick: Brick) -> dict[str, Any]:
    whole = _header(brick)
    shift = 1800 - WIDTH // 2
    return whole | {"CRPIX1": whole["CRPIX1"] - shift, "CRPIX2": whole["CRPIX2"] - shift, "MAGZERO": 22.5}


def pixels_of(name: str, band: str) -> np.ndarray:
    """Return the middle of a brick's image."""
    brick = brick_named(name)
    noise = np.random.default_rng([brick.number, ord(band)]).normal(0, NOISE[band], (WIDTH, WIDTH))
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(WIDTH))
    for source, (right, up) in zip(sources_of(name), OFFSETS, strict=True):
        middle = (WIDTH - 1) / 2
        noise += gaussian(source, band, PSF[band], x - middle - right, y - middle - up)
    return noise.astype(np.float32)


def sky() -> Sky:
    given = {}
    for name in BRICKS:
        for band in "grz":
            image = pixels_of(name, band)
            given[name, band] = Given(image, np.full_like(image, NOISE[band] ** -2), header_of(brick_named(name)))
    return Sky(BRICKS, [source for name in BRICKS for source in sources_of(name)], given=given)


class BadServer(LegacyServer):
    """The same portal with files that are bad for good."""

    def spoil(self, files: Mapping[str, bytes], truncated: bytes) -> None:
        """Take the files of a good server, and put bad ones in the place of some."""
        self._files = dict(files)
        brick = SPOILT[WRONG_WCS]
        moved = header_of(brick_named(brick))
        moved["CRVAL2"] += 346 / 3600
        self._replace(brick, {band: pack(pixels_of(brick, band), PACKING["image"], moved) for band in "grz"})
        brick = SPOILT[BLANK]
        blank = np.full((WIDTH, WIDTH), np.nan, dtype=np.float32)
        self._replace(brick, {band: pack(blank, PACKING["image"], header_of(brick_named(brick))) for band in "grz"})
        brick = SPOILT[MASKED]
        holed = pixels_of(brick, "r")
        right, up = (WIDTH // 2 + offset for offset in OFFSETS[0])
        holed[up - 2 : up + 3, right - 2 : right + 3] = np.nan
        self._replace(brick, {"r": pack(holed, PACKING["image"], header_of(brick_named(brick)))})
        self._replace(SPOILT[TRUNCATED], dict.fromkeys("grz", truncated))
        other = BRICKS[0]
        copies = {band: files[f"coadd/{other[:3]}/{other}/legacysurvey-{other}-image-{band}.fits.fz"] for band in "grz"}
        self._replace(SPOILT[TWICE], copies)

    def _replace(self, brick: str, images: Mapping[str, bytes]) -> None:
        """Serve other images of a brick, with the checksums that belong to them."""
        folder = f"coadd/{brick[:3]}/{brick}"
        listed = f"{folder}/legacysurvey_{self.release}_south_coadd_{brick[:3]}_{brick}.sha256sum"
        text = self._files[listed].decode()
        for band, body in images.items():
            path = f"{folder}/legacysurvey-{brick}-image-{band}.fits.fz"
            old = hashlib.sha256(self._files[path]).hexdigest()
            text = "".join(
                line.replace(old, hashlib.sha256(body).hexdigest())
                if line.rstrip().endswith(path.split("/")[-1])
                else line
                for line in text.splitlines(keepends=True)
            )
            self._files[path] = body
        self._files[listed] = text.encode()

    def body(self, name: str) -> bytes:
        """Return what the file `name` of the cache must hold."""
        group, _, file = name.removeprefix("legacy-dr10/").partition("/")
        brick = file.split("-")[1] if file.startswith("legacysurvey-") else file.rpartition("_")[2].split(".")[0]
        return self._files[f"coadd/{group}/{brick}/{file}" if file else group]


class Watch(threading.Thread):
    """Looks at the final names in a cache all the time: a file must be whole at first sight and never change."""

    def __init__(self, cache: Path, server: BadServer) -> None:
        super().__init__(daemon=True)
        self.cache, self.server = cache, server
        self.seen: dict[str, int] = {}
        self.wrong: list[str] = []
        self.looks = 0
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(0.02):
            self.look()

    def look(self) -> None:
        self.looks += 1
        for folder in [self.cache / "legacy-dr10", *self.cache.glob("legacy-dr10/*/")]:
            for entry in os.scandir(folder) if folder.is_dir() else ():
                name = str(Path(entry.path).relative_to(self.cache))
                if not entry.is_file() or name.endswith("bricks.npy"):
                    continue
                if self.seen.setdefault(name, entry.inode()) != entry.inode():
                    self.wrong.append(f"{name} was placed twice")
                elif entry.stat().st_size != len(self.server.body(name)):
                    self.wrong.append(f"{name} is not whole")

    def stop(self) -> None:
        self._end.set()
        self.join()
        self.look()


@dataclass
class Outcome:
    stamps: dict[int, np.ndarray]
    rows: dict[int, dict[str, Any]]
    names: dict[int, str]

    def of_brick(self, brick: str) -> list[int]:
        return [number for number, name in self.names.items() if name.startswith(f"{brick}-")]

    def flags(self, number: int) -> set[str]:
        return set(decode(self.rows[number]["flags"]))


def outcome(out: Path) -> Outcome:
    """Read what the jobs have written; every source has its row."""
    stamps, rows, names = {}, {}, {}
    for shard in SHARDS:
        sources, table = read_table(out / f"s-{shard}.parquet"), read_table(out / f"{shard}.parquet")
        assert sources["source_id"].to_pylist() == table["source_id"].to_pylist()
        array = np.array(open_array(out / f"{shard}.npy"))
        for place, row in enumerate(table.to_pylist()):
            stamps[row["source_id"]], rows[row["source_id"]] = array[place], row
            names[row["source_id"]] = sources["name"][place].as_py()
    return Outcome(stamps, rows, names)


class Jobs:
    """The jobs of all shards, as processes that share a cache."""

    def __init__(self, folder: Path, server: LegacyServer, **transfer: Any) -> None:
        self.out, self.cache = folder / "out", folder / "cache"
        self.out.mkdir(parents=True)
        values = {
            "survey": {"name": "legacy", "legacy": server.settings},
            "sources": {"mag_min": 14.0, "mag_max": 18.0},
            "stamps": {"size": SIZE},
        }
        frozen(folder / "params", values)
        quick = {"cache": str(self.cache), "rate": 10_000.0, "connections": 24, "backoff": 0.005, "retries": 8}
        (folder / "plan.json").write_text(json.dumps({"transfer": quick | transfer}))
        self.folder = folder

    def start(self, *shards: str) -> subprocess.Popen[bytes]:
        """Start a process that does all that is to be done for some shards, one after the other."""
        places = [self.folder / "params", self.folder / "plan.json", self.out]
        return subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, places), *shards], stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()[-2000:]

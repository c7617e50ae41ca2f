"""A run over a bad network: jobs of neighbouring shards, hundreds of faults, and stamps as if nothing had happened.

The jobs are processes that share a cache and fetch bricks of the Legacy Surveys from a loopback portal. The network's
faults pass; those of some bricks' files stay, and the sources there must be flagged with the reason. The final names
in the cache are watched all the time.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frozen import frozen
from servers.base import Request
from servers.faults import HEALING, Fault, Faults
from servers.legacy import NOISE, PACKING, PSF, Given, LegacyServer, Sky, Source, _header, gaussian, pack, wcs_of

from tuningfork.core.files import open_array
from tuningfork.core.flags import decode
from tuningfork.core.tables import read_table
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.legacy_bricks import Brick, brick_named, bricks_around

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
from tuningfork.core.parameters import read_parameters, read_transfer
from tuningfork.stamps.shard import cut_shard
from tuningfork.surveys.jobs import fetch_tiles, list_sources
params, shard, plan, out = Path(sys.argv[1]), sys.argv[2], read_transfer(sys.argv[3]), Path(sys.argv[4])
stage = {name: read_parameters(params / f"{name}.json") for name in ("sources", "tiles", "stamps")}
s, t = out / f"s-{shard}.parquet", out / f"t-{shard}.parquet"
list_sources(stage["sources"], shard, plan, s)
fetch_tiles(stage["tiles"], shard, s, plan, t)
cut_shard(stage["stamps"], shard, s, t, plan, out / f"{shard}.npy", out / f"{shard}.parquet")
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
        while not self._end.wait(0.005):
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
        quick = {"cache": str(self.cache), "rate": 10_000.0, "connections": 24, "backoff": 0.005, "retries": 6}
        (folder / "plan.json").write_text(json.dumps({"transfer": quick | transfer}))
        self.folder = folder

    def start(self, shard: str) -> subprocess.Popen[bytes]:
        places = [str(self.folder / "params"), shard, str(self.folder / "plan.json"), str(self.out)]
        return subprocess.Popen([sys.executable, "-c", PROGRAM, *places], stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()[-2000:]


@dataclass
class Campaign:
    good: Outcome
    bad: Outcome
    server: BadServer
    faults: Faults
    watch: Watch
    manifests: list[dict[str, Any]]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Iterator[Campaign]:
    folder = tmp_path_factory.mktemp("faults")
    truncated = (real_data / "decals_fits/zooniverse_decals/example_incomplete_TRUNCATED.fits").read_bytes()
    with LegacyServer(sky()) as server:
        jobs = Jobs(folder / "good", server, timeout=60.0)
        t0 = time.time()
        for process in [jobs.start(shard) for shard in SHARDS]:
            finish(process)
        print("BASE", time.time() - t0)
        good, files = outcome(jobs.out), server._files
    brick = SPOILT[NO_BAND]
    path = f"/dr10/south/coadd/{brick[:3]}/{brick}/legacysurvey-{brick}-image-z.fits.fz"
    faults = Faults(20, kinds=kinds_of, least=1, most=4, permanent={path: Fault.GONE})
    with BadServer(sky()) as server:
        server.spoil(files, truncated)
        server.faults = faults
        jobs = Jobs(folder / "bad", server, timeout=0.5)
        watch = Watch(jobs.cache, server)
        watch.start()
        processes = {shard: jobs.start(shard) for shard in SHARDS}
        kill_in_the_middle(processes[SHARDS[0]], watch)
        processes[SHARDS[0]] = jobs.start(SHARDS[0])
        for process in processes.values():
            finish(process)
        watch.stop()
        print("BAD", time.time() - t0, faults.injected)
        manifests = [row for shard in SHARDS for row in read_table(jobs.out / f"t-{shard}.parquet").to_pylist()]
        yield Campaign(good, outcome(jobs.out), server, faults, watch, manifests)


def kinds_of(request: Request) -> Sequence[Fault]:
    """Return what may happen; answers to queries and lists of checksums have no checksum, and not all is noticed."""
    unnoticed = set()
    if request.path.endswith("sum") or request.path.startswith("/tap"):
        unnoticed = {Fault.FLIPPED, Fault.TRUNCATED}
    return [fault for fault in HEALING if fault not in unnoticed]


def kill_in_the_middle(process: subprocess.Popen[bytes], watch: Watch) -> None:
    """Kill a job when a part of the files has come."""
    limit = time.monotonic() + 60
    while len(watch.seen) < 60 and time.monotonic() < limit:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_hundreds_of_faults_of_every_kind_struck(campaign: Campaign) -> None:
    assert campaign.faults.injected.total() >= 500
    assert set(campaign.faults.injected) == set(Fault)


def test_what_the_files_are_good_for_is_as_without_faults(campaign: Campaign) -> None:
    spoilt = {number for brick in SPOILT.values() for number in campaign.bad.of_brick(brick)}
    assert list(campaign.bad.rows) == list(campaign.good.rows)
    unharmed = set(campaign.bad.rows) - spoilt
    assert len(unharmed) >= 3 * (len(BRICKS) - len(SPOILT)) - 6
    for number in unharmed:
        assert campaign.bad.stamps[number].tobytes() == campaign.good.stamps[number].tobytes()
        assert campaign.bad.rows[number] == campaign.good.rows[number]
        assert campaign.good.flags(number) == set()


@pytest.mark.parametrize(
    ("what", "flag"),
    [
        (WRONG_WCS, "BAD_WCS"),
        (BLANK, "OUTSIDE_TILES"),
        (TRUNCATED, "BAD_TILE"),
        (TWICE, "BAD_TILE"),
        (NO_BAND, "MISSING_BAND"),
    ],
)
def test_what_is_bad_for_good_is_flagged(campaign: Campaign, what: str, flag: str) -> None:
    numbers = campaign.bad.of_brick(SPOILT[what])
    assert len(numbers) == 3
    for number in numbers:
        assert flag in campaign.bad.flags(number)
        if what == NO_BAND:
            assert campaign.bad.stamps[number][:, :2].tobytes() == campaign.good.stamps[number][:, :2].tobytes()
        elif flag != "BAD_WCS":
            assert not campaign.bad.stamps[number].any()


def test_missing_pixels_are_flagged_where_they_are(campaign: Campaign) -> None:
    numbers = campaign.bad.of_brick(SPOILT[MASKED])
    assert sorted("MASKED" in campaign.bad.flags(number) for number in numbers) == [False, False, True]


def test_no_final_name_ever_stood_for_a_part(campaign: Campaign) -> None:
    assert campaign.watch.looks > 50
    assert campaign.watch.wrong == []
    placed = {row["path"] for row in campaign.manifests if row["status"] == "ok"}
    assert placed <= set(campaign.watch.seen)
    for row in campaign.manifests:
        if row["status"] == "ok":
            assert row["sha256"] == hashlib.sha256(campaign.server.body(row["path"])).hexdigest()


def test_each_file_is_transferred_once(campaign: Campaign) -> None:
    """A part that a killed job was just being sent may be sent again."""
    sent = Counter(path for path, _, _ in campaign.server.sent if not path.startswith("/tap"))
    assert len(sent) > 200
    shared = [row["path"] for row in campaign.manifests if row["status"] == "ok"]
    assert len(shared) > len(set(shared))
    again = {path: count for path, count in sent.items() if count > 1 and SPOILT[TRUNCATED] not in path}
    assert sum(count - 1 for count in again.values()) <= 24, again


def test_the_reason_of_each_missing_file_is_told(campaign: Campaign) -> None:
    reasons = {(row["tile"], row["band"]): row["reason"] for row in campaign.manifests if row["status"] != "ok"}
    assert set(reasons) == {(SPOILT[NO_BAND], "z")} | {(SPOILT[TRUNCATED], band) for band in "grz"}
    assert "HTTP 404 (1 attempt)" in reasons[SPOILT[NO_BAND], "z"]
    assert "the FITS file is cut short: 773836 bytes are missing in HDU 0" in reasons[SPOILT[TRUNCATED], "r"]
    assert "gave up after" in reasons[SPOILT[TRUNCATED], "r"]

"""A run over a bad network: jobs of neighbouring shards, hundreds of faults, and stamps as if nothing had happened.

The jobs are processes that share a cache and fetch bricks of the Legacy Surveys from a loopback portal. The network's
faults pass; those of some bricks' files stay, and the sources there must be flagged with the reason. The final names
in the cache are watched all the time.
"""

import hashlib
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers.campaign import (
    BLANK,
    BRICKS,
    MASKED,
    NO_BAND,
    SHARDS,
    SPOILT,
    TRUNCATED,
    TWICE,
    WRONG_WCS,
    BadServer,
    Jobs,
    Outcome,
    Watch,
    finish,
    outcome,
    sky,
)
from helpers.frozen import ROOT
from helpers.servers.base import Request
from helpers.servers.faults import HEALING, Fault, Faults
from helpers.servers.legacy import LegacyServer
from helpers.transfers import small_disk

from tuningfork.core.tables import read_table


@dataclass
class Campaign:
    good: Outcome
    bad: Outcome
    server: BadServer
    faults: Faults
    watch: Watch
    manifests: list[dict[str, Any]]
    out: Path


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Iterator[Campaign]:
    folder = tmp_path_factory.mktemp("faults")
    truncated = (real_data / "decals_fits/zooniverse_decals/example_incomplete_TRUNCATED.fits").read_bytes()
    with LegacyServer(sky()) as server:
        jobs = Jobs(folder / "good", server, timeout=60.0)
        finish(jobs.start(*SHARDS))
        good, files = outcome(jobs.out), server._files
    brick = SPOILT[NO_BAND]
    path = f"/dr10/south/coadd/{brick[:3]}/{brick}/legacysurvey-{brick}-image-z.fits.fz"
    faults = Faults(20, kinds=kinds_of, least=1, most=4, permanent={path: Fault.GONE})
    with BadServer(sky()) as server:
        server.spoil(files, truncated)
        server.faults = faults
        jobs = Jobs(folder / "bad", server, timeout=0.6)
        watch = Watch(jobs.cache, server)
        watch.start()
        processes = {shard: jobs.start(shard) for shard in SHARDS}
        kill_in_the_middle(processes[SHARDS[0]], watch)
        processes[SHARDS[0]] = jobs.start(SHARDS[0])
        for process in processes.values():
            finish(process)
        watch.stop()
        manifests = [row for shard in SHARDS for row in read_table(jobs.out / f"t-{shard}.parquet").to_pylist()]
        yield Campaign(good, outcome(jobs.out), server, faults, watch, manifests, jobs.out)


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
        (BLANK, "NO_VALID_PIXELS"),
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
    assert "the FITS file is truncated: 773836 bytes are missing in HDU 0" in reasons[SPOILT[TRUNCATED], "r"]
    assert "gave up after" in reasons[SPOILT[TRUNCATED], "r"]


def test_a_full_disk_ends_the_job_with_its_cause(campaign: Campaign, tmp_path: Path) -> None:
    campaign.server.faults = None
    with small_disk(tmp_path / "cache", "1500k") as disk:
        Jobs(tmp_path, campaign.server)
        options = {"parameters": "params/tiles.json", "plan": "plan.json", "output": "tiles.parquet", "log": "job.log"}
        command = [sys.executable, str(ROOT / "scripts/tiles.py"), "--shard", SHARDS[1]]
        command += ["--sources", str(campaign.out / f"s-{SHARDS[1]}.parquet")]
        command += [word for key, name in options.items() for word in (f"--{key}", str(tmp_path / name))]
        assert subprocess.run(command, capture_output=True).returncode == 1
        log = (tmp_path / "job.log").read_text()
        assert f"no disk space left for {disk}" in log.splitlines()[-1]
        assert "Traceback" not in log
        assert not (tmp_path / "tiles.parquet").exists()
        assert [path for path in disk.glob(".transfer/parts/*") if not path.name.endswith(".json")] == []

"""The Legacy Surveys: tiles, files and lists through a loopback portal, and answers that are not what they should be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.servers.base import Answer, Request
from helpers.servers.legacy import PACKING, LegacyServer, Sky, Source, pack

from tuningfork.core.config import validate
from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import Legacy
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import Description, describe
from tuningfork.core.errors import InputError, TransferError
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.legacy.bricks import brick_named
from tuningfork.surveys.legacy.catalogue import ls_id
from tuningfork.surveys.legacy.survey import LegacySurvey
from tuningfork.surveys.transfer.network import Network

NAME = "1126p222"


@pytest.fixture(scope="session")
def description(root: Path) -> Description:
    return describe(validate({"survey": {"name": "legacy"}}), root / "config" / "surveys")


def network(folder: Path, **settings: Any) -> Network:
    values = {"cache": str(folder / "cache"), "timeout": 10, "retries": 1, "backoff": 0.001, "rate": 5000}
    return Network(Transfer(**(values | settings)))


def test_source_ids_are_those_of_data_lab() -> None:
    # A row as desispec prints it: RELEASE 10000, BRICKID 188903, OBJID 5500.
    assert ls_id(np.int16([10000]), np.int32([188903]), np.int32([5500])).tolist() == [10995128657712508]


def test_a_release_without_a_band_is_refused(tmp_path: Path, description: Description) -> None:
    with_i = description.model_copy(update={"bands": ["g", "r", "i", "z"]})
    LegacySurvey(Legacy(), with_i, network(tmp_path))
    with pytest.raises(InputError, match="expected some of g, r, z"):
        LegacySurvey(Legacy(data_release=9), with_i, network(tmp_path))


@pytest.fixture
def small() -> Sky:
    brick = brick_named(NAME)
    source = Source(brick.ra, brick.dec, {"g": 9.0, "r": 20.0, "z": 30.0}, 1.5)
    return Sky([NAME], [source], shown=(brick.ra, brick.dec, 150))


def test_bricks_are_located_and_others_refused(small: Sky, tmp_path: Path, description: Description) -> None:
    with LegacyServer(small) as server:
        survey = LegacySurvey(Legacy(**server.settings), description, network(tmp_path))
        brick = brick_named(NAME)
        shard = Shard(8, int(pixels(np.array([brick.ra]), np.array([brick.dec]), 8)[0]))
        assert [tile.name for tile in survey.tiles(shard)] == [NAME]
        (tile,) = survey.locate([NAME])
        assert tile.unique == brick.unique
        assert tile.facts == {"bands": ["g", "r", "z"]}
        with pytest.raises(InputError, match=r"brick 1129p222: dr10 .* has no images"):
            survey.locate(["1129p222"])
        again = LegacySurvey(Legacy(**server.settings), description, network(tmp_path, offline=True))
        assert again.tiles(shard) == [tile]
        assert len(server.requests) == 1


def test_a_file_with_another_checksum_is_a_band_that_is_missing(
    small: Sky, tmp_path: Path, description: Description
) -> None:
    class Changed(LegacyServer):
        def answer(self, request: Request) -> Answer:
            answer = super().answer(request)
            if request.path.endswith("invvar-r.fits.fz"):
                # A whole FITS file with right checksums of its own, but not the one that is published.
                return Answer(pack(np.ones((300, 300), dtype="f4"), PACKING["invvar"], {}))
            return answer

    with Changed(small) as server:
        survey = LegacySurvey(Legacy(**server.settings), description, network(tmp_path))
        fetched = survey.fetch(survey.locate([NAME])[0])
        assert sorted(fetched.files) == ["g", "z"]
        assert list(fetched.faults) == ["r"]
        assert "invvar-r.fits.fz" in fetched.faults["r"]
        assert "SHA-256" in fetched.faults["r"]
        before = len(server.requests)
        assert sorted(survey.fetch(fetched.tile).files) == ["g", "z"]
        asked = {request.path.rsplit("/", 1)[1] for request in server.requests[before:]}
        assert asked == {f"legacysurvey-{NAME}-invvar-r.fits.fz"}
        image = survey.open(fetched, "g")
        assert image.rows(0, 10)[0].shape == (10, image.shape[1])


@pytest.mark.parametrize("body", [b"<html>gone</html>", b"", b"0" * 64 + b"  a\nnonsense\n"])
def test_a_bad_list_of_checksums_is_done_without(
    small: Sky, tmp_path: Path, description: Description, body: bytes
) -> None:
    class Changed(LegacyServer):
        def answer(self, request: Request) -> Answer:
            return Answer(body) if request.path.endswith(".sha256sum") else super().answer(request)

    small.bands = "r"
    with Changed(small) as server:
        server.answer(Request("GET", f"/dr10/south/coadd/112/{NAME}/legacysurvey-{NAME}-image-r.fits.fz", {}, {}))
        survey = LegacySurvey(Legacy(**server.settings), description, network(tmp_path))
        fetched = survey.fetch(survey.locate([NAME])[0])
        assert list(fetched.files) == ["r"]
        assert sorted(fetched.faults) == ["g", "z"]


def test_a_missing_tractor_file_fails_the_list(small: Sky, tmp_path: Path, description: Description) -> None:
    class Without(LegacyServer):
        def answer(self, request: Request) -> Answer:
            return Answer(b"", 404) if request.path.endswith("tractor-1126p222.fits") else super().answer(request)

    brick = brick_named(NAME)
    shard = Shard(8, int(pixels(np.array([brick.ra]), np.array([brick.dec]), 8)[0]))
    with Without(small) as server:
        survey = LegacySurvey(Legacy(**server.settings, catalogue="files"), description, network(tmp_path))
        with pytest.raises(TransferError, match=r"tractor-1126p222\.fits: HTTP 404"):
            survey.catalogue(shard, Sources())

"""Frames and masks that tables state in their heads: positions that are not in ICRS are refused, masked values null."""

from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked
from helpers.sourcelists import rows_of

from tuningfork.core.config.measurements import Measurements
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.config.votes import Votes
from tuningfork.core.errors import InputError
from tuningfork.surveys.lists.formats import base
from tuningfork.surveys.lists.labels.measured import read_measured
from tuningfork.surveys.lists.labels.votes import read_votes

RA, DEC = [10.684708, 350.25, 200.5], [41.26875, -0.008472, 12.5]
KINDS = ["ecsv", "fits", "parquet"]
SYSTEM = r"column {} is in the coordinate system {}.*; expected ICRS, or FK5 at J2000; convert the positions to ICRS"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "ROWS_PER_PART", 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("of_quantities", [False, True])
def test_masks_that_stand_in_columns(tmp_path: Path, kind: str, of_quantities: bool) -> None:
    masks = {"ra": [False, False, True], "mag": [False, True, False], "name": [True, False, False]}
    table: Any = Table({"id": [1, 2, 3], "dec": DEC})
    if of_quantities:
        table = QTable(table)
        table["ra"] = Masked(RA * u.deg, mask=masks["ra"])
        table["mag"] = Masked([11.0, 12.0, 13.0] * u.mag, mask=masks["mag"])
    else:
        table["ra"] = MaskedColumn(RA, mask=masks["ra"])
        table["mag"] = MaskedColumn([11.0, 12.0, 13.0], mask=masks["mag"])
    table["name"] = MaskedColumn(["a", "b", "c"], mask=masks["name"])
    for name in table.colnames:
        if hasattr(table[name].info, "serialize_method"):
            table[name].info.serialize_method = dict.fromkeys(table[name].info.serialize_method, "data_mask")
    path = tmp_path / f"t.{kind}"
    table.write(path)
    known = QTable.read(path) if of_quantities else Table.read(path)
    rows = rows_of(path)
    assert [row["survey_mag"] is None for row in rows] == list(known["mag"].mask) == masks["mag"]
    assert [row["ra"] is None for row in rows] == list(known["ra"].mask) == masks["ra"]
    assert [row["flags"] != 0 for row in rows] == masks["ra"]
    assert [row["name"] for row in rows] == [None, "b", "c"]
    assert [row["survey_mag"] for row in rows] == [11, None, 13]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("frame", "equinox", "said"),
    [("fk4", "B1950", "fk4 B1950"), ("fk5", "J1950", "fk5 J1950"), ("galactic", None, "galactic"), ("barycentrictrueecliptic", None, "barycentrictrue"), ("gcrs", None, "gcrs")],
)  # fmt: skip
def test_positions_in_another_frame_of_astropy_are_refused(
    tmp_path: Path, kind: str, frame: str, equinox: str | None, said: str
) -> None:
    other = SkyCoord(RA, DEC, unit="deg").transform_to(SkyCoord(0, 0, unit="deg", frame=frame, equinox=equinox).frame)
    path = tmp_path / f"t.{kind}"
    QTable({"id": [1, 2, 3], "pos": other, "mag": [1.0, 2, 3]}).write(path)
    first, second = {"galactic": ("l", "b"), "barycentrictrueecliptic": ("lon", "lat")}.get(frame, ("ra", "dec"))
    columns = {"ra": f"pos.{first}", "dec": f"pos.{second}"}
    with pytest.raises(InputError, match=rf"t\.{kind}: " + SYSTEM.format(rf"pos\.{first}", said)):
        rows_of(path, columns=columns)
    with pytest.raises(InputError, match=SYSTEM.format(rf"pos\.{first}", said)):
        read_measured(Measurements(table=str(path), columns=columns))
    # The keys say that the file is wrong.
    rows = rows_of(path, columns=columns, units={"ra": "deg", "dec": "deg"})
    np.testing.assert_allclose([row["dec"] for row in rows], other.data.lat.deg)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("frame", "equinox"), [("icrs", None), ("fk5", "J2000")])
def test_positions_in_icrs_or_close_to_it_are_read(tmp_path: Path, kind: str, frame: str, equinox: str | None) -> None:
    path = tmp_path / f"t.{kind}"
    QTable({"pos": SkyCoord(RA, DEC, unit="deg", frame=frame, equinox=equinox)}).write(path)
    rows = rows_of(path, columns={"ra": "pos.ra", "dec": "pos.dec"})
    np.testing.assert_allclose([row["ra"] for row in rows], RA)


ANSWERS = ["smooth", "features_or_disk", "star_or_artifact"]
CARDS: list[tuple[dict[str, Any], str]] = [
    ({"EQUINOX": 1950.0}, "1950.0"), ({"RADESYS": "FK4"}, "FK4"), ({"RADECSYS": "GALACTIC"}, "GALACTIC"),
    ({"EQUINOX": "B1950"}, "B1950"), ({"RADESYS": "FK5", "EQUINOX": 1975.0}, "FK5 1975.0"),
    ({"EQUINOX": 2000.0}, ""), ({"RADESYS": "FK5", "EQUINOX": "J2000"}, ""), ({"RADESYS": "ICRS", "EQUINOX": 2015.5}, ""),
    ({"EPOCH": 1950.0}, ""), ({"EQUINOX": "2000.0"}, ""),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["fits", "ascii", "ecsv", "parquet", "tbl"])
@pytest.mark.parametrize(("cards", "said"), CARDS)
def test_positions_in_the_frame_of_keywords(tmp_path: Path, kind: str, cards: dict[str, Any], said: str) -> None:
    path = tmp_path / f"t.{kind}"
    table = Table({"ra": RA, "dec": DEC, "radius": [1.0, 2, 3]})
    if kind == "ascii":
        hdu = fits.TableHDU.from_columns([fits.Column(n, "D25.17", array=table[n]) for n in table.colnames])
        hdu.header.update(cards)
        hdu.writeto(path)
    elif kind == "tbl":
        table.meta["keywords"] = {key: {"value": value} for key, value in cards.items()}
        table.write(path, format="ascii.ipac")
    else:
        table.meta |= cards
        table.write(path)
    if not said:
        np.testing.assert_allclose([row["ra"] for row in rows_of(path)], RA)
        return
    with pytest.raises(InputError, match=SYSTEM.format("ra", said)):
        rows_of(path)
    assert len(rows_of(path, units={"ra": "deg", "dec": "deg"})) == 3


def test_columns_that_name_another_equinox_than_the_header(tmp_path: Path) -> None:
    table = Table({"RAJ2000": RA, "DEJ2000": DEC}, meta={"EQUINOX": 1950.0})
    table.write(tmp_path / "t.fits")
    np.testing.assert_allclose([row["ra"] for row in rows_of(tmp_path / "t.fits")], RA)


def test_positions_in_another_system_of_a_votable_are_refused(tmp_path: Path) -> None:
    table = Table({"ra": RA, "dec": DEC})
    table.write(tmp_path / "t.vot", format="votable")
    known = (tmp_path / "t.vot").read_text().replace('name="ra"', 'name="ra" ref="one"')
    for system, said in (('eq_FK4" equinox="B1950', "eq_FK4 B1950"), ("galactic", "galactic")):
        (tmp_path / "t.vot").write_text(known.replace("<RESOURCE", f'<COOSYS ID="one" system="{system}"/><RESOURCE', 1))
        with pytest.raises(InputError, match=SYSTEM.format("ra", said)):
            rows_of(tmp_path / "t.vot")
    (tmp_path / "t.vot").write_text(known.replace("<RESOURCE", '<COOSYS ID="one" system="ICRS"/><RESOURCE', 1))
    assert len(rows_of(tmp_path / "t.vot")) == 3


def test_votes_in_another_frame_are_refused(tmp_path: Path) -> None:
    names = [f"t01_smooth_or_features_a0{k}_{name}_count" for k, name in enumerate(ANSWERS, 1)]
    table = Table({"ra": RA, "dec": DEC} | {name: [10, 20, 5] for name in names}, meta={"RADESYS": "FK4"})
    table.write(tmp_path / "t.fits")
    with pytest.raises(InputError, match=r"votes\.table: .*" + SYSTEM.format("ra", "FK4")):
        read_votes(Votes(table=str(tmp_path / "t.fits")), [], Transfer())

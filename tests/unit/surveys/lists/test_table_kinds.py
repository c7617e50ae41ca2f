"""Kinds of tables that astronomers have: each is read as astropy or pandas read it, or refused by name."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import Angle, SkyCoord
from astropy.io import fits
from astropy.table import QTable, Table
from helpers.sourcelists import rows_of

from tuningfork.core.errors import InputError
from tuningfork.surveys.lists.formats import base

RA, DEC = [10.684708, 350.25, 200.5], [41.26875, -0.008472, 12.5]
BIG = 1_237_648_720_693_755_905
"""An identifier of SDSS, which no floating-point number holds exactly."""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read tables in parts of two rows, so that the small ones of these tests have several."""
    monkeypatch.setattr(base, "ROWS_PER_PART", 2)


def text(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


def places(path: Path, **catalogue: object) -> list[tuple[float, float]]:
    return [(row["ra"], row["dec"]) for row in rows_of(path, **catalogue)]


def expected(ra: object = RA, dec: object = DEC) -> list:
    return [pytest.approx(pair, abs=1e-9) for pair in zip(ra, dec, strict=True)]


BODY = "".join(f"{ra},{dec},{k + 1}\n" for k, (ra, dec) in enumerate(zip(RA, DEC, strict=True)))
TEXTS = {
    "rows that end in a comma": ("t.csv", "ra,dec,mag\n" + BODY.replace("\n", ",\n")),
    "all lines end in a comma": ("t.csv", "ra,dec,mag,\n" + BODY.replace("\n", ",\n")),
    "some rows end in a comma": ("t.csv", "ra,dec,mag\n" + BODY.replace("2\n", "2,\n")),
    "CRLF": ("t.csv", ("ra,dec,mag\n" + BODY).replace("\n", "\r\n")),
    "a byte order mark": ("t.csv", "\ufeffra,dec,mag\n" + BODY),
    "semicolons": ("t.csv", ("ra,dec,mag\n" + BODY).replace(",", ";")),
    "tabs, in capitals": ("t.TSV", ("RA,DEC,MAG\n" + BODY).replace(",", "\t")),
    "spaces": ("t.dat", ("ra,dec,mag\n" + BODY).replace(",", "   ")),
    "names in a comment": ("t.txt", ("# ra,dec,mag\n" + BODY).replace(",", " ")),
    "comments at the head and between": ("t.csv", "# a survey\n# 2020\nra,dec,mag\n#1,2,3\n" + BODY),
    "SDSS CasJobs": ("t.csv", "#Table1\nra,dec,mag\n" + BODY),
    "spaces around values": ("t.csv", "ra, dec, mag\n" + BODY.replace(",", " ,  ")),
    "quoted values": ("t.csv", '"ra","dec","mag"\n' + BODY.replace(",", '","').replace("\n", '"\n').replace("1", "1")),
    "signs": ("t.csv", "ra,dec,mag\n" + BODY.replace(",41", ",+41")),
    "VizieR with units and dashes": ("t.tsv", "#VizieR\nra\tdec\tmag\ndeg\tdeg\tmag\n---\t---\t---\n" + BODY.replace(",", "\t")),
    "no newline at the end": ("t.csv", ("ra,dec,mag\n" + BODY).rstrip("\n")),
    "SExtractor": ("t.cat", "#   1 ALPHA_J2000 Right ascension [deg]\n#   2 DELTA_J2000 Declination [deg]\n#   3 MAG  m [mag]\n" + BODY.replace(",", " ")),
    "IPAC": ("t.tbl", "\\catalogue='x'\n|ra         |dec        |mag |\n|double     |double     |int |\n|deg        |deg        |mag |\n" + "".join(" {:11} {:11} {:4} \n".format(*row.split(",")) for row in BODY.split())),
}  # fmt: skip


@pytest.mark.parametrize("kind", TEXTS)
def test_tables_of_text(tmp_path: Path, kind: str) -> None:
    name, content = TEXTS[kind]
    if kind == "quoted values":
        content = content.replace("\n10", '\n"10').replace("\n350", '\n"350').replace("\n200", '\n"200')
    path = text(tmp_path / name, content)
    assert places(path) == expected()
    assert [row["survey_mag"] for row in rows_of(path)] == [1, 2, 3]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_text_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    path = text(tmp_path / "t.csv", "ra,dec,name\n10,41,NGC α\n", encoding)
    assert [row["name"] for row in rows_of(path)] == ["NGC α"]
    with pytest.raises(InputError, match=r"t\.csv: its text is not in UTF-8 \(byte 0xe9\); save it in UTF-8"):
        rows_of(text(tmp_path / "t.csv", "ra,dec,name\n10,41,é\n", "latin-1"))


@pytest.mark.parametrize(
    ("head", "names"),
    [("name,ra,dec", ["#1", "A #2", "#3"]), ("# names begin with A\nname,ra,dec", ["A#1", "A #2", "A3 # 4"])],
)
def test_a_hash_is_a_comment_only_where_the_head_says_so(tmp_path: Path, head: str, names: list[str]) -> None:
    rows = "".join(f"{name},{ra},{dec}\n" for name, ra, dec in zip(names, RA, DEC, strict=True))
    path = text(tmp_path / "t.csv", f"{head}\n{rows}")
    assert [row["name"] for row in rows_of(path)] == names
    assert places(path) == expected()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("kind", ["csv", "fits", "vot", "ecsv", "parquet"])
def test_packed_tables_are_read_whatever_their_name(tmp_path: Path, kind: str, pack: Callable) -> None:
    Table({"ra": RA, "dec": DEC}).write(tmp_path / f"t.{kind}", format="votable" if kind == "vot" else None)
    (tmp_path / "packed").write_bytes(pack((tmp_path / f"t.{kind}").read_bytes()))
    if kind == "parquet":  # it has a compression of its own
        with pytest.raises(
            InputError, match=r"packed: not a readable table \(it is a compressed Parquet file; unpack it"
        ):
            rows_of(tmp_path / "packed")
    else:
        assert places(tmp_path / "packed") == expected()


@pytest.mark.parametrize("ending", ["csv.bz2", "TSV", "dat", "ecsv", "parq"])
def test_endings_of_tables(tmp_path: Path, ending: str) -> None:
    formats = {
        "csv.bz2": "ascii.csv",
        "TSV": "ascii.tab",
        "dat": "ascii.basic",
        "ecsv": "ascii.ecsv",
        "parq": "parquet",
    }
    path = tmp_path / f"t.{ending}"
    Table({"ra": RA, "dec": DEC}).write(path, format=formats[ending])
    if ending == "csv.bz2":
        path.write_bytes(bz2.compress(path.read_bytes()))
    assert places(path) == expected()


def fits_table(path: Path, columns: list[fits.Column], **cards: object) -> Path:
    hdu = fits.BinTableHDU.from_columns(columns)
    hdu.writeto(path, overwrite=True)
    return path


@pytest.mark.parametrize("letter", ["I", "J", "K", "B", "E"])
def test_scaled_columns_of_fits(tmp_path: Path, letter: str) -> None:
    """fitsio returns 8.75e-312 for 10, and astropy cannot read such 64-bit integers."""
    stored = np.array([20, 100, 57])
    path = fits_table(
        tmp_path / "t.fits", [fits.Column("ra", letter, array=stored), fits.Column("dec", "D", array=DEC)]
    )
    for card, value in (("TSCAL1", 0.5), ("TZERO1", 3)):
        fits.setval(path, card, value=value, ext=1)
    if letter != "K":
        np.testing.assert_allclose(Table.read(path)["ra"], stored * 0.5 + 3)
    assert places(path) == expected(stored * 0.5 + 3)


@pytest.mark.parametrize(
    ("letter", "values"),
    [
        ("I", [1, 40_000, 65_535]),
        ("J", [1, 3_000_000_000, 4_294_967_295]),
        ("K", [1, 2**62, 2**63 - 1]),
        ("B", [-128, 3, 127]),
    ],
)
def test_integers_with_an_offset_are_exact(tmp_path: Path, letter: str, values: list[int]) -> None:
    kinds = {"I": np.uint16, "J": np.uint32, "K": np.uint64, "B": np.int8}
    offset = {"bzero": -128} if letter == "B" else {"bzero": 1 << {"I": 15, "J": 31, "K": 63}[letter]}
    columns = [fits.Column("id", letter, array=np.array(values, kinds[letter]), **offset)]
    columns += [fits.Column(name, "D", array=array) for name, array in (("ra", RA), ("dec", DEC))]
    fits_table(tmp_path / "t.fits", columns)
    assert [row["source_id"] for row in rows_of(tmp_path / "t.fits")] == sorted(values)


def with_units(path: Path, kind: str) -> Path:
    ra, dec = np.deg2rad(RA), np.array(DEC) * 60
    table = QTable({"ra": ra * u.rad, "dec": dec * u.arcmin, "radius": [1, 2, 3] * u.arcmin})
    match kind:
        case "Parquet of astropy":
            path = path / "t.parquet"
            table.write(path)
        case "VOParquet":
            path = path / "t.parquet"
            Table(table).write(path, format="parquet.votable", metadata={name: {"unit": str(table[name].unit), "ucd": "", "description": "", "utype": ""} for name in table.colnames})  # fmt: skip
        case "Parquet with units of fields":
            path = path / "t.parquet"
            fields = [pa.field(n, pa.float64(), metadata={"unit": str(table[n].unit)}) for n in table.colnames]
            pq.write_table(pa.table([table[n].value for n in table.colnames], pa.schema(fields)), path)
        case "VOTable":
            path = path / "t.vot"
            Table(table).write(path, format="votable")
        case "ASCII table of FITS":
            path = path / "t.fits"
            fits.TableHDU.from_columns([fits.Column(n, "D25.17", unit=str(table[n].unit), array=table[n].value) for n in table.colnames]).writeto(path)  # fmt: skip
        case "brackets in the names":
            path = path / "t.csv"
            frame = pd.DataFrame({f"{n} [{table[n].unit}]": table[n].value for n in table.colnames})
            frame.to_csv(path, index=False)
        case "IPAC":
            path = path / "t.tbl"
            Table(table).write(path, format="ascii.ipac")
        case "MRT":
            path = path / "t.dat"
            Table(table).write(path, format="ascii.mrt")
        case _:
            path = path / f"t.{kind.lower()}"
            Table(table).write(path)
    return path


@pytest.mark.parametrize(
    "kind",
    ["Parquet of astropy", "VOParquet", "Parquet with units of fields", "VOTable", "ASCII table of FITS", "ECSV", "FITS", "brackets in the names", "IPAC", "MRT"],
)  # fmt: skip
def test_every_unit_that_a_format_carries_is_converted(tmp_path: Path, kind: str) -> None:
    path = with_units(tmp_path, kind)
    columns = {}
    if kind == "brackets in the names":
        columns = {"ra": "ra [rad]", "dec": "dec [arcmin]", "radius": "radius [arcmin]"}
    rows = rows_of(path, columns=columns)
    np.testing.assert_allclose([row["ra"] for row in rows], RA, atol=1e-6)
    np.testing.assert_allclose([row["dec"] for row in rows], DEC, atol=1e-6)
    assert [row["survey_radius"] for row in rows] == pytest.approx([60, 120, 180])
    # A key goes before what the file says.
    assert rows_of(path, columns=columns, units={"radius": "arcsec"})[0]["survey_radius"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("unit", "value", "right"),
    [("hourangle", 2.0, 30.0), ("h", 2.0, 30.0), ("hr", 2.0, 30.0), ("degrees", 2.0, 2.0), ("DEG", 2.0, 2.0), ("mas", 7.2e6, 2.0), ("arcsec", 7200, 2.0), ("radian", 0.1, np.rad2deg(0.1)), ("---", 2.0, 2.0)],
)  # fmt: skip
def test_spellings_of_units(tmp_path: Path, unit: str, value: float, right: float) -> None:
    path = fits_table(
        tmp_path / "t.fits", [fits.Column("ra", "D", unit=unit, array=[value]), fits.Column("dec", "D", array=[1])]
    )
    assert places(path) == expected([right], [1])


@pytest.mark.parametrize("unit", ["km", "parsecs", "d", "pix", "mag"])
def test_units_of_another_kind_are_refused_with_the_key_that_overrides_them(tmp_path: Path, unit: str) -> None:
    path = fits_table(
        tmp_path / "t.fits", [fits.Column("ra", "D", unit=unit, array=[2]), fits.Column("dec", "D", array=[1])]
    )
    with pytest.raises(
        InputError, match=rf"column ra has the unit '{unit}'; expected deg, .*sources\.catalogue\.units: \{{ra"
    ):
        rows_of(path)
    assert places(path, units={"ra": "deg"}) == expected([2], [1])
    with pytest.raises(InputError, match=rf"sources\.catalogue\.units\.ra: '{unit}' is no unit for ra; expected deg"):
        rows_of(path, units={"ra": unit})


def test_units_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    path = with_units(tmp_path, "Parquet of astropy")
    table = pq.read_table(path)
    fields = [field.with_metadata({"unit": "deg"} if field.name == "ra" else {}) for field in table.schema]
    pq.write_table(table.cast(pa.schema(fields, metadata=table.schema.metadata)), path)
    with pytest.raises(InputError, match=r"column ra has the unit 'deg or rad \(its metadata disagree\)'"):
        rows_of(path)


SKY = SkyCoord(RA, DEC, unit="deg")


@pytest.mark.parametrize("style", [{"sep": ":"}, {"sep": " "}, {}])
@pytest.mark.parametrize("kind", ["csv", "fits", "vot", "parquet", "ecsv"])
def test_sexagesimal_positions(tmp_path: Path, kind: str, style: dict[str, str]) -> None:
    texts = [coordinate.to_string("hmsdms", precision=4, **style) for coordinate in SKY]
    if style.get("sep") == " ":
        pairs = [(line[: len("00 42 44.3299")], line[len("00 42 44.3299") + 1 :]) for line in texts]
    else:
        pairs = [tuple(line.split(" ")) for line in texts]
    ra, dec = zip(*pairs, strict=True)
    right = Angle(list(ra), unit="hourangle").deg, Angle(list(dec), unit="deg").deg
    np.testing.assert_allclose(right[0], RA, atol=1e-5)
    table = Table({"ra": ra, "dec": dec})
    table.write(tmp_path / f"t.{kind}", format="votable" if kind == "vot" else None)
    if not style:
        assert places(tmp_path / f"t.{kind}") == expected(*right)
        return
    with pytest.raises(
        InputError, match=rf"row 1: ra is '{ra[0]}'; expected degrees \(10\.6847.* if these are hours"
    ) as caught:
        rows_of(tmp_path / f"t.{kind}")
    assert "sources.catalogue.units: {ra: hourangle}" in str(caught.value)
    assert places(tmp_path / f"t.{kind}", units={"ra": "hourangle"}) == expected(*right)


def test_the_smallest_negative_declinations_keep_their_sign(tmp_path: Path) -> None:
    path = text(tmp_path / "t.csv", "ra,dec\n10,-00:00:30.5\n11,-0 0 1\n")
    assert places(path) == expected([10, 11], [-30.5 / 3600, -1 / 3600])


@pytest.mark.parametrize("bad", ["12:60:00", "25:00:00", "1:2", "12:34:56:78", "noon"])
def test_what_is_no_angle_is_refused_or_flagged(tmp_path: Path, bad: str) -> None:
    path = text(tmp_path / "t.csv", f"ra,dec\n01:00:00,1\n{bad},2\n")
    if bad in {"12:60:00", "25:00:00"}:
        assert [row["flags"] != 0 for row in rows_of(path, units={"ra": "hourangle"})] == [False, True]
    else:
        with pytest.raises(InputError, match=rf"row 2: ra is '{bad}'; expected degrees"):
            rows_of(path, units={"ra": "hourangle"})

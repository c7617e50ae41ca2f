"""What stands in tables: identifiers, missing values, text among numbers, and which of several tables is meant."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable.tree import Field, Resource, TableElement, VOTableFile
from astropy.table import MaskedColumn, Table
from helpers.folder_runs import check as folder_check
from helpers.folder_runs import values_of, write_bands
from helpers.frozen import ROOT
from helpers.sourcelists import check, rows_of
from helpers.synthetic_results import parameters, results

from tuningfork.catalogue.merge import build_catalogue
from tuningfork.core.config import validate
from tuningfork.core.config.measurements import Measurements
from tuningfork.core.config.sources import TableCatalogue
from tuningfork.core.description import describe
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.files import read_json
from tuningfork.core.flags import Flag
from tuningfork.core.tables import read_table
from tuningfork.surveys.folder.survey import FolderSurvey
from tuningfork.surveys.lists.formats import base, stream
from tuningfork.surveys.lists.labels.measured import read_measured
from tuningfork.surveys.lists.sources.table import UserTable

RA, DEC = [10.684708, 350.25, 200.5], [41.26875, -0.008472, 12.5]
BIG = 1_237_648_720_693_755_905
"""An identifier of SDSS, which no floating-point number holds exactly."""
KINDS = ["csv", "parquet", "fits", "vot", "ecsv"]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read tables in parts of two rows, so that the small ones of these tests have several."""
    monkeypatch.setattr(base, "ROWS_PER_PART", 2)


def write(path: Path, kind: str, **columns: Any) -> Path:
    """Write columns beside RA and DEC, with astropy."""
    path /= f"t.{kind}"
    Table({"ra": RA, "dec": DEC} | columns).write(path, format="votable" if kind == "vot" else None, overwrite=True)
    return path


def column(path: Path, name: str, **catalogue: Any) -> list[Any]:
    """Return a column of the sources in the order of RA."""
    rows = rows_of(path, **catalogue)
    return [next(row[name] for row in rows if abs(row["ra"] - ra) < 1e-6) for ra in RA]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masked", [False, True])
def test_large_identifiers_are_exact(tmp_path: Path, kind: str, masked: bool) -> None:
    ids = MaskedColumn([BIG, BIG + 1, BIG + 2], mask=[False, masked, False])
    path = write(tmp_path, kind, objid=ids)
    if masked:  # A row without one makes the others names.
        assert column(path, "name") == [str(BIG), None, str(BIG + 2)]
    else:
        assert column(path, "source_id") == [BIG, BIG + 1, BIG + 2]


@pytest.mark.parametrize("kind", ["parquet", "fits", "vot"])
def test_identifiers_that_have_lost_digits_are_refused(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind, objid=np.array([1, BIG, BIG + 1], float))
    with pytest.raises(
        InputError, match=r"source_id holds floating-point numbers above 2\^53 .* as integers or as text"
    ):
        rows_of(path)


@pytest.mark.parametrize("kind", KINDS)
def test_masked_columns(tmp_path: Path, kind: str) -> None:
    """Of a masked column, astropy writes the values into Parquet, and the mask into another column."""
    mask = [False, True, False]
    path = write(
        tmp_path,
        kind,
        mag=MaskedColumn([15.0, 16.0, 17.0], mask=mask),
        radius=MaskedColumn([1, 2, 3], mask=mask),
        name=MaskedColumn(["a", "b", "c"], mask=mask),
    )
    assert column(path, "survey_mag") == [15, None, 17]
    assert column(path, "survey_radius") == [1, None, 3]
    assert column(path, "name") == ["a", None, "c"]


INDICES = {
    "a column": lambda frame: frame.set_index("source_id"),
    "unnamed integers": lambda frame: frame.set_index("source_id").rename_axis(None),
    "unnamed texts": lambda frame: frame.assign(source_id=["9", "5", "7"]).set_index("source_id").rename_axis(None),
    "a named range": lambda frame: frame.drop(columns="source_id").set_index(pd.RangeIndex(9, 3, -2, name="source_id")),
    "several levels": lambda frame: frame.assign(field=1).set_index(["field", "source_id"]),
}


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_an_index_of_pandas_that_holds_the_identifiers(tmp_path: Path, kind: str, index: str) -> None:
    frame = INDICES[index](pd.DataFrame({"source_id": [9, 5, 7], "ra": RA, "dec": DEC}))
    frame.to_parquet(tmp_path / "t.parquet") if kind == "parquet" else frame.to_csv(tmp_path / "t.csv")
    assert column(tmp_path / f"t.{kind}", "source_id") == ([9, 7, 5] if index == "a named range" else [9, 5, 7])


def test_an_index_whose_numbers_come_twice_identifies_nothing(tmp_path: Path) -> None:
    part = pd.DataFrame({"ra": RA, "dec": DEC})
    pd.concat([part.iloc[:2], part.iloc[[2]]]).reset_index(drop=True).set_axis([0, 1, 0]).to_parquet(
        tmp_path / "t.parquet"
    )
    assert column(tmp_path / "t.parquet", "source_id") == [0, 1, 2]


PLAIN_TYPES = {
    "categories": pa.array(["a", "b", None]).dictionary_encode(),
    "bytes": pa.array([b"a", b"b", None]),
    "large text": pa.array(["a", "b", None], pa.large_string()),
    "views": pa.array(["a", "b", None], pa.string_view()),
}


@pytest.mark.parametrize("kind", PLAIN_TYPES)
def test_texts_of_parquet(tmp_path: Path, kind: str) -> None:
    pq.write_table(pa.table({"ra": RA, "dec": DEC, "name": PLAIN_TYPES[kind]}), tmp_path / "t.parquet")
    assert column(tmp_path / "t.parquet", "name") == ["a", "b", None]


def test_decimal_and_half_numbers_of_parquet(tmp_path: Path) -> None:
    table = {
        "ra": pa.array(RA).cast(pa.decimal128(20, 6)),
        "dec": DEC,
        "mag": pa.array(np.array([15, 16.5, 17], np.float16)),
        "id": pa.array([BIG, BIG + 1, BIG + 2]).cast(pa.decimal128(38, 0)),
    }
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    assert column(tmp_path / "t.parquet", "survey_mag") == [15, 16.5, 17]
    assert column(tmp_path / "t.parquet", "source_id") == [BIG, BIG + 1, BIG + 2]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            pa.array(np.array([1, 2, 3], "datetime64[ns]")),
            r"column ra holds datetime64\[ns\] values; expected numbers for ra",
        ),
        (pa.array([True, False, True]), "column ra holds bool.* values; expected numbers for ra"),
        (pa.array([[1.0, 2.0], [3.0], [4.0]]), r"row 1: ra is '\[1\. 2\.\]'; expected degrees"),
        (pa.array([{"a": 1}] * 3), "row 1: ra is .*; expected degrees"),
    ],
)
def test_columns_of_parquet_that_are_no_numbers(tmp_path: Path, values: pa.Array, message: str) -> None:
    pq.write_table(pa.table({"ra": values, "dec": DEC}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=message):
        rows_of(tmp_path / "t.parquet")


@pytest.mark.parametrize("ending", [".parquet", ".parq", ".pq"])
def test_a_folder_of_parts(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "parts"
    for number in range(3):
        path = folder / f"bin={number}" / f"part-{number}{ending}"
        path.parent.mkdir(parents=True)
        pd.DataFrame({"ra": RA[number : number + 1], "dec": DEC[number : number + 1], "id": [7 - number]}).to_parquet(
            path
        )
    (folder / "_SUCCESS").touch()
    assert column(folder, "source_id") == [7, 6, 5]
    before = check({"kind": "table", "path": str(folder)})["sources"]
    Table({"ra": [1.0], "dec": [2.0]}).write(path, format="parquet", overwrite=True)
    assert check({"kind": "table", "path": str(folder)})["sources"] != before if ending else before
    with pytest.raises(InputError, match=rf"its file part-2\{ending} has no column id, other than part-0"):
        rows_of(folder)
    Table({"ra": [1.0], "dec": [2.0], "id": [3]}, units={"ra": "rad"}).write(path, format="parquet", overwrite=True)
    with pytest.raises(InputError, match=rf"the unit of ra is rad in part-2\{ending} and None in part-0"):
        rows_of(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"a folder without Parquet files"):
        rows_of(tmp_path / "empty")


def votable(path: Path, fields: list[dict[str, Any]], rows: list[tuple]) -> Path:
    document = VOTableFile()
    resource = Resource()
    document.resources.append(resource)
    table = TableElement(document)
    resource.tables.append(table)
    table.fields.extend(Field(document, **values) for values in fields)
    table.create_arrays(len(rows))
    for number, row in enumerate(rows):
        table.array[number] = row
    document.to_xml(str(path))
    return path


def test_fields_whose_id_is_not_their_name(tmp_path: Path) -> None:
    fields = [{"name": name, "ID": f"col{k}", "datatype": "double"} for k, name in enumerate(["ra", "dec", "r mag"])]
    path = votable(tmp_path / "t.xml", fields, list(zip(RA, DEC, [1, 2, 3], strict=True)))
    assert column(path, "survey_mag", columns={"mag": "r mag"}) == [1, 2, 3]
    assert column(path, "survey_mag", columns={"mag": "col2"}) == [1, 2, 3]


@pytest.mark.parametrize("size", ["1", "1*", "*"])
def test_fields_that_are_arrays_of_one(tmp_path: Path, size: str) -> None:
    fields = [{"name": name, "datatype": "double", "arraysize": size} for name in ("ra", "dec", "mag")]
    rows = [([ra], [dec], [mag]) for ra, dec, mag in zip(RA, DEC, [1, 2, 3], strict=True)]
    path = votable(tmp_path / "t.vot", fields, rows)
    assert column(path, "survey_mag") == [1, 2, 3]


def test_fields_that_are_longer_arrays_are_refused_where_they_are_wanted(tmp_path: Path) -> None:
    fields = [{"name": "ra", "datatype": "double"}, {"name": "dec", "datatype": "double"}]
    fields += [{"name": name, "datatype": "double", "arraysize": "2"} for name in ("other", "mag")]
    path = votable(tmp_path / "t.vot", fields, [(ra, dec, [1, 2], [1, 2]) for ra, dec in zip(RA, DEC, strict=True)])
    with pytest.raises(InputError, match=r"row 1: mag is '\[1\. 2\.\]'; expected a number"):
        rows_of(path)
    fits_path = tmp_path / "t.fits"
    Table({"ra": RA, "dec": DEC, "mag": np.ones((3, 2))}).write(fits_path)
    with pytest.raises(
        InputError, match="column mag holds arrays, bits or complex numbers; expected one value per row"
    ):
        rows_of(fits_path)


def several(path: Path, kind: str, names: tuple[str, str, str]) -> Path:
    tables = [Table({"ra": RA, "dec": DEC, "id": [k, k + 1, k + 2]}) for k in (10, 20)]
    other = Table({"x": [1]})
    if kind == "fits":
        hdus = [fits.table_to_hdu(table) for table in (other, *tables)]
        for hdu, name in zip(hdus, names, strict=True):
            hdu.name = name
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path / "t.fits")
        return path / "t.fits"
    document = VOTableFile()
    resource = Resource()
    document.resources.append(resource)
    for table, name in zip((other, *tables), names, strict=True):
        element = TableElement.from_table(document, table)
        element.name = name
        resource.tables.append(element)
    document.to_xml(str(path / "t.vot"))
    return path / "t.vot"


@pytest.mark.parametrize("kind", ["fits", "vot"])
def test_one_of_several_tables_is_chosen_by_name_or_number(tmp_path: Path, kind: str) -> None:
    path = several(tmp_path, kind, ("A", "B", "C"))
    for key, first in ((2, 10), ("B", 10), (3, 20), ("C", 20)):
        assert column(path, "source_id", extension=key) == [first, first + 1, first + 2]
    with pytest.raises(
        InputError, match=r"has the tables 1 \(A\), 2 \(B\), 3 \(C\); say with sources\.catalogue\.extension"
    ):
        rows_of(path)
    with pytest.raises(
        InputError, match=r"no single table 'D' \(sources\.catalogue\.extension\); it has 1 \(A\), 2 \(B\)"
    ):
        rows_of(path, extension="D")


def test_the_only_table_with_positions_is_taken(tmp_path: Path) -> None:
    """Catalogues of SExtractor have the header of the image in a table before that of the sources (FITS_LDAC)."""
    hdus = [
        fits.table_to_hdu(Table({"Field Header Card": ["SIMPLE = T"]})),
        fits.table_to_hdu(Table({"ra": RA, "dec": DEC})),
    ]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "t.cat")
    assert len(rows_of(tmp_path / "t.cat")) == 3


SENTINELS = [-99, -99.99, -999, -9999, 99, 99.99, 999, 9999, float("inf"), float("-inf"), -1e20]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_stand_for_missing_values_become_null(tmp_path: Path, kind: str, dtype: type) -> None:
    values = np.array([15.5, *SENTINELS, -2.5], dtype)
    path = tmp_path / f"t.{kind}"
    table = Table({"ra": np.arange(len(values)), "dec": np.zeros(len(values)), "mag": values, "redshift": values})
    table.write(path, format="votable" if kind == "vot" else None)
    rows = rows_of(path)
    assert [row["survey_mag"] for row in rows] == [15.5, *[None] * len(SENTINELS), -2.5]
    assert [row["redshift"] for row in rows] == [15.5, *[None] * len(SENTINELS), None]


@pytest.mark.parametrize(
    ("value", "right"), [(-99, None), (-1, None), (0, None), (9999, None), (99, 99.0), (-9999, None)]
)
def test_radii_may_be_99_but_not_negative(tmp_path: Path, value: float, right: float | None) -> None:
    assert column(write(tmp_path, "csv", radius=[1.0, value, 2.0]), "survey_radius") == [1, right, 2]


def test_the_account_says_how_many_values_were_missing_by_a_number(tmp_path: Path) -> None:
    table = UserTable(TableCatalogue(path=str(write(tmp_path, "csv", mag=[-99, 16, 99], radius=[1, -1, 2]))))
    lists = [table.sources(shard) for shard in table.shards(0)]
    run = results(tmp_path / "results")
    for path, made in zip(run.paths("sources"), lists, strict=False):
        known = read_table(path)
        pq.write_table(known.replace_schema_metadata(made.schema.metadata | known.schema.metadata), path)
    build_catalogue(parameters("catalogue"), run.catalogue_files())
    account = read_json(run.folder / "accounting.json")
    assert len(lists) == 3
    assert account["total"]["missing_values"] == {"survey_mag": 2, "survey_radius": 1}


@pytest.mark.parametrize("kind", ["csv", "parquet", "fits", "vot", "ecsv"])
@pytest.mark.parametrize(
    ("name", "bad"), [("radius", "large"), ("mag", "17,5"), ("ra", "10,68"), ("redshift", "1.2.3"), ("dec", "x")]
)
def test_text_among_numbers_is_refused_by_row(tmp_path: Path, kind: str, name: str, bad: str) -> None:
    values = {"ra": ["1.0", "2.0", bad], "dec": ["1.0", "", bad]}.get(name, ["1.0", "--", bad])
    path = write(tmp_path, kind, **{name: values})
    with pytest.raises(InputError, match=rf"row 3: {name} is '{bad}'; expected (a number, or nothing|degrees)"):
        rows_of(path)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_numbers_in_words(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind, mag=["17.5", "N/A", "--"], redshift=["null", "0.1", "NaN"])
    assert column(path, "survey_mag") == [17.5, None, None]
    assert column(path, "redshift") == pytest.approx([None, 0.1, None])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("ra,dec,ra", r"has 2 columns called ra and ra, and ra can be only one of them"),
        ("ra,dec,RA", r"has 2 columns called ra and RA"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet", "fits"])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, kind: str, columns: str, message: str) -> None:
    names = columns.split(",")
    values = [RA, DEC, [1.0, 2.0, 3.0]]
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        path.write_text(columns + "\n" + "".join(f"{a},{b},{c}\n" for a, b, c in zip(*values, strict=True)))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_arrays([pa.array(v) for v in values], names=names), path)
    else:
        fits.BinTableHDU.from_columns([fits.Column(f"c{k}", "D", array=v) for k, v in enumerate(values)]).writeto(path)
        for k, name in enumerate(names, 1):
            fits.setval(path, f"TTYPE{k}", value=name, ext=1)
    with pytest.raises(InputError, match=message):
        rows_of(path)
    if names[2] == "RA":
        assert column(path, "dec", columns={"ra": "ra"}) == DEC
    other = path.read_bytes()
    assert other  # a column that is not wanted may come twice
    unwanted = tmp_path / "u.csv"
    unwanted.write_text("ra,dec,x,x\n1,2,3,4\n")
    assert len(rows_of(unwanted)) == 1


EMPTY = {
    "csv": lambda path: path.write_text("ra,dec\n"),
    "parquet": lambda path: pd.DataFrame({"ra": [], "dec": []}, dtype=float).to_parquet(path),
    "fits": lambda path: Table({"ra": np.array([]), "dec": np.array([])}).write(path),
    "vot": lambda path: Table({"ra": np.array([]), "dec": np.array([])}).write(path, format="votable"),
    "ecsv": lambda path: Table({"ra": np.array([]), "dec": np.array([])}).write(path),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_a_table_without_rows_is_refused_before_any_job(tmp_path: Path, kind: str) -> None:
    EMPTY[kind](tmp_path / f"t.{kind}")
    with pytest.raises(ConfigurationError, match=rf"t\.{kind}: has no rows; expected one for each source"):
        check({"kind": "table", "path": str(tmp_path / f"t.{kind}")})


def test_positions_of_any_convention(tmp_path: Path) -> None:
    """Right ascensions from -180 to 180 are those from 0 to 360; impossible declinations are flagged."""
    pd.DataFrame({"ra": [-9.75, 350.25, 370.0, 10.0, -999.0], "dec": [1, 1, 1, 90.5, -999]}).to_csv(tmp_path / "t.csv")
    rows = rows_of(tmp_path / "t.csv")
    assert [row["ra"] for row in rows] == pytest.approx([350.25, 350.25, 10.0, None, None])
    assert [row["flags"] for row in rows] == [0, 0, 0, int(Flag.NO_POSITION), int(Flag.NO_POSITION)]


def test_numbers_of_a_measured_galaxy_that_are_missing_leave_the_others(tmp_path: Path) -> None:
    path = write(tmp_path, "fits", mag=[15.0, -99, 17], sersic_n=[1.0, 2.0, -9999], position_angle=[99.0, -99.0, 10.0])
    measured = read_measured(Measurements(table=str(path)))
    assert measured is not None
    assert (measured.fault == "").all()
    np.testing.assert_array_equal(measured.rows["mag"], [15, np.nan, 17])
    np.testing.assert_array_equal(measured.rows["sersic_n"], [1, 2, np.nan])
    np.testing.assert_array_equal(measured.rows["position_angle"], [99, np.nan, 10])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"ra,dec\n1,2,3,4\n", r"its first row has 4 fields, and its head 2 columns"),
        ("t.csv", b"ra,dec\n1,2\n1,2,3\n", r"row 2 has more fields than columns"),
        ("t.csv", b"ra,dec\n1,2\n1,2,3,4\n", r"Expected 3 fields in line 2, saw 4"),
        ("t.csv", b"1,2\n3,4\n", r"its first line that is no comment holds numbers \(1,2\); expected the names of columns"),
        ("t.csv", b"# ra,dec\n", r"no line has the names of its columns"),
        ("t.csv", b"", r"it is empty"),
        ("t.csv", b"ra,dec\n1,\x002\n", r"it holds NUL bytes, so it is no text"),
        ("t.csv", b"\n<!DOCTYPE html>\n<html>\n", r"it is a web page; fetch the table again"),
        ("t.fits.gz", b"404 not found\n", r"by its name it is FITS, but it begins as FITS does not"),
        ("t.h5", b"\x89HDF\r\n\x1a\n", r"it is HDF5"),
        ("t.xlsx", b"PK\x03\x04", r"it is a zip or Excel file"),
        ("t.fits", b"SIMPLE  =                    T", r"not a readable table"),
        ("t.vot", b"<?xml version='1.0'?><VOTABLE><RESOURCE>", r"not a readable table"),
        ("t.vot", b"<?xml version='1.0'?><VOTABLE><RESOURCE><TABLE nrows='99999999999'>", r"it claims 99999999999 rows"),
        ("t.vot", b"<?xml version='1.0'?><FIELD name='a' datatype='double' arraysize='999999999'/>", r"it claims arrays of 999"),
        ("t.parquet", b"PAR1 and no more", r"not a readable table"),
        ("t.ecsv", b"# %ECSV 1.0\n# ---\n# datatype: [\n", r"its ECSV header has no end"),
        ("t.ecsv", b"# %ECSV 1.0\n# ---\n# datatype: [\nra dec\n", r"its ECSV header is no YAML"),
    ],
)  # fmt: skip
def test_damaged_files_are_said_in_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        rows_of(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_a_fits_table_that_claims_more_rows_than_it_has_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path, "fits")
    fits.setval(path, "NAXIS2", value=2**40, ext=1)
    with pytest.raises(InputError, match=r"t\.fits: not a readable table"):
        rows_of(path)


def test_a_bomb_of_gzip_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "ROWS_PER_PART", 100_000)
    monkeypatch.setattr(stream, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(stream, "MAX_LINE_BYTES", 1 << 20)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"ra,dec\n" + b"1.0,2.0\n" * 1_000_000))
    with pytest.raises(InputError, match=r"it is 200 times larger when unpacked, which tables are not"):
        rows_of(tmp_path / "t.csv.gz")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"ra,dec\n" + b"1" * 4_000_000))
    with pytest.raises(InputError, match=r"it has a line of more than 1 MiB"):
        rows_of(tmp_path / "t.csv.gz")


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_that_has_only_the_names_of_images(tmp_path: Path, kind: str) -> None:
    write_bands(tmp_path / "images", "ngc1", 10.0, 20.0, bands="r")
    path = tmp_path / f"t.{kind}"
    Table({"file": ["ngc1-r.fits"], "name": ["NGC 1"]}).write(path, format="votable" if kind == "vot" else None)
    folder_check(tmp_path, path.name)
    catalogue = validate(values_of(tmp_path, path.name, bands=["r"]))
    survey = FolderSurvey(catalogue.survey.folder, describe(catalogue, ROOT / "config" / "surveys"))
    own = survey.own(UserTable(TableCatalogue(path=str(path))))
    [row] = [row for shard in own.shards(0) for row in own.sources(shard).to_pylist()]
    assert (row["name"], row["ra"], row["dec"]) == ("NGC 1", pytest.approx(10), pytest.approx(20))

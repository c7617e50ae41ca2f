"""Values of tables that programs have changed or that names of columns explain: identifiers, and units in names."""

from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from helpers.sourcelists import rows_of

from tuningfork.core.config.measurements import Measurements
from tuningfork.core.errors import InputError
from tuningfork.surveys.lists.formats import base
from tuningfork.surveys.lists.labels.measured import read_measured

RA, DEC = [10.684708, 50.25, 100.5], [41.26875, -0.008472, 12.5]
TEXTS = ["csv", "ecsv", "parquet", "fits", "vot"]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "ROWS_PER_PART", 2)


def write(folder: Path, kind: str, columns: dict[str, Any]) -> Path:
    path = folder / f"t.{kind}"
    Table(columns).write(path, format="votable" if kind == "vot" else None, overwrite=True)
    return path


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("bad", ["1.237668297E+18", "1.23767e+18", "1E+18", "1237648720693755904.0"])
def test_identifiers_that_a_spreadsheet_has_rounded_are_refused(tmp_path: Path, kind: str, bad: str) -> None:
    path = write(tmp_path, kind, {"id": ["1", "2", bad], "ra": RA, "dec": DEC, "mag": [1.0, 2, 3]})
    shown = bad.replace("+", r"\+")
    with pytest.raises(InputError, match=rf"source_id holds .*\({shown}\).* last digits are lost; save it as integers"):
        rows_of(path)
    with pytest.raises(InputError, match=r"last digits are lost"):
        read_measured(Measurements(table=str(path)))


@pytest.mark.parametrize("kind", TEXTS)
def test_whole_numbers_with_a_decimal_point_are_integers(tmp_path: Path, kind: str) -> None:
    texts = ["1.0", "20.", "9007199254740991.00"]
    path = write(tmp_path, kind, {"id": texts, "ra": RA, "dec": DEC, "mag": [1.0, 2, 3]})
    assert [(row["source_id"], row["name"]) for row in rows_of(path)] == [(int(float(text)), None) for text in texts]
    measured = read_measured(Measurements(table=str(path)))
    assert measured is not None
    assert list(measured.rows["source_id"]) == ["1", "20", "9007199254740991"]


def test_integers_that_pandas_has_made_floats_for_a_missing_one(tmp_path: Path) -> None:
    pd.DataFrame({"id": [5, None, 7], "ra": RA, "dec": DEC}).to_csv(tmp_path / "t.csv", index=False)
    assert [row["name"] for row in rows_of(tmp_path / "t.csv")] == ["5", None, "7"]


@pytest.mark.parametrize("name", ["2E10", "J1.5+18", "1.5", "NGC 1.0", "3.0a", "1e5", "A+B"])
def test_names_that_only_look_alike_are_kept(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, "csv", {"id": ["x", "y", name], "ra": RA, "dec": DEC})
    assert [row["name"] for row in rows_of(path)] == ["x", "y", name]


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize(
    ("first", "second", "radius"),
    [("ra (rad)", "dec (arcmin)", "radius (arcmin)"), ("ra(hours)", "dec (deg)", "radius(mas)"), ("ra [rad]", "dec [deg]", "radius [arcmin]"), ("ra (h)", "dec (degrees)", 'radius (")')],
)  # fmt: skip
def test_units_in_the_names_of_columns(tmp_path: Path, kind: str, first: str, second: str, radius: str) -> None:
    units = {"rad": u.rad, "arcmin": u.arcmin, "hours": u.hourangle, "h": u.hourangle, "deg": u.deg, "mas": u.mas, "degrees": u.deg, '"': u.arcsec}  # fmt: skip
    columns = {}
    for name, values in ((first, RA * u.deg), (second, DEC * u.deg), (radius, [1.0, 2, 3] * u.arcsec)):
        columns[name] = values.to_value(units[name.strip("])").replace("[", "(").split("(")[1]])
    path = write(tmp_path, kind, columns)
    rows = rows_of(path, columns={"ra": first, "dec": second, "radius": radius})
    np.testing.assert_allclose([row["ra"] for row in rows], RA)
    np.testing.assert_allclose([row["dec"] for row in rows], DEC)
    np.testing.assert_allclose([row["survey_radius"] for row in rows], [1, 2, 3])
    given = rows_of(path, columns={"ra": first, "dec": second, "radius": radius}, units={"radius": "arcsec"})
    np.testing.assert_allclose([row["survey_radius"] for row in given], columns[radius])


def test_parentheses_that_hold_no_unit(tmp_path: Path) -> None:
    names = {"ra": "ra (J2000)", "dec": "dec (ICRS)", "mag": "mag (g)", "redshift": "redshift (s)"}
    for mag in ("mag (AB)", "mag (r)", "mag (m)", "mag (ST)", "mag (g)"):
        names["mag"] = mag
        path = write(tmp_path, "csv", {names[n]: [1.0, 2.0] for n in names})
        assert [(row["ra"], row["survey_mag"]) for row in rows_of(path, columns=names)] == [(1, 1), (2, 2)]
    path = write(tmp_path, "csv", {"ra": [1.0], "dec": [2.0], "radius (kpc)": [3.0]})
    with pytest.raises(InputError, match=r"column radius \(kpc\) has the unit 'kpc'; expected arcsec"):
        rows_of(path, columns={"radius": "radius (kpc)"})

"""The declarations of the columns are correct and the documentation follows them."""

import difflib
from pathlib import Path

import astropy.units as u
import pytest
from astropy.io.votable import ucd

from tuningfork.catalogue.page import columns_page
from tuningfork.catalogue.voparquet import HEALPIX
from tuningfork.core.columns import TRUTH, Column, of_stage, published, schema
from tuningfork.core.flags import MEANINGS, Flag

COLUMNS = [HEALPIX, *published(["g", "r", "i"]), *TRUTH]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_units_and_ucds_are_those_of_the_virtual_observatory(column: Column) -> None:
    if column.unit:
        u.Unit(column.unit, format="vounit")
    assert ucd.check_ucd(column.ucd, check_controlled_vocabulary=True)
    assert column.description
    assert column.name == column.name.lower()


def test_names_are_unique() -> None:
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)


def test_an_error_follows_what_it_is_the_error_of() -> None:
    by_name = {column.name: column for column in COLUMNS}
    for name, column in by_name.items():
        if name.endswith("_error"):
            value = by_name[name.removesuffix("_error")]
            assert (column.unit, column.dtype) == (value.unit, value.dtype)


def test_every_stage_is_published() -> None:
    stages = {column.stage for column in published(["r"])}
    assert stages == {"sources", "stamps", "classify", "structure", "bars", "features"}
    assert {column.name for column in of_stage("bars")} <= {column.name for column in published(["r"])}


def test_the_schema_carries_units() -> None:
    assert schema(COLUMNS).field("r_eff").metadata[b"unit"] == b"arcsec"


def test_every_flag_has_a_meaning_and_one_bit() -> None:
    assert set(MEANINGS) == set(Flag)
    assert all(flag.value.bit_count() == 1 for flag in Flag)


def test_the_documentation_follows_the_declarations(root: Path) -> None:
    page = root / "docs" / "columns.md"
    written, expected = page.read_text(encoding="utf-8"), columns_page()
    difference = difflib.unified_diff(written.splitlines(), expected.splitlines(), "docs/columns.md", "expected")
    assert written == expected, "\n".join(["write it anew: tuningfork columns --write .", *difference])

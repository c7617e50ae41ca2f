"""docs/columns.md, written from the declarations of the columns and of the flags."""

from collections.abc import Sequence

from tuningfork.catalogue.voparquet import HEALPIX
from tuningfork.core.columns import Column, published
from tuningfork.core.decision_tree import questions
from tuningfork.core.flags import MEANINGS, Flag

TITLES = {
    "catalogue": "Place in the file",
    "sources": "Source",
    "stamps": "Stamp",
    "classify": "Morphology",
    "structure": "Light profile",
    "bars": "Bar",
    "features": "Bulge and spiral arms",
}
NOTES = {
    "stamps": "Columns that end in a band exist for each band of the survey; here for g, r and i.",
    "classify": "Fractions are those of the votes that a group of volunteers would give. They follow a Dirichlet\n"
    "distribution whose concentrations are published: their sum says how sure the network is. The fraction of a\n"
    "question is that among the volunteers who are asked it; `p_bar` also counts how many are asked.",
    "structure": "One Sersic profile, deconvolved from the PSF, in the reference band. A network gives a first answer, a\n"
    "least-squares fit that starts from it a second; both are combined with weights learned on held-out simulated\n"
    "galaxies, parameter by parameter, and `structure_method` is `network` where the fit was not used. An error is the half width\n"
    "of the interval that holds the truth of 68 % of such galaxies; tails are heavier than normal, and the degrees of\n"
    "freedom of Student's distribution that describes them are in `results/models/profiles.json`\n"
    "(`structure_calibration`, `errors`). `r_eff` and `sersic_n` are medians, `axis_ratio` and `bulge_to_total` means of\n"
    "their distributions. A parameter that the network did not learn is null.",
    "bars": "Bar lengths are full lengths (both sides of the centre), as seen on the sky: not deprojected.\n"
    "`bar_length` is null where the flag NOT_BARRED is set; the estimators behind it stay for those who set their own\n"
    "threshold in `p_bar`.",
    "features": "Given wherever the galaxy can be seen, of whatever class: arms only mean something in a disc that is not\n"
    "edge-on. `bulge_fraction` comes from what people would say; `bulge_to_total` is the better number. The masks of the\n"
    "arms are in `results/features/<shard>.npy`, see docs/features.md.",
}
HEAD = """\
# Columns of the catalogue

Written from `src/tuningfork/core/columns.py` and `flags.py` by `tuningfork columns --write .`; a test fails when
they differ. Do not edit this page.

The same columns are in `results/catalogue` (HATS: for LSDB, and for all that reads a folder of Parquet files) and in
`results/catalogue.parquet` (one file: for TOPCAT, astropy, pandas, DuckDB). Every source of the input is one row.

```python
import lsdb

nearby = lsdb.open_catalog("results/catalogue").cone_search(ra=210.1, dec=0.1, radius_arcsec=60).compute()

from astropy.table import Table

table = Table.read("results/catalogue.parquet")  # with units; a missing text reads 'None'

import duckdb

duckdb.sql("select source_id, bar_length from 'results/catalogue.parquet' where p_bar > 0.8 and flags & 65 = 0")

from tuningfork.core.flags import decode

decode(33)  # ['NO_POSITION', 'PADDED']
```

A missing value is null, never a number such as -99. Angles on the sky run from north through east. A source without a
position (flag NO_POSITION) stands first in its partition; drop those (`catalogue.query("ra.notna()")`) before a
cross-match with LSDB, which needs positions. The file's metadata say where it comes from: the hash of every stage's
parameters, of the networks' weights, and the versions of the software.
"""


def columns_page(bands: Sequence[str] = ("g", "r", "i")) -> str:
    """Return the text of docs/columns.md.

    Parameters
    ----------
    bands : sequence of str
        Bands for which the columns of each band are listed.
    """
    columns = [HEALPIX, *published(bands)]
    stages = list(dict.fromkeys(column.stage for column in columns))
    parts = [HEAD, *(_section(stage, [column for column in columns if column.stage == stage]) for stage in stages)]
    return "\n".join([*parts, _questions(), _flags()])


def _section(stage: str, columns: Sequence[Column]) -> str:
    lines = [f"## {TITLES[stage]}", ""]
    if stage in NOTES:
        lines += [NOTES[stage], ""]
    lines += ["| column | type | unit | description | UCD |", "| --- | --- | --- | --- | --- |"]
    for column in columns:
        cells = [f"`{column.name}`", str(column.dtype), column.unit or "", column.description, f"`{column.ucd}`"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _questions() -> str:
    lines = ["## Questions behind the vote fractions", "", "| question | answers | asked |", "| --- | --- | --- |"]
    for question in questions():
        asked = f"of those who answer `{question.after}`" if question.after else "always"
        lines.append(f"| {question.text} | {', '.join(f'`{label}`' for label in question.labels)} | {asked} |")
    return "\n".join([*lines, ""])


def _flags() -> str:
    lines = ["## Flags", "", "| bit | value | name | meaning |", "| --- | --- | --- | --- |"]
    for flag in Flag:
        lines.append(f"| {flag.value.bit_length() - 1} | {flag.value} | `{flag.name}` | {MEANINGS[flag]} |")
    return "\n".join([*lines, ""])

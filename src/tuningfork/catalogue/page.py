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
    "classify": "Fractions are the expected vote fractions of a group of volunteers. They follow a Dirichlet distribution\n"
    "whose concentrations are published: the larger their sum, the surer the network. A `_fraction` is the share among\n"
    "the volunteers who are asked the question; `bar_vote_share` is the share among all volunteers, including those who are not\n"
    "asked about a bar because they see no disc or an edge-on one. `bar_vote_share` is not the probability that a galaxy has a\n"
    "bar, because volunteers miss many bars; that is `bar_probability`. An error is the standard deviation of the fraction.",
    "structure": "One Sersic profile, deconvolved from the PSF, in the reference band. A network gives a first answer, a\n"
    "least-squares fit that starts from it gives a second; both are combined with weights learned on simulated\n"
    "validation galaxies, parameter by parameter, and `structure_method` is `network` where the fit was not used. An\n"
    "error is half the width of the central interval that holds the true value of 68 % of such galaxies. It is not the\n"
    "standard deviation, which is larger because a few galaxies are far off. How many times as wide the 95 % interval\n"
    "is stands in the metadata of the catalogue, under `tuningfork.intervals`, for each parameter ([how to use\n"
    "it](structure.md#columns)). `r_eff` and `sersic_n` are medians, `axis_ratio` and `bulge_to_total` means of their\n"
    "distributions. A parameter that the network did not learn is null.",
    "bars": "Bar lengths are full lengths, from end to end, as seen on the sky: not deprojected. `bar_length` is null\n"
    "where the flag NOT_BARRED is set. The lengths of the single estimators are kept there, for those who set their own\n"
    "threshold in `bar_probability`. The direct estimator gives a length for every source with a stamp. The others are null where\n"
    "they see no bar: in the default run, the mask in 13 % of the sources, the Fourier harmonics in 26 %, the saliency\n"
    "map in none. The error of a length is the length times the error of its logarithm. The error of `bar_length` holds\n"
    "68 % of the validation bars; the errors of single estimators are standard deviations.",
    "features": "Every galaxy that can be seen has these columns, but spiral arms mean something only in a disc that is\n"
    "not edge-on. `bulge_fraction` follows what volunteers would say; `bulge_to_total` is the better estimate. Errors\n"
    "hold 68 % of the validation galaxies. The masks of the arms are in `results/features/<shard>.npy`, see\n"
    "docs/features.md.",
}
HEAD = """\
# Columns of the catalogue

Written from `src/tuningfork/core/columns/` and `flags.py` by `tuningfork columns --write .`; a test fails when
they differ. Do not edit this page.

`results/catalogue` (HATS: for LSDB and other programs that read a folder of Parquet files) and
`results/catalogue.parquet` (one file: for TOPCAT, astropy, pandas, DuckDB) have the same columns. Every source of the
input is one row.

```python
import lsdb

nearby = lsdb.open_catalog("results/catalogue").cone_search(ra=210.1, dec=0.1, radius_arcsec=60).compute()

from astropy.table import Table

table = Table.read("results/catalogue.parquet")  # with units; a missing text reads 'None'

import duckdb

duckdb.sql("select name, bar_length from 'results/catalogue.parquet' where bar_probability > 0.8 and flags & 65 = 0")

from tuningfork.core.flags import decode

decode(33)  # ['NO_POSITION', 'PADDED']
```

A missing value is null, never a number such as -99. Angles on the sky run from north through east. A source without a
position (flag NO_POSITION) stands first in its partition; drop those (`catalogue.query("ra.notna()")`) before a
cross-match with LSDB, which needs positions. The file's metadata record its origin: the hash of every stage's
parameters and of the networks' weights, and the versions of the software.
"""


def columns_page(bands: Sequence[str] = ("g", "r", "i")) -> str:
    """Return the text of docs/columns.md.

    Parameters
    ----------
    bands : sequence of str
        Bands whose columns are listed.
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

"""Time and memory of reading a user's table of sources in each format, beside pandas and astropy in the same run.

    python benchmarks/tables.py [--rows 1000000] [--repeats 3] [--quick]

Each reading is a process of its own. Ours reads as the stage `sources` does: in parts, the columns that the list of
sources has, converted to our units, checked row by row. The others read the same file whole, into a frame of
pandas. The last line
is JSON: the ratios of the times (ours over the other's, medians) and our largest memory.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.table import Table

from tuningfork.core.config.sources import TableCatalogue
from tuningfork.surveys.lists.sources.table import UserTable

OTHERS = {
    "csv": ("pandas", pd.read_csv),
    "parquet": ("pandas", pd.read_parquet),
    "fits": ("astropy", lambda path: Table.read(path).to_pandas()),
    "votable": ("astropy", lambda path: Table.read(path, format="votable").to_pandas()),
    "ecsv": ("astropy", lambda path: Table.read(path, format="ascii.ecsv").to_pandas()),
}
ENDINGS = {"votable": "vot"}
RATIOS = ("csv", "parquet", "fits", "votable")


def write(folder: Path, rows: int) -> dict[str, Path]:
    """Write the same table in each format, and return the files."""
    rng = np.random.default_rng(1)
    table = Table({
        "source_id": 1_237_648_720_693_755_904 + np.arange(rows), "ra": rng.uniform(0, 360, rows),
        "dec": np.rad2deg(np.arcsin(rng.uniform(-1, 1, rows))), "mag": rng.uniform(14, 20, rows),
        "radius": rng.uniform(1, 30, rows), "redshift": rng.uniform(0, 0.2, rows),
        "name": [f"J{k:09d}" for k in range(rows)],
    })  # fmt: skip
    files = {kind: folder / f"t.{ENDINGS.get(kind, kind)}" for kind in OTHERS}
    frame = table.to_pandas()
    frame.to_csv(files["csv"], index=False)
    frame.to_parquet(files["parquet"], index=False)
    table.write(files["fits"])
    write_votable(files["votable"], frame)
    header = "".join(
        f"# - {{name: {n}, datatype: {'string' if n == 'name' else table[n].dtype}}}\n" for n in table.colnames
    )
    with files["ecsv"].open("w") as file:
        file.write(f"# %ECSV 1.0\n# ---\n# datatype:\n{header}# schema: astropy-2.0\n")
        frame.to_csv(file, index=False, sep=" ")
    return files


def write_votable(path: Path, frame: pd.DataFrame) -> None:
    """Write a VOTable by hand: astropy's writer ends in a segmentation fault at 300,000 rows."""
    types = {"i": "long", "f": "double"}
    with path.open("w") as file:
        file.write(
            '<?xml version="1.0"?><VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>'
        )
        file.write("<TABLE>")
        for name in frame:
            kind = types.get(frame[name].dtype.kind)
            size = "" if kind else ' arraysize="*"'
            file.write(f'<FIELD name="{name}" datatype="{kind or "char"}"{size}/>')
        file.write("<DATA><TABLEDATA>")
        for row in frame.itertuples(index=False):
            file.write("<TR>" + "".join(f"<TD>{value}</TD>" for value in row) + "</TR>\n")
        file.write("</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>")


def read(kind: str, path: Path, ours: bool) -> int:
    """Read a file and return the number of rows."""
    if not ours:
        return len(OTHERS[kind][1](path))
    table = UserTable(TableCatalogue(path=str(path)))
    return sum(len(frame) for frame in table.frames(list(table.columns)))


def measured(kind: str, path: Path, ours: bool) -> tuple[float, float]:
    """Return seconds and GiB of one reading, in a process of its own."""
    who = "ours" if ours else "other"
    command = [sys.executable, "-W", "ignore", __file__, "--read", kind, str(path), who]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return result["seconds"], result["gib"]


def main() -> None:
    """Measure, and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="20,000 rows, once")
    parser.add_argument("--read", nargs=3, metavar=("KIND", "PATH", "WHO"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        kind, path, who = options.read
        begin = time.process_time()
        rows = read(kind, Path(path), who == "ours")
        seconds = time.process_time() - begin
        # ru_maxrss would be that of the process that started this one, if it is larger.
        gib = int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / (1 << 20)
        print(json.dumps({"rows": rows, "seconds": seconds, "gib": gib}))
        return
    rows, repeats = (20_000, 1) if options.quick else (options.rows, options.repeats)
    result: dict[str, float] = {"peak_gib": 0.0}
    print(f"{rows} rows, 7 columns; seconds of CPU, median of {repeats}, alternating; GiB with all libraries")
    print(f"{'format':9} {'MB':>5} {'ours':>7} {'other':>7} {'ratio':>6} {'GiB':>5} {'other':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for kind, path in write(Path(folder), rows).items():
            pairs = [(measured(kind, path, True), measured(kind, path, False)) for _ in range(repeats)]
            mine, theirs = (statistics.median(pair[who][0] for pair in pairs) for who in (0, 1))
            memory = [max(pair[who][1] for pair in pairs) for who in (0, 1)]
            result["peak_gib"] = max(result["peak_gib"], memory[0])
            if kind in RATIOS:
                result[f"ratio_{kind}"] = mine / theirs
            size = path.stat().st_size / 1e6
            print(
                f"{kind:9} {size:5.0f} {mine:7.2f} {theirs:7.2f} {mine / theirs:6.2f} {memory[0]:5.2f} {memory[1]:6.2f}  {OTHERS[kind][0]}"
            )
    print(json.dumps({name: round(value, 3) for name, value in sorted(result.items())}))


if __name__ == "__main__":
    main()

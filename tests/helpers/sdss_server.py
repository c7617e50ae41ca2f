"""A loopback server that answers like SkyServer and the SDSS Science Archive Server.

It serves the field of `sdss_field`. The catalogue is served by SQL, which SQLite runs, so that the WHERE clause is
obeyed, and as photoObj and window files.
"""

import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from helpers.sdss_field import (
    BANDS,
    CAMCOL,
    FIELD,
    GALAXY_ZOO,
    INCL,
    LIST_OF_BAND,
    NODE,
    RERUN,
    RUN,
    Field,
    Source,
    shared_field,
)
from helpers.servers.base import NOT_FOUND, Answer, Request, Service
from helpers.servers.faults import Faults

__all__ = ["CAMCOL", "FIELD", "GALAXY_ZOO", "NODE", "RERUN", "RUN", "Field", "SdssServer", "Source", "shared_field"]


class SdssServer(Service):
    """The server; a context manager. Frames and flat files lie under `url`/sas.

    Attributes
    ----------
    queries : list of str
        The SQL that SkyServer was asked.
    """

    def __init__(self, real_data: Path, shared: Field | None = None, faults: Faults | None = None) -> None:
        super().__init__(faults=faults)
        self.field = shared or shared_field(real_data)
        self.queries: list[str] = []
        self._lock = threading.Lock()
        self._database = self._catalogue()
        photo, run = "/sas/dr17/eboss", f"{RUN:06d}-{CAMCOL}-{FIELD:04d}"
        self._files: dict[str, Callable[[], bytes]] = (
            {
                f"{photo}/photoObj/frames/{RERUN}/{RUN}/{CAMCOL}/frame-{band}-{run}.fits.bz2": partial(
                    self.field.frame, band
                )
                for band in LIST_OF_BAND
            }
            | {
                f"{photo}/photo/redux/{RERUN}/{RUN}/objcs/{CAMCOL}/fpM-{RUN:06d}-{band}{CAMCOL}-{FIELD:04d}.fit.gz": partial(
                    self.field.mask, band
                )
                for band in LIST_OF_BAND
            }
            | {
                f"{photo}/photo/redux/{RERUN}/{RUN}/objcs/{CAMCOL}/psField-{run}.fit": self.field.psf_field,
                f"{photo}/photoObj/{RERUN}/{RUN}/{CAMCOL}/photoObj-{run}.fits": self.field.photo_obj,
                f"{photo}/resolve/2013-07-29/window_flist.fits": self.field.window_flist,
                f"{photo}/resolve/2013-07-29/window_blist.fits": self.field.window_blist,
            }
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The section survey.sdss that points here."""
        return {"skyserver_url": self.url, "sas_url": f"{self.url}/sas"}

    def _catalogue(self) -> sqlite3.Connection:
        database = sqlite3.connect(":memory:", check_same_thread=False)
        database.execute(
            "CREATE TABLE PhotoPrimary (objID INTEGER, ra REAL, dec REAL, type INTEGER, petroMag_r REAL, petroR50_r REAL,"
            " fieldID INTEGER)"
        )
        rows = [(s.objid, s.ra, s.dec, 3 if s.galaxy else 6, s.mag, s.radius, 0) for s in self.field.sources]
        database.executemany(f"INSERT INTO PhotoPrimary VALUES ({','.join('?' * 7)})", rows)
        database.execute("CREATE VIEW Galaxy AS SELECT * FROM PhotoPrimary WHERE type = 3")
        database.execute("CREATE TABLE SpecObj (bestObjID INTEGER, z REAL, zWarning INTEGER)")
        database.execute("INSERT INTO SpecObj VALUES (?, 0.1, 0)", (GALAXY_ZOO[0],))
        database.execute(
            "CREATE TABLE Field (fieldID INTEGER, rerun INTEGER, run INTEGER, camcol INTEGER, field INTEGER, ra REAL,"
            f" dec REAL, {', '.join(f'psfWidth_{band} REAL' for band in BANDS)})"
        )
        database.execute("CREATE TABLE Frame (fieldID INTEGER, zoom INTEGER, node REAL, incl REAL)")
        for number, place in enumerate(self.field.listed):
            values = (number, RERUN, *place.numbers, place.ra, place.dec, *map(self.field.psf_width, BANDS))
            database.execute(f"INSERT INTO Field VALUES ({','.join('?' * 12)})", values)
            for zoom in (0, 10, 30):
                database.execute("INSERT INTO Frame VALUES (?, ?, ?, ?)", (number, zoom, NODE, INCL))
        return database

    def answer(self, request: Request) -> Answer:
        """Return what SkyServer or the archive say."""
        if request.path.endswith("x_results.aspx") and request.query.get("format") == "csv":
            return Answer(self._run(request.query["cmd"]).encode(), headers={"Content-Type": "text/plain"})
        if request.path in self._files:
            return Answer(self._files[request.path](), headers={"Content-Type": "application/octet-stream"})
        return NOT_FOUND

    def _run(self, sql: str) -> str:
        self.queries.append(sql)
        try:
            with self._lock:
                cursor = self._database.execute(sql)
                rows = cursor.fetchall()
        except sqlite3.Error as error:
            return f"error_message\n{error}\n"
        lines = [",".join(column[0] for column in cursor.description)]
        lines += [",".join("null" if value is None or value != value else str(value) for value in row) for row in rows]
        return "#Table1\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Serve until interrupted; the address is printed."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("real_data", type=Path, help="folder with the real observations")
    with SdssServer(parser.parse_args().real_data) as server:
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()

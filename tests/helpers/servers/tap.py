"""A TAP service for tests: SQLite runs the ADQL, so that conditions, limits and errors are those of a real service."""

import io
import json
import math
import re
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from astropy.io import votable
from astropy.table import MaskedColumn, Table

from helpers.servers.base import NOT_FOUND, Answer, Request

VOTABLE = {"Content-Type": "application/x-votable+xml"}
ALIAS = re.compile(r'(?:\w+\.)*"?(\w+)"?\s+AS\s+"?(\w+)"?', re.IGNORECASE)
TOP = re.compile(r"^\s*SELECT\s+((?:DISTINCT|ALL)\s+)?TOP\s+(\d+)\s", re.IGNORECASE)


class Tap:
    """The synchronous endpoint of a TAP service, answered by SQLite.

    A :class:`servers.base.Service` hands it the requests below `path`. ADQL is what SQLite understands, and TOP,
    POINT, CIRCLE, POLYGON (convex), CONTAINS, DISTANCE, and the mathematical functions of ADQL.

    Parameters
    ----------
    tables : mapping
        Name, with its schema if it has one -> column -> values; masked values and NaN are null.
    path : str
        Base of the service's addresses.
    most : int
        Rows of an answer at which the service cuts, whatever MAXREC says.
    says_overflow : bool
        Whether it tells that an answer was cut, as the standard demands.

    Attributes
    ----------
    queries : list of str
        The ADQL of every request, in order of arrival.
    """

    def __init__(
        self,
        tables: Mapping[str, Mapping[str, Any]],
        path: str = "/tap",
        most: int = 1_000_000,
        says_overflow: bool = True,
    ) -> None:
        self.path, self.most, self.says_overflow = path.rstrip("/"), most, says_overflow
        self.queries: list[str] = []
        self._dtypes: dict[str, np.dtype[Any]] = {}
        self._lock = threading.Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        _add_functions(self._database)
        for name, columns in tables.items():
            self._add(name, {key: np.ma.asarray(values) for key, values in columns.items()})

    def _add(self, name: str, columns: Mapping[str, np.ma.MaskedArray]) -> None:
        schema, _, _ = name.rpartition(".")
        attached = {row[1] for row in self._database.execute("PRAGMA database_list")}
        if schema and schema not in attached:
            self._database.execute(f'ATTACH ":memory:" AS "{schema}"')
        quoted = ".".join(f'"{part}"' for part in ([schema] if schema else []) + [name[len(schema) :].lstrip(".")])
        names = ", ".join(f'"{column}"' for column in columns)
        self._database.execute(f"CREATE TABLE {quoted} ({names})")
        rows = zip(*(values.tolist() for values in columns.values()), strict=True)
        self._database.executemany(f"INSERT INTO {quoted} VALUES ({','.join('?' * len(columns))})", rows)
        self._dtypes |= {column.lower(): values.dtype for column, values in columns.items()}

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request for <path>/sync."""
        if request.path.rstrip("/") != f"{self.path}/sync":
            return NOT_FOUND
        query = request.query.get("query", "")
        self.queries.append(query)
        try:
            limit = min(int(request.query.get("maxrec", self.most)), self.most)
            with self._lock:
                cursor = self._database.execute(_sql(query))
                rows = cursor.fetchmany(limit + 1)
        except (sqlite3.Error, ValueError) as error:
            return Answer(_error(f"{error} in: {query}"), 400, VOTABLE)
        original = {alias.lower(): column for column, alias in ALIAS.findall(query)}
        table = Table()
        for place, (name, *_) in enumerate(cursor.description or ()):
            dtype = self._dtypes.get(original.get(name.lower(), name).lower())
            table[name] = _column([row[place] for row in rows[:limit]], dtype)
        return Answer(self._votable(table, len(rows) > limit), 200, VOTABLE)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what a query finds, without a limit."""
        with self._lock:
            return self._database.execute(_sql(query)).fetchall()

    def _votable(self, table: Table, cut: bool) -> bytes:
        file = votable.from_table(table)
        file.resources[0].infos.append(votable.tree.Info(name="QUERY_STATUS", value="OK"))
        text = io.BytesIO()
        file.to_xml(text)
        if not (cut and self.says_overflow):
            return text.getvalue()
        return text.getvalue().replace(b"</TABLE>", b'</TABLE>\n<INFO name="QUERY_STATUS" value="OVERFLOW"/>')


def _sql(query: str) -> str:
    """Return SQLite's SQL for ADQL: its TOP is LIMIT there."""
    match = TOP.match(query)
    return f"SELECT {match[1] or ''}{query[match.end() :]} LIMIT {match[2]}" if match else query


def _column(values: list[Any], dtype: np.dtype[Any] | None) -> MaskedColumn:
    missing = [value is None for value in values]
    known = [value for value in values if value is not None]
    if dtype is None or dtype.kind in "OUS":
        dtype = np.array(known).dtype if known else dtype or np.dtype(float)
        dtype = np.dtype("U1") if dtype.kind == "O" else dtype
    filler = "" if dtype.kind in "US" else 0
    filled = [filler if gone else value for value, gone in zip(values, missing, strict=True)]
    return MaskedColumn(np.array(filled, dtype=dtype), mask=missing)


def _error(message: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        f'<RESOURCE type="results"><INFO name="QUERY_STATUS" value="ERROR">{escape(message)}</INFO></RESOURCE></VOTABLE>'
    ).encode()


def _add_functions(database: sqlite3.Connection) -> None:
    """Give SQLite the functions of ADQL; shapes travel as JSON."""
    shapes = {"POINT": 2, "CIRCLE": 3, "POLYGON": -1}
    for name in shapes:
        database.create_function(name, -1, lambda *values, name=name: _shape(name, values), deterministic=True)
    database.create_function("CONTAINS", 2, _contains, deterministic=True)
    database.create_function("DISTANCE", -1, _distance, deterministic=True)
    simple = {"LOG": math.log, "LOG10": math.log10, "SQRT": math.sqrt, "EXP": math.exp, "RADIANS": math.radians}
    simple |= {"DEGREES": math.degrees, "SIN": math.sin, "COS": math.cos, "TAN": math.tan}
    for name, function in simple.items():
        database.create_function(name, 1, _or_null(function), deterministic=True)
    database.create_function("POWER", 2, _or_null(math.pow), deterministic=True)


def _or_null(function: Any) -> Any:
    """Return a function that gives null where `function` has no value."""

    def safe(*values: float | None) -> float | None:
        try:
            return float(function(*values))
        except (TypeError, ValueError, OverflowError):
            return None

    return safe


def _shape(name: str, values: Sequence[Any]) -> str | None:
    """Return a shape, whose first argument may be the name of a coordinate system."""
    numbers = values[1:] if values and isinstance(values[0], str) else values
    return None if None in numbers else json.dumps([name, *map(float, numbers)])


def _direction(ra: float, dec: float) -> np.ndarray:
    lon, lat = math.radians(ra), math.radians(dec)
    return np.array([math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)])


def _separation(first: np.ndarray, second: np.ndarray) -> float:
    return math.degrees(math.atan2(float(np.linalg.norm(np.cross(first, second))), float(first @ second)))


def _contains(point: str | None, shape: str | None) -> int | None:
    if point is None or shape is None:
        return None
    (_, *position), (kind, *numbers) = json.loads(point), json.loads(shape)
    here = _direction(*position)
    if kind == "CIRCLE":
        return int(_separation(here, _direction(*numbers[:2])) <= numbers[2])
    corners = [_direction(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
    sides = [float(np.cross(corners[k - 1], corners[k]) @ here) for k in range(len(corners))]
    front = float(sum(corners) @ here) > 0
    return int(front and (min(sides) >= 0 or max(sides) <= 0))


def _distance(*values: Any) -> float | None:
    if None in values:
        return None
    first, second = (json.loads(value)[1:] for value in values) if len(values) == 2 else (values[:2], values[2:])
    return _separation(_direction(*first), _direction(*second))

"""The footprint and its division into shards."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tuningfork.core.config.base import ConflictError, Section, option
from tuningfork.core.config.reading.angles import degrees_of

MAX_CORNERS = 4000
"""Largest number of corners of a polygon; every side is compared with every other one."""


class Box(Section):
    """A box in right ascension and declination, which may cross right ascension zero."""

    kind: Literal["box"] = option("box", "a box in right ascension and declination", plan=True)
    ra_min: float = option(210.05, "western edge", unit="deg", plan=True, angle="ra", ge=0, lt=360)
    ra_max: float = option(
        210.2,
        "eastern edge; smaller than ra_min if the box crosses zero",
        unit="deg",
        plan=True,
        angle="ra",
        ge=0,
        le=360,
    )
    dec_min: float = option(0.1, "southern edge", unit="deg", plan=True, angle="dec", ge=-90, le=90)
    dec_max: float = option(0.2, "northern edge", unit="deg", plan=True, angle="dec", ge=-90, le=90)

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.dec_min >= self.dec_max or self.ra_min == self.ra_max:
            raise ConflictError(
                f"the box is empty (ra {self.ra_min} to {self.ra_max}, dec {self.dec_min} to {self.dec_max}); "
                "dec_min must be below dec_max and ra_min differ from ra_max",
                *(("dec_min", "dec_max") if self.dec_min >= self.dec_max else ("ra_min", "ra_max")),
            )
        return self


class Cone(Section):
    """A circle on the sky."""

    kind: Literal["cone"] = option("cone", "a circle on the sky", plan=True)
    ra: float = option(..., "right ascension of the centre", unit="deg", plan=True, angle="ra", ge=0, lt=360)
    dec: float = option(..., "declination of the centre", unit="deg", plan=True, angle="dec", ge=-90, le=90)
    radius: float = option(..., "angular radius", unit="deg", plan=True, gt=0, le=180)


class Polygon(Section):
    """A convex or concave polygon whose sides are great circles."""

    kind: Literal["polygon"] = option("polygon", "a polygon whose sides are great circles", plan=True)
    vertices: list[list[float]] = option(
        ...,
        "right ascension and declination of the corners, in order; sides must not cross",
        unit="deg",
        plan=True,
        min_length=3,
        max_length=MAX_CORNERS,
    )

    @field_validator("vertices", mode="before")
    @classmethod
    def _in_degrees(cls, vertices: Any) -> Any:
        if not isinstance(vertices, list):
            return vertices
        return [
            [degrees_of(vertex[0], "ra"), degrees_of(vertex[1], "dec")]
            if isinstance(vertex, list) and len(vertex) == 2
            else vertex
            for vertex in vertices
        ]

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        for number, vertex in enumerate(self.vertices):
            if len(vertex) != 2 or not (0 <= vertex[0] <= 360 and -90 <= vertex[1] <= 90):
                raise ConflictError(
                    f"the corner {vertex[:3]} is no right ascension (0 to 360) and declination (-90 to 90)",
                    f"vertices.{number}",
                )
        return self


class Moc(Section):
    """A multi-order coverage map (IVOA MOC 2.0), as surveys publish them."""

    kind: Literal["moc"] = option("moc", "a multi-order coverage map", plan=True)
    path: str = option(..., "the map: FITS, JSON or ASCII", plan=True, path="file", min_length=1)


class TileList(Section):
    """Named tiles of the survey."""

    kind: Literal["tiles"] = option("tiles", "tiles of the survey by name", plan=True)
    names: list[str] = option([], "names of tiles, such as those of bricks", plan=True)
    path: str | None = option(None, "text file with more names, one per line", plan=True, path="file", min_length=1)

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.names and self.path is None:
            raise ConflictError(
                "no tile is named; give names, or a path to a file with one name a line", "names", "path"
            )
        return self


class TableFootprint(Section):
    """The shards that contain sources of the user's table or images."""

    kind: Literal["table"] = option("table", "the shards that contain sources of your own table or images", plan=True)


class Sky(Section):
    """The footprint and its shards; a shard that the footprint touches is processed as a whole."""

    footprint: Annotated[Box | Cone | Polygon | Moc | TileList | TableFootprint, Field(discriminator="kind")] = option(
        Box(), "the area to process: kind box, cone, polygon, moc, tiles or table", plan=True
    )
    shard_order: int = option(
        7,
        "HEALPix order of the shards, one job each: 7 (0.2 square degrees) suits a test, 5 (3.4) a survey; choose it "
        "before you start",
        plan=True,
        ge=0,
        le=12,
    )

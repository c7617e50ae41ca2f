"""Which part of the sky is processed, and in which pieces."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tuningfork.core.config.base import Section, option


class Box(Section):
    """A box in right ascension and declination; it may cross right ascension zero."""

    kind: Literal["box"] = option("box", "a box in right ascension and declination", plan=True)
    ra_min: float = option(210.05, "western edge", unit="deg", plan=True, ge=0, lt=360)
    ra_max: float = option(
        210.2, "eastern edge; smaller than ra_min if the box crosses zero", unit="deg", plan=True, ge=0, le=360
    )
    dec_min: float = option(0.1, "southern edge", unit="deg", plan=True, ge=-90, le=90)
    dec_max: float = option(0.2, "northern edge", unit="deg", plan=True, ge=-90, le=90)

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.dec_min >= self.dec_max or self.ra_min == self.ra_max:
            raise ValueError(
                f"the box is empty (ra {self.ra_min} to {self.ra_max}, dec {self.dec_min} to {self.dec_max}); "
                "dec_min must be below dec_max and ra_min differ from ra_max"
            )
        return self


class Cone(Section):
    """A circle on the sky."""

    kind: Literal["cone"] = option("cone", "a circle on the sky", plan=True)
    ra: float = option(..., "right ascension of the centre", unit="deg", plan=True, ge=0, lt=360)
    dec: float = option(..., "declination of the centre", unit="deg", plan=True, ge=-90, le=90)
    radius: float = option(..., "angular radius", unit="deg", plan=True, gt=0, le=180)


class TableFootprint(Section):
    """Wherever the sources of the user's table lie (survey `folder` only)."""

    kind: Literal["table"] = option("table", "wherever the sources of the user's own table or images lie", plan=True)


class Sky(Section):
    """The footprint and its shards; a shard that the footprint touches is processed whole."""

    footprint: Annotated[Box | Cone | TableFootprint, Field(discriminator="kind")] = option(
        Box(), "the area to process: kind box, cone or table", plan=True
    )
    shard_order: int = option(8, "HEALPix order of the shards (8: 0.05 square degrees, 5: 3.4)", plan=True, ge=0, le=12)

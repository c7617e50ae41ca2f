"""A gallery as one HTML page that holds its pictures; each is a link to its file."""

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import quote

import jinja2
from PIL import Image

from tuningfork.pictures.shown import ShownPicture

JPEG_QUALITY = 88


@dataclass(frozen=True)
class Entry:
    """A picture on the page; `x` and `y` run from its upper left corner, `turn` is clockwise, as SVG has it."""

    name: str
    link: str
    source: str
    alt: str
    width: int
    height: int
    x: float
    y: float
    length: float
    across: float
    turn: float
    barred: bool
    facts: list[str]
    warnings: list[str]


def render_page(shown: Sequence[ShownPicture], number: int, output: Path) -> str:
    """Return the page.

    Parameters
    ----------
    shown : sequence of ShownPicture
    number : int
        Pictures of the folder.
    output : Path
        Where the page is written; links to the pictures are relative to it.

    Returns
    -------
    str
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = (resources.files("tuningfork.pictures") / "gallery.html").read_text(encoding="utf-8")
    entries = [_entry(picture, output) for picture in shown]
    return environment.from_string(text).render(entries=entries, number=number)


def _entry(picture: ShownPicture, output: Path) -> Entry:
    width, height = int(picture.right - picture.left), int(picture.upper - picture.lower)
    path = os.path.relpath(picture.path.absolute(), output.absolute().parent)
    return Entry(
        name=picture.name,
        link=quote(os.fsencode(path)),
        source=_embedded(picture.image),
        alt=f"Picture {picture.name} with the outline of the bar: {', '.join(picture.facts)}",
        width=width,
        height=height,
        x=round(picture.x - picture.left, 2),
        y=round(picture.upper - picture.y, 2),
        length=round(picture.length, 2),
        across=round(picture.width, 2),
        turn=round(-picture.angle, 2),
        barred=picture.barred,
        facts=picture.facts,
        warnings=picture.warnings,
    )


def _embedded(image: Image.Image) -> str:
    """Return a picture as a data URI."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")

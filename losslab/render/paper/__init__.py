"""Figures on paper with Matplotlib: vector PDF, SVG and PGF at the width of a column, or PNG.

All is lines, polygons and text: no picture is embedded, fonts are TrueType, and the same scene makes the same bytes.
A figure has no title: that, and what it says, are for its caption, and are in its metadata.
"""

import io
import threading
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from matplotlib import style as sheets
from matplotlib.figure import Figure

from losslab.scene import Plate, Scene

from . import pgf
from .look import SHEET, tone
from .page import Page

KINDS = {"pdf": "application/pdf", "svg": "image/svg+xml", "pgf": "text/x-tex", "png": "image/png"}
STYLES = ("colour", "grey")
WIDTHS = {  # inches
    "ieee-1": 3.5,
    "ieee-2": 7.16,
    "cvpr-1": 3.28125,  # 237.13 and 496.85 of TeX's points, of which 72.27 make an inch
    "cvpr-2": 6.875,
    "springer-1": 84 / 25.4,
    "springer-2": 174 / 25.4,
}
NARROWEST, WIDEST = 50.0, 500.0  # mm
ONE = threading.Lock()  # Matplotlib's settings belong to the process


def draw(
    drawn: Scene | Plate,
    kind: str = "pdf",
    width: str | float = "ieee-1",
    style: str = "colour",
    dpi: int = 300,
    metadata: Mapping[str, str] | None = None,
    camera: Any = None,
    raster: bool = False,
) -> bytes:
    """A scene, or a plate of several, as a file.

    Args:
        kind: of `KINDS`. PGF is text for LaTeX with `\\usepackage{pgf}`: its words are set in the document's own font.
        width: a name of `WIDTHS`, or millimetres. The height follows from what is drawn.
        style: of `STYLES`. In grey, dashes, markers and hatches tell apart what colours do.
        dpi: dots per inch of a PNG, and of what `raster` makes.
        metadata: what is written into the file besides the title and what it says: losses, values, version.
        camera: from where a sphere is seen: see `losslab.render.flat`.
        raster: samples as a picture in the file instead of a marker each: for clouds of many thousands. PGF is text
            and keeps the markers.

    Raises:
        ValueError: for a kind, a width or a style that there is none of.
    """
    return drawn_as(drawn, (kind,), width, style, dpi, metadata, camera, raster)[kind]


def drawn_as(
    drawn: Scene | Plate,
    kinds: Iterable[str],
    width: str | float = "ieee-1",
    style: str = "colour",
    dpi: int = 300,
    metadata: Mapping[str, str] | None = None,
    camera: Any = None,
    raster: bool = False,
) -> dict[str, bytes]:
    """As `draw`, in several kinds, by kind: all is laid out once, which takes longer than to write it."""
    kinds = tuple(kinds)
    for name, said, known in (*(("kind", kind, KINDS) for kind in kinds), ("style", style, STYLES)):
        if said not in known:
            raise ValueError(f"{name} is {said!r:.40}, but it must be one of {', '.join(known)}.")
    plate = drawn if isinstance(drawn, Plate) else alone(drawn)
    inches, grey = measured(width), style == "grey"
    settings = {name: tone(said, grey) if str(said).startswith("#") else said for name, said in SHEET.items()}
    with ONE, sheets.context(["default", settings]):
        page = cache(lambda pictures: Page(plate, inches, grey, camera, pictures))
        return {
            kind: saved(page(raster and kind != "pgf").figure, kind, dpi, said_of(plate, kind, metadata or {}))
            for kind in kinds
        }


def saved(figure: Figure, kind: str, dpi: int, metadata: dict[str, Any]) -> bytes:
    if kind == "pgf":
        return pgf.written(figure, metadata)
    out = io.BytesIO()
    figure.savefig(out, format=kind, dpi=dpi, metadata=metadata)
    return out.getvalue()


def alone(scene: Scene) -> Plate:
    return Plate(title=scene.title, says=scene.says, panels=(scene,), notes=scene.notes)


def measured(width: str | float) -> float:
    """Inches of a width by name or in millimetres."""
    if width in WIDTHS:
        return WIDTHS[width]
    try:
        mm = float(width)
    except ValueError:
        mm = 0.0
    if not NARROWEST <= mm <= WIDEST:
        raise ValueError(
            f"width is {width!r:.40}, but it must be one of {', '.join(WIDTHS)}, or {NARROWEST:g} to {WIDEST:g} mm."
        )
    return mm / 25.4


def said_of(plate: Plate, kind: str, more: Mapping[str, str]) -> dict[str, Any]:
    """The metadata of a file, with neither date nor machine in it."""
    says = " ".join([plate.says, *plate.notes])
    words = "; ".join(f"{name}: {value}" for name, value in more.items())
    if kind == "svg":
        keywords = [f"{name}: {value}" for name, value in more.items()]
        return {"Title": plate.title, "Description": says, "Keywords": keywords, "Creator": "losslab", "Date": None}
    if kind == "png":
        return {"Title": plate.title, "Description": says, "Comment": words, "Software": "losslab"}
    return {"Title": plate.title, "Subject": says, "Keywords": words, "Creator": "losslab", "CreationDate": None}

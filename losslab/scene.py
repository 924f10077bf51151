"""What is drawn: marks in data units, each with a role. No colours, no plotting library.

A scene is what every renderer understands: the screen, the stage, and paper. Roles say what a mark is; what a role
looks like is `losslab.render.style`'s word.

    sample, prototype, drawn, class     points   curve, other, guide, boundary, flow    lines
    bars                           a line with what is under it, down to zero
    past                           where an angle and its margin pass 180°
    push                           arrows        region, margin, zone, level, cells     areas
    band                           an area in which an edge moves
    impossible                     where nothing can be      decision    only its edge counts: where inference decides
"""

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CHART, PLANE, CIRCLE, SPHERE = "chart", "plane", "circle", "sphere"  # spaces: what the coordinates of marks are


@dataclass(frozen=True)
class Axis:
    """One axis of a chart: what it shows, its unit, and the range to show (all of it where that is None)."""

    title: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    ticks: tuple[float, ...] | None = None
    words: tuple[str, ...] = ()  # written at the ticks in place of their numbers
    knee: float | None = None  # logarithmic to both sides of zero, but even between −knee and knee

    @property
    def label(self) -> str:
        return f"{self.title} ({self.unit})" if self.unit else self.title


@dataclass(frozen=True, eq=False, kw_only=True)
class Mark:
    """What all marks share."""

    role: str
    name: str = ""  # in legends and tables
    of: int | None = None  # which class, or which of several losses, it belongs to: its ink follows


@dataclass(frozen=True, eq=False, kw_only=True)
class Points(Mark):
    at: np.ndarray  # [n k]: x and y of a chart or the plane, directions on the circle (k = 2) or the sphere (k = 3)
    each: np.ndarray | None = None  # int [n], the class of each
    value: np.ndarray | None = None  # [n], a magnitude shown by ink
    words: tuple[str, ...] = ()  # one for each, written beside it


@dataclass(frozen=True, eq=False, kw_only=True)
class Path(Mark):
    """One line through its points. NaN breaks it."""

    at: np.ndarray  # [n k]
    value: np.ndarray | None = None  # [n], a magnitude shown by ink


@dataclass(frozen=True, eq=False, kw_only=True)
class Arrows(Mark):
    at: np.ndarray  # [n k]
    along: np.ndarray  # [n k], tangent on the circle and the sphere
    value: np.ndarray | None = None  # [n], the magnitude shown by ink; by default the length of `along`

    @property
    def size(self) -> np.ndarray:
        return np.linalg.norm(self.along, axis=1) if self.value is None else self.value


@dataclass(frozen=True, eq=False, kw_only=True)
class Area(Mark):
    """Where a number on a grid over a chart is above zero; NaN belongs nowhere. With the role "level" all of it, by
    magnitude; with "cells" each number for itself, not as one of a surface."""

    x: np.ndarray  # [w]
    y: np.ndarray  # [h]
    value: np.ndarray  # [h w]
    span: tuple[float, float] | None = None  # from where to where its inks go; None: as its numbers do


@dataclass(frozen=True, eq=False, kw_only=True)
class Zones(Mark):
    """Who wins where on the circle or the sphere, and by its margin: the loss's own gap for every class at every place
    of `geometry.ring` or `geometry.octahedron`. Above zero a class clears its margin."""

    role: str = "zone"
    gap: np.ndarray  # [C v]
    at: np.ndarray | None = None  # [v k], the places, for tables


@dataclass(frozen=True, eq=False, kw_only=True)
class Scene:
    title: str
    says: str  # the finding, one sentence worked out from the numbers that are drawn
    space: str
    marks: tuple[Mark, ...]
    x: Axis = Axis("x")
    y: Axis = Axis("y")
    names: tuple[str, ...] = ()  # of what `of` and `each` count
    by_class: bool = False  # whether that is classes; else it is losses
    square: bool = False  # one unit is as long across as it is up
    notes: tuple[str, ...] = ()  # what a reader must know besides

    def of_role(self, *roles: str) -> list[Mark]:
        return [mark for mark in self.marks if mark.role in roles]

    def table(self) -> str:
        """All that is drawn as CSV, a row for each point: role, name, class, coordinates, and what they carry."""
        across = ["x", "y", "z"] if self.space in (CIRCLE, SPHERE) else [self.x.label, self.y.label, ""]
        return written(["role", "name", "of", *across, *CARRIED], self._rows())

    def _rows(self) -> Iterator[tuple]:
        return (row for mark in self.marks for row in rows(mark))


@dataclass(frozen=True, eq=False, kw_only=True)
class Plate:
    """Scenes beside and below one another, as one figure of a paper: row by row, `columns` in each."""

    title: str
    says: str  # the finding over all of them, as in a scene
    panels: tuple[Scene, ...]
    columns: int = 1
    heads: tuple[str, ...] = ()  # what stands over each panel
    notes: tuple[str, ...] = ()

    def table(self) -> str:
        """All that is drawn as CSV, as of a scene, with what stands over the panel before each row, and x and y named
        as the panel's axes are."""
        heads = self.heads or ("",) * len(self.panels)
        found = (
            (head, scene.x.label, scene.y.label, *row)
            for head, scene in zip(heads, self.panels, strict=True)
            for row in scene._rows()
        )
        return written(["panel", "x is", "y is", "role", "name", "of", "x", "y", "z", *CARRIED], found)


CARRIED = ("value", "along x", "along y", "along z", "words")


def written(heads: list[str], found: Iterator[tuple]) -> str:
    """CSV with these heads; what a row lacks at its end is empty."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n")
    write.writerow(heads)
    for row in found:
        write.writerow(["" if cell is None else cell for cell in row] + [""] * (len(heads) - len(row)))
    return out.getvalue()


def rows(mark: Mark) -> Iterator[tuple]:
    """The rows of a mark in a scene's table."""
    if isinstance(mark, Area):
        for j, y in enumerate(mark.y):
            for i, x in enumerate(mark.x):
                yield mark.role, mark.name, mark.of, number(x), number(y), "", number(mark.value[j, i])
        return
    if isinstance(mark, Zones):
        for k, gaps in enumerate(mark.gap):
            for v, gap in enumerate(gaps):
                place = [v] if mark.at is None else [number(value) for value in mark.at[v]]
                yield mark.role, mark.name, k, *place, *[""] * (3 - len(place)), number(gap)
        return
    for i, place in enumerate(mark.at):
        cells = [number(value) for value in place]
        along = mark.along[i] if isinstance(mark, Arrows) else ()
        value = mark.size if isinstance(mark, Arrows) else mark.value
        each = getattr(mark, "each", None)
        words = getattr(mark, "words", ())
        yield (
            mark.role,
            mark.name,
            mark.of if each is None else int(each[i]),
            *cells,
            *[""] * (3 - len(cells)),
            None if value is None else number(value[i]),
            *[number(v) for v in along],
            *[""] * (3 - len(along)),
            words[i] if words else "",
        )


def number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"

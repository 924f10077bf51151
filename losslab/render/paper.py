"""Scenes on paper with Matplotlib: vector PDF and SVG at the width of a column, or PNG.

All is lines, polygons and text: no picture is embedded, fonts are TrueType, and the same scene makes the same bytes.
A figure has no title: that, and what it says, are for its caption, and are in its metadata.
"""

import io
import textwrap
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import style as sheets
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize, PowerNorm, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from losslab.scene import CHART, CIRCLE, SPHERE, Area, Arrows, Axis, Mark, Path, Points, Scene

from . import flat, style
from .style import LIGHT
from .words import Room

KINDS = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png"}
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
COLUMN = 4.5  # inches: what is wider spans two columns
TALLEST = 4.4  # inches, of a picture with equal axes
HAIR = 0.4  # points: the thinnest line that every press holds
STEPS = 24  # inks of a magnitude
MOST_WRITTEN = 12  # rows of a table whose numbers are written into it
LONGEST_ARROW = 0.09  # of the picture's width
DARKEST = 0.45  # luminance above which a line is too pale for white paper
SHEET = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same on every machine
    "font.size": 7,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.5,
    "axes.edgecolor": LIGHT.soft,
    "axes.labelcolor": LIGHT.text,
    "text.color": LIGHT.text,
    "xtick.color": LIGHT.soft,
    "ytick.color": LIGHT.soft,
    "xtick.labelcolor": LIGHT.text,
    "ytick.labelcolor": LIGHT.text,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LIGHT.hair,
    "grid.linewidth": HAIR,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.2,
    "legend.handletextpad": 0.5,
    "legend.labelspacing": 0.25,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0.2,
    "hatch.linewidth": HAIR,
    "lines.solid_capstyle": "butt",
    "text.parse_math": False,  # names come from whoever names a class
    "text.hinting": "no_hinting",
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "losslab",
}
# Lines by role: ink (of the theme, or their own), width in points, dashes in widths, how much they cover.
SOLID, DASH, DOT = "solid", (0, (3.6, 1.6)), (0, (1, 1.4))
LINES: dict[str, tuple[str, float, Any, float]] = {
    "guide": ("soft", 0.5, SOLID, 1),
    "boundary": ("text", 0.8, DASH, 1),
    "other": ("", 0.8, DOT, 1),
    "flow": ("", 1.3, SOLID, 1),
    "profile": ("text", 0.8, DOT, 1),
    "stream": ("text", 0.8, SOLID, 1),
    "spoke": ("", 1, SOLID, 1),
    "rim": ("soft", 0.5, SOLID, 1),
    "hidden": ("hair", HAIR, DOT, 1),
    "faint": ("", 0.8, SOLID, 0.5),
    "bars": ("", 0.5, SOLID, 1),
    "gap": ("", 1.3, SOLID, 1),
    "outline": ("", 1.1, SOLID, 1),
    "second": ("", 1, DASH, 1),
    "breath": ("", HAIR, SOLID, 0.6),
    "length": ("", 0.6, DOT, 0.9),
    "arc": ("", 4, SOLID, 1),
    "plain": ("", 1.1, SOLID, 1),
    "rule": ("text", 0.5, SOLID, 1),
    "graticule": ("hair", HAIR, SOLID, 1),
    "behind": ("", HAIR, DASH, 0.4),
    "narrowest": ("text", 1.6, SOLID, 1),
}
CURVES = {  # of losses, by the names of `style.DASHES`
    "solid": SOLID,
    "dash": DASH,
    "dot": (0, (1, 1.2)),
    "dashdot": (0, (3.6, 1.3, 1, 1.3)),
    "longdash": (0, (7, 1.8)),
    "longdashdot": (0, (7, 1.5, 1, 1.5)),
}
SIZES = {"prototype": 8.5, "drawn": 8, "sample": 2.8, "drop": 4.5, "cross": 4.5, "class": 4.5, "past": 4.5, "behind": 2}
SHAPES = {"drawn": "*", "cross": "X"}
MARKERS = "os^DvP<X>p"  # of classes and losses in grey
HATCHES = ("////", "\\\\\\\\", "....", "xxxx", "----", "||||", "++++", "oooo")
GREYS = ("#1c1c1c", "#767676", "#4a4a4a", "#9a9a9a", "#333333", "#8a8a8a", "#5f5f5f", "#a8a8a8")
WORDS = {
    "word": ("center", "center", "text"),
    "caption": ("center", "top", "soft"),
    "remark": ("left", "center", "text"),
}
ONE = threading.Lock()  # Matplotlib's settings belong to the process


def draw(
    scene: Scene,
    kind: str = "pdf",
    width: str | float = "ieee-1",
    style: str = "colour",
    dpi: int = 300,
    metadata: Mapping[str, str] | None = None,
    camera: Any = None,
) -> bytes:
    """The scene as a file.

    Args:
        kind: of `KINDS`.
        width: a name of `WIDTHS`, or millimetres. The height follows from the scene.
        style: of `STYLES`. In grey, dashes, markers and hatches tell apart what colours do.
        dpi: dots per inch of a PNG.
        metadata: what is written into the file besides the scene's title and what it says: losses, values, version.
        camera: from where a sphere is seen: see `losslab.render.flat`.

    Raises:
        ValueError: for a kind, a width or a style that there is none of.
    """
    for name, said, known in (("kind", kind, KINDS), ("style", style, STYLES)):
        if said not in known:
            raise ValueError(f"{name} is {said!r:.40}, but it must be one of {', '.join(known)}.")
    inches, out = measured(width), io.BytesIO()
    grey = style == "grey"
    settings = {name: tone(said, grey) if str(said).startswith("#") else said for name, said in SHEET.items()}
    with ONE, sheets.context(["default", settings]):
        figure = Sheet(scene, inches, grey, camera).figure
        figure.savefig(out, format=kind, dpi=dpi, metadata=said_of(scene, kind, metadata or {}))
    return out.getvalue()


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


def said_of(scene: Scene, kind: str, more: Mapping[str, str]) -> dict[str, Any]:
    """The metadata of a file, with neither date nor machine in it."""
    says = " ".join([scene.says, *scene.notes])
    words = "; ".join(f"{name}: {value}" for name, value in more.items())
    if kind == "pdf":
        return {"Title": scene.title, "Subject": says, "Keywords": words, "Creator": "losslab", "CreationDate": None}
    if kind == "svg":
        keywords = [f"{name}: {value}" for name, value in more.items()]
        return {"Title": scene.title, "Description": says, "Keywords": keywords, "Creator": "losslab", "Date": None}
    return {"Title": scene.title, "Description": says, "Comment": words, "Software": "losslab"}


@dataclass(frozen=True)
class Inks:
    """What colours are on this sheet."""

    grey: bool
    own: tuple[str, ...]  # of classes or of losses

    def tone(self, colour: str) -> str:
        return tone(colour, self.grey)

    def line(self, of: int | None) -> str:
        """Of lines and markers: dark enough for white paper."""
        if of is None:
            return self.tone(LIGHT.text)
        return GREYS[of % len(GREYS)] if self.grey else printed(self.own[of % len(self.own)])

    def fill(self, of: int | None) -> str:
        if of is None:
            return self.tone(LIGHT.text)
        return GREYS[of % len(GREYS)] if self.grey else self.own[of % len(self.own)]

    def marker(self, of: int | None) -> str:
        return MARKERS[of % len(MARKERS)] if self.grey and of is not None else "o"

    def hatch(self, of: int | None) -> str | None:
        return HATCHES[of % len(HATCHES)] if self.grey and of is not None else None

    def ramp(self) -> LinearSegmentedColormap:
        stops = [(place, self.tone(ink)) for place, ink in LIGHT.ramp()]
        return LinearSegmentedColormap.from_list("magnitude", stops)


class Sheet:
    """One figure being drawn."""

    def __init__(self, scene: Scene, inches: float, grey: bool, camera: Any) -> None:
        self.legend: dict[str, Artist] = {}
        self.words: list[tuple[np.ndarray, str, float]] = []  # places, words, and how far from one another
        self.places: list[tuple[np.ndarray, bool]] = []  # what words keep clear of; whether a line joins it
        own = style.class_inks(max(len(scene.names), 1)) if scene.by_class else style.SERIES
        self.inks = Inks(grey, own)
        self.scene = self._flat(scene, camera) if scene.space in (CIRCLE, SPHERE) else scene
        self.bare = self.scene.space != CHART and not self.scene.x.title.strip("xy")
        self.even = self.scene.space != CHART or self.scene.square
        self.figure = Figure(figsize=(inches, inches), dpi=72, layout="constrained")
        FigureCanvasAgg(self.figure)  # measures words
        self.axes = self.figure.add_subplot()
        for i, mark in enumerate(self.scene.marks):
            self._mark(mark, 1 + i / 1000)
        self._axes()
        self._size(inches)
        self._place_words()

    def _flat(self, scene: Scene, camera: Any) -> Scene:
        """In the plane, and what is there written below the sphere is in the legend."""
        made, rows = flat.flattened(scene, camera), list(flat.legend(scene, 0))
        for line, word in zip(rows[::2], rows[1::2], strict=True):
            self.legend[word.words[0]] = Line2D([], [], **self._line(line))
        marks = made.marks[: len(made.marks) - len(rows)]
        bare = Axis("x"), Axis("y", low=-1.2, high=1.08) if scene.space == SPHERE else Axis("y")
        return Scene(**vars(made) | {"marks": marks, "x": bare[0], "y": bare[1]})

    # -- marks -----------------------------------------------------------------------------------------------

    def _mark(self, mark: Mark, order: float) -> None:
        match mark:
            case Area(role="ground"):
                self._ground(mark, order)
            case Area(role="level"):
                self._level(mark, order)
            case Area(role="cells"):
                self._cells(mark, order)
            case Area():
                self._area(mark, order)
            case Path():
                self._path(mark, order)
            case Points() if mark.role in WORDS:
                across, up, tone = WORDS[mark.role]
                for at, word in zip(mark.at, mark.words, strict=True):
                    paper = {"facecolor": (LIGHT.background, 0.75), "linewidth": 0, "pad": 0.5}
                    look = {"ha": across, "va": up, "color": self.inks.tone(getattr(LIGHT, tone))}
                    self._write(at, word, bbox=None if mark.role == "remark" else paper, **look)
            case Points():
                self._points(mark, order)
            case Arrows():
                self._arrows(mark, order)

    def _line(self, mark: Path) -> dict[str, Any]:
        """How a path looks."""
        of = mark.of or 0
        tone, width, dashes, alpha = LINES.get(mark.role) or ("", 1.2, CURVES[style.DASHES[of % len(style.DASHES)]], 1)
        ink = self.inks.tone(getattr(LIGHT, tone)) if tone else self.inks.line(mark.of)
        return {"color": ink, "linewidth": width, "linestyle": dashes, "alpha": None if alpha == 1 else alpha}

    def _path(self, mark: Path, order: float) -> None:
        look = self._line(mark)
        if mark.role == "bars":
            hatch = self.inks.hatch(mark.of)
            fill = {"facecolor": (self.inks.fill(mark.of), 0.3), "edgecolor": look["color"], "hatch": hatch}
            self.axes.fill_between(*mark.at.T, **fill, linewidth=0, zorder=order)
            self._name(mark, Patch(**fill, linewidth=0.5))
        if mark.role == "stream":  # over a ground of any ink
            look["path_effects"] = [withStroke(linewidth=2, foreground=LIGHT.background)]
        if mark.role == "curve" and self.inks.grey and (mark.of or 0) > 0 and len(mark.at) > 20:
            every = 0.12, 0.16
            look |= {"marker": self.inks.marker(mark.of), "markersize": 3, "markevery": every[::-1]}
            look |= {"markerfacecolor": LIGHT.background, "markeredgewidth": 0.6}
        (line,) = self.axes.plot(*mark.at.T, **look, zorder=order)
        if mark.role != "graticule":
            self.places.append((mark.at, True))
        rules = [each for each in self.scene.of_role("guide") if each.name and len(each.at) == 2]
        if (
            mark.role == "guide" and len(rules) > 1 and len(mark.at) == 2
        ):  # nothing but its place tells one from another
            self.words.append((mark.at[mark.at[:, 1].argmax()], mark.name, 1))
        else:
            self._name(mark, line)

    def _points(self, mark: Points, order: float) -> None:
        size, shape = SIZES.get(mark.role, 4), SHAPES.get(mark.role)
        known = np.full(len(mark.at), -1 if mark.of is None else mark.of) if mark.each is None else mark.each
        look: dict[str, Any] = {"markersize": size, "linestyle": "none", "zorder": order}
        look |= {"markeredgewidth": 0.25 if size < 3 else 0.5, "markeredgecolor": LIGHT.background}
        if mark.role == "behind":
            look["alpha"] = 0.25
        if mark.value is not None:
            norm = Normalize(np.nanmin(mark.value), np.nanmax(mark.value))
            many = {"marker": shape or "o", "s": size**2, "linewidths": look["markeredgewidth"], "zorder": order}
            made = self.axes.scatter(
                *mark.at.T, c=mark.value, cmap=self.inks.ramp(), norm=norm, edgecolors=LIGHT.background, **many
            )
            self._scale(made.cmap, norm, mark.name)
        else:
            for k in np.unique(known):
                of = None if k < 0 else int(k)
                look |= {"marker": shape or self._shape(mark, of), "color": self.inks.line(of)}
                if mark.role == "prototype":
                    look["color"] = self.inks.fill(of)
                if mark.role == "past":
                    look |= {
                        "markerfacecolor": LIGHT.background,
                        "markeredgecolor": look["color"],
                        "markeredgewidth": 1,
                    }
                self.axes.plot(*mark.at[known == k].T, **look)
            if mark.each is not None and len(np.unique(known)) > 1:
                look |= {"color": self.inks.line(None), "marker": shape or "o"}
            self._name(mark, Line2D([], [], **look | {"markersize": max(size, 3.5)}))
        self.places.append((mark.at, False))
        inside = mark.role == "prototype" and max(map(len, mark.words), default=0) < 3
        for at, k, word in zip(mark.at, known, mark.words, strict=False):
            if inside:
                tone = self.inks.tone(style.readable(self.inks.fill(None if k < 0 else int(k))))
                self._write(at, word, ha="center", va="center_baseline", color=tone, zorder=order)
            elif word:
                self.words.append((at, word, size / 2 + 1))

    def _shape(self, mark: Points, of: int | None) -> str:
        return "o" if mark.role in ("prototype", "past", "behind") else self.inks.marker(of)

    def _arrows(self, mark: Arrows, order: float) -> None:
        """Each arrow a stroke and a head. Arrows of one role have one scale; the length is as the root of what it
        shows, the ink as that itself."""
        size, alike = mark.size, [each for each in self.scene.of_role(mark.role) if isinstance(each, Arrows)]
        if not len(size):
            return
        span = float(np.ptp(np.concatenate([each.at for each in alike]), axis=0).max()) or 1.0
        top = float(np.quantile(np.concatenate([each.size for each in alike]), 0.98)) or 1.0
        share = np.clip(size / top, 0, 1)
        along = mark.along / np.maximum(np.linalg.norm(mark.along, axis=1, keepdims=True), 1e-12)
        reach = (np.sqrt(share) * LONGEST_ARROW * span * (0.45 if mark.role == "push" else 1))[:, None]
        tip, side = mark.at + along * reach, np.stack([-along[:, 1], along[:, 0]], 1)
        neck, wing = tip - 0.38 * reach * along, 0.17 * reach * side
        if mark.of is not None:
            inks = [self.inks.line(mark.of)] * len(size)
        elif self.scene.of_role("ground"):
            inks = [self.inks.tone(LIGHT.on_ramp(root)) for root in np.sqrt(share)]
        else:
            inks = self.inks.ramp()(share)
        width = 1.2 if mark.role == "push_prototype" else 0.6
        shafts = LineCollection(np.stack([mark.at, neck], 1), colors=inks, linewidths=width, zorder=order)
        heads = PolyCollection(
            np.stack([tip, neck + wing, neck - wing], 1), facecolors=inks, linewidths=0, zorder=order
        )
        self.axes.add_collection(shafts)
        self.axes.add_collection(heads)

    def _area(self, mark: Area, order: float) -> None:
        """Where its number is above zero."""
        if mark.role == "decision":
            look = {"linewidths": 0.9, "linestyles": [DASH], "zorder": order}
            self.axes.contour(mark.x, mark.y, mark.value, levels=[0], colors=[self.inks.line(None)], **look)
            self._name(mark, Line2D([], [], color=self.inks.line(None), linewidth=0.9, linestyle=DASH))
            return
        plain = {"margin": (LIGHT.margin, 0.9), "strip": (LIGHT.margin, 0.45), "impossible": (LIGHT.background, 0.72)}
        if mark.role in plain:
            colour, alpha = plain[mark.role]
            colour, hatch = self.inks.tone(colour), None
        else:
            colour, hatch = self.inks.fill(mark.of), self.inks.hatch(mark.of)
            alpha = {"region": 0.25 if hatch else 0.55, "wash": 0.16}.get(mark.role, 0.3)
        highest = np.nanmax(mark.value)
        if not highest > 0:
            return
        made = self.axes.contourf(
            mark.x, mark.y, mark.value, levels=[0, highest + 1], colors=[(colour, alpha)], hatches=[hatch], zorder=order
        )
        made.set(edgecolor=(self.inks.line(mark.of), 0.7) if hatch else "none", linewidth=0)
        edge = mark.role not in (*plain, "wash")
        if edge:
            line = self.inks.line(mark.of)
            self.axes.contour(mark.x, mark.y, mark.value, levels=[0], colors=[line], linewidths=0.8, zorder=order)
        rim = (self.inks.line(mark.of), 0.7) if edge else "none"
        self._name(mark, Patch(facecolor=(colour, alpha), edgecolor=rim, hatch=hatch, linewidth=0.6))

    def _ground(self, mark: Area, order: float) -> None:
        """A magnitude everywhere, by its square root; the discs of one sphere have one scale, and end at their rims."""
        grounds = np.concatenate([each.value.ravel() for each in self.scene.of_role("ground")])
        norm = PowerNorm(0.5, 0, float(np.nanquantile(grounds, 0.98)) or 1.0, clip=True)
        rims = self.scene.of_role("rim")
        value = outward(mark.value) if rims else mark.value
        fills = self._stacked(mark.x, mark.y, value, norm, order)
        if rims:
            edge = PathPatch(Outline(np.concatenate(pieces := flat.unbroken(rims[0].at)), codes_of(pieces)))
            edge.set_transform(self.axes.transData)
            for fill in fills:
                fill.set_clip_path(edge)
        if mark.name:
            self._scale(self._steps(), norm, mark.name)

    def _level(self, mark: Area, order: float) -> None:
        norm = Normalize(np.nanmin(mark.value), np.nanmax(mark.value))
        self._stacked(mark.x, mark.y, mark.value, norm, order)
        self._scale(self._steps(), norm, mark.name)

    def _steps(self) -> ListedColormap:
        return ListedColormap(self.inks.ramp()((np.arange(STEPS) + 0.5) / STEPS))

    def _stacked(self, x: np.ndarray, y: np.ndarray, value: np.ndarray, norm: Normalize, order: float) -> list[Artist]:
        """Polygons from the lowest up, each over the one before: between neighbours a seam would show."""
        levels, top = norm.inverse(np.arange(STEPS) / STEPS), np.nanmax(value) + 1
        made = []
        for level, ink in zip(levels, self._steps().colors, strict=True):
            low = -np.inf if level == levels[0] else level
            if np.nanmax(value) > level:
                low = min(np.nanmin(value), level) - 1 if low == -np.inf else low
                made.append(self.axes.contourf(x, y, value, levels=[low, top], colors=[ink], zorder=order))
        return made

    def _scale(self, inks: Any, norm: Normalize, name: str) -> None:
        steps = inks if isinstance(inks, ListedColormap) else self._steps()
        below = self.bare  # beside a sphere there is no room
        look = {"location": "bottom", "aspect": 45, "shrink": 0.7} if below else {"aspect": 28, "shrink": 0.9}
        bar = self.figure.colorbar(ScalarMappable(norm, steps), ax=self.axes, pad=0.02, **look)
        bar.solids.set(edgecolor="face", linewidth=0.3)
        bar.outline.set(linewidth=0.5, edgecolor=self.inks.tone(LIGHT.soft))
        ticks = [tick for tick in MaxNLocator(5).tick_values(norm.vmin, norm.vmax) if norm.vmin <= tick <= norm.vmax]
        apart = [tick for i, tick in enumerate(ticks) if i == 0 or norm(tick) - norm(ticks[i - 1]) > 0.1]
        bar.set_ticks(apart, labels=[f"{tick:g}".replace("-", "−") for tick in apart])
        bar.set_label(name)

    def _cells(self, mark: Area, order: float) -> None:
        """A table of magnitudes by ink, of which the small ones stand out; the numbers themselves where they fit."""
        low, high = np.nanmin(mark.value), np.nanmax(mark.value)
        norm, ramp = Normalize(low, high), self.inks.ramp().reversed()
        for j, y in enumerate(mark.y):
            for i, x in enumerate(mark.x):
                if np.isnan(value := mark.value[j, i]):
                    continue
                ink = to_hex(ramp(norm(value)))
                box = np.array([[x - 0.47, y - 0.47], [x + 0.47, y - 0.47], [x + 0.47, y + 0.47], [x - 0.47, y + 0.47]])
                self.axes.fill(*box.T, color=ink, linewidth=0, zorder=order)
                if len(mark.y) <= MOST_WRITTEN:
                    self._write(
                        (x, y),
                        f"{value:.0f}".replace("-", "−"),
                        ha="center",
                        va="center",
                        color=self.inks.tone(style.readable(ink)),
                    )
        self.axes.grid(False)
        self._scale(ListedColormap(ramp((np.arange(STEPS) + 0.5) / STEPS)), norm, mark.name)

    def _write(self, at: Any, word: str, zorder: float = 3, **look: Any) -> None:
        self.axes.text(*at, word, zorder=zorder, **look)

    def _name(self, mark: Mark, handle: Artist) -> None:
        if mark.name:
            self.legend.setdefault(mark.name, handle)

    # -- the page --------------------------------------------------------------------------------------------

    def _axes(self) -> None:
        for said, own, name in ((self.scene.x, self.axes.xaxis, "x"), (self.scene.y, self.axes.yaxis, "y")):
            self.axes.set(**{f"{name}label": said.label})
            if said.knee:
                getattr(self.axes, f"set_{name}scale")("symlog", linthresh=said.knee)
            elif said.unit == "°":
                own.set_major_locator(MaxNLocator(7, steps=[1, 1.5, 2, 3, 5, 6, 10]))
            if said.ticks is not None:
                own.set_ticks(said.ticks, said.words or None)
            if said.low is not None:
                self.axes.set(**{f"{name}lim": (said.low, said.high)})
        if self.even:
            self.axes.set_aspect("equal")
        if self.bare:
            self.axes.axis("off")
            self.axes.margins(0.01)

    def _size(self, inches: float) -> None:
        """The height that the legend and the axes need at this width."""
        figure, above = self.figure, self._legend()
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)
        plot = min(1.25 * inches, TALLEST) if self.even else 0.62 * inches if inches < COLUMN else 0.4 * inches
        figure.set_figheight(plot + above)
        for _ in range(5):
            figure.get_layout_engine().execute(figure)
            self.axes.apply_aspect()
            room, used = self.axes.get_position(original=True), self.axes.get_position()
            high, missing = figure.get_figheight(), (room.width / used.width - 1) * used.height
            if abs(change := missing - (room.height - used.height)) < 0.003:
                break
            figure.set_figheight(min(high * (1 + change), plot + above))
        figure.set_figheight(np.ceil(72 * figure.get_figheight()) / 72)
        figure.get_layout_engine().execute(figure)
        for label, long in ((self.axes.xaxis.label, 0), (self.axes.yaxis.label, 1)):
            room, need = self.axes.bbox.size[long], label.get_window_extent(figure.canvas.get_renderer())
            share = (need.size[long] + 4) / room
            if label.get_text() and share > 1:
                label.set_text(textwrap.fill(label.get_text(), int(len(label.get_text()) / share)))
                figure.get_layout_engine().execute(figure)
        figure.set_layout_engine("none")

    def _legend(self) -> float:
        """What is what, above the axes in as few rows as the width allows; how high that is, in inches."""
        if not self.legend:
            return 0.0
        names, handles = list(self.legend), list(self.legend.values())
        longest = sorted(range(len(names)), key=lambda i: -len(names[i]))  # the long ones in one column
        for rows in range(1, len(names) + 1):
            for order in (range(len(names)), longest):
                inside = [handles[i] for i in order], [names[i] for i in order]
                made = self.figure.legend(*inside, loc="outside upper left", ncols=-(-len(names) // rows))
                size = made.get_window_extent(self.figure.canvas.get_renderer())
                if rows == len(names) or size.width <= self.figure.bbox.width - 4:
                    return size.height / 72
                made.remove()
        return 0.0

    def _place_words(self) -> None:
        """Words beside their places, clear of one another and of what is drawn."""
        if not self.words:
            return
        put, pen = self.axes.transData, self.figure.canvas.get_renderer()
        room = Room(*self.axes.get_window_extent(pen).get_points())
        for places, joined in self.places:
            room.take(put.transform(places), joined)
        there: dict[tuple, list] = {}
        for at, word, away in self.words:
            there.setdefault(tuple(put.transform(at).round()), []).append((at, word, away))
        for same in there.values():
            at, _, away = same[0]
            word = ", ".join(dict.fromkeys(each for _, each, _ in same))
            made = self.axes.annotate(word, at, (0, 0), textcoords="offset points", ha="center", va="center", zorder=3)
            box = made.get_window_extent(pen)
            here = put.transform(at)
            made.set_position(room.place(here, np.array([box.width, box.height]), away) - here)


def tone(colour: str, grey: bool) -> str:
    """The colour, or the grey that is as light."""
    return to_hex((luminance(colour) ** (1 / 2.2),) * 3) if grey else colour


def luminance(colour: str) -> float:
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)]
    return sum(weight * v for weight, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def printed(colour: str) -> str:
    """The colour, darkened until a thin line of it is seen on white."""
    share = min(1.0, (DARKEST / max(luminance(colour), 1e-6)) ** (1 / 2.4))
    return to_hex(tuple(share * v for v in to_rgb(colour)))


def outward(value: np.ndarray) -> np.ndarray:
    """Numbers on a grid, carried three cells beyond where there are any."""
    for _ in range(3):
        wide = np.pad(value, 1, constant_values=np.nan)
        near = np.stack([wide[1 + j : wide.shape[0] - 1 + j, 1 + i : wide.shape[1] - 1 + i]
                         for j, i in ((0, 1), (0, -1), (1, 0), (-1, 0))])  # fmt: skip
        known = ~np.isnan(near)
        mean = np.where(known, near, 0).sum(0) / np.where(known.any(0), known.sum(0), np.nan)
        value = np.where(np.isnan(value), mean, value)
    return value


def codes_of(pieces: list[np.ndarray]) -> list[int]:
    return [code for piece in pieces for code in (Outline.MOVETO, *[Outline.LINETO] * (len(piece) - 1))]

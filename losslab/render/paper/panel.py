"""One panel: the marks of a scene on axes."""

import dataclasses
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import ListedColormap, Normalize, PowerNorm, to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from losslab.render import flat, style
from losslab.render.style import LIGHT
from losslab.render.words import Room
from losslab.scene import CHART, CIRCLE, SPHERE, Area, Arrows, Axis, Mark, Path, Points, Scene

from .look import (
    CURVES,
    DASH,
    EVEN,
    LINES,
    LONGEST_ARROW,
    MOST_WRITTEN,
    PAPER,
    SHAPES,
    SIZES,
    SMALL,
    STEPS,
    TICK,
    WORDS,
    Inks,
)


def flattened(scene: Scene, camera: Any, maps: bool) -> tuple[Scene, list[tuple[Path, str]]]:
    """The scene in the plane, and the lines and words of the legend that a screen writes below a circle or sphere."""
    if scene.space not in (CIRCLE, SPHERE):
        return scene, []
    made, rows = flat.flattened(scene, camera, maps), list(flat.legend(scene, 0))
    if scene.space == SPHERE:
        ends = ((-1.08, 2.2), (-1.2, 1.08)) if maps else ((-1.04, 1.04),) * 2
    else:  # alike in all panels, whatever stands outside
        reach = 1.42 if scene.of_role("ground") else 1.22 if scene.of_role("sample") else 1.03
        ends = ((-reach, reach),) * 2
    x, y = (Axis("", "", low, high) for low, high in ends)
    bare = dataclasses.replace(made, marks=made.marks[: len(made.marks) - len(rows)], x=x, y=y)
    return bare, [(line, word.words[0]) for line, word in zip(rows[::2], rows[1::2], strict=True)]


class Scales:
    """What several panels measure alike: from where to where the inks of a magnitude go, and how long arrows are."""

    def __init__(self, scenes: list[Scene]) -> None:
        self._values: dict[tuple[str, str], list[np.ndarray]] = {}
        self._key: dict[int, tuple[str, str]] = {}  # of each mark
        for scene in scenes:
            names: dict[str, str] = {}  # of a role: on the maps beside a sphere a mark goes on without its name
            for mark in scene.marks:
                value = mark.size if isinstance(mark, Arrows) else getattr(mark, "value", None)
                if value is not None and value.size:
                    names[mark.role] = mark.name or names.get(mark.role, "")
                    alike = isinstance(mark, Arrows) or mark.role == "ground"  # whatever they are called
                    self._key[id(mark)] = mark.role, "" if alike else names[mark.role]
                    self._values.setdefault(self._key[id(mark)], []).append(value.ravel())

    def norm(self, mark: Mark) -> Normalize:
        """Of a magnitude shown by ink."""
        if mark.role == "ground":  # by its square root: most places feel next to nothing
            return PowerNorm(0.5, 0, float(np.nanquantile(self._all(mark), 0.98)) or 1.0, clip=True)
        if span := getattr(mark, "span", None):
            return Normalize(*span)
        return Normalize(float(np.nanmin(self._all(mark))), float(np.nanmax(self._all(mark))))

    def longest(self, mark: Arrows) -> float:
        """What the longest arrows of its role stand for."""
        return float(np.quantile(self._all(mark), 0.98)) or 1.0

    def _all(self, mark: Mark) -> np.ndarray:
        return np.concatenate(self._values[self._key[id(mark)]])


class Panel:
    """One scene being drawn on axes that are about `inches` wide; `round`, it was on the circle or the sphere. What it
    says of its inks is for the page to write."""

    def __init__(
        self, scene: Scene, axes: Axes, inks: Inks, scales: Scales, inches: float, round: bool, raster: bool
    ) -> None:
        self.round = round
        self.scene, self.axes, self.inks, self.scales = scene, axes, inks, scales
        self.raster = raster
        self.inches = inches
        self.grow = 1.0 if inches > SMALL else 0.8  # of markers
        self.head: Text | None = None  # that the page writes over it
        self.legend: dict[str, Artist] = {}
        self.inked: dict[str, tuple[ListedColormap, Normalize]] = {}  # magnitudes shown by ink, by name
        self.words: list[tuple[np.ndarray, str, float]] = []  # places, words, and how far from one another
        self.places: list[tuple[np.ndarray, bool]] = []  # what words keep clear of; whether a line joins it
        self.badges: list[tuple[np.ndarray, float]] = []  # places where no word may be, and how wide in points
        self.bare = scene.space != CHART and not scene.x.title.strip("xy")
        self.even = scene.space != CHART or scene.square
        for i, mark in enumerate(scene.marks):
            self._mark(mark, 1 + i / 1000)
        self._axes()

    def name(self, path: Path, word: str) -> None:
        """A line of the legend."""
        self.legend[word] = Line2D([], [], **self._line(path))

    def nameless(self) -> bool:
        """Are there samples of a class whose name stands nowhere?"""
        samples = [mark.each for mark in self.scene.of_role("sample") if mark.each is not None]
        named = [mark.each for mark in self.scene.of_role("prototype") if mark.each is not None and mark.words]
        found = set(np.concatenate(samples).tolist()) if samples else set()
        return self.scene.by_class and bool(found - set(np.concatenate(named).tolist() if named else ()))

    def classes(self) -> dict[str, Artist]:
        """The ink of each class, for a legend."""
        look = {"linestyle": "none", "markersize": 3.5, "markeredgewidth": 0}
        return {
            name: Line2D([], [], **look, color=self.inks.line(k), marker=self.inks.marker(k))
            for k, name in enumerate(self.scene.names)
        }

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
            case Points(role="word") if self.round and self.inches <= SMALL:  # too near to everything to stand anywhere
                self.words += [(at, word, 1) for at, word in zip(mark.at, mark.words, strict=True)]
            case Points() if mark.role in WORDS:
                across, up, tone = WORDS[mark.role]
                for at, word in zip(mark.at, mark.words, strict=True):
                    look = {"ha": across, "va": up, "color": self.inks.tone(getattr(LIGHT, tone))}
                    self._write(at, word, bbox=None if mark.role == "remark" else PAPER, **look)
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
        size, shape = self.grow * SIZES.get(mark.role, 4), SHAPES.get(mark.role)
        known = np.full(len(mark.at), -1 if mark.of is None else mark.of) if mark.each is None else mark.each
        look: dict[str, Any] = {"markersize": size, "linestyle": "none", "zorder": order}
        look |= {"markeredgewidth": 0.25 if size < 3 else 0.5, "markeredgecolor": LIGHT.background}
        if mark.role == "behind":
            look["alpha"] = 0.25
        if mark.value is not None:
            norm = self.scales.norm(mark)
            many = {"marker": shape or "o", "s": size**2, "linewidths": look["markeredgewidth"], "zorder": order}
            made = self.axes.scatter(
                *mark.at.T, c=mark.value, cmap=self.inks.ramp(), norm=norm, edgecolors=LIGHT.background, **many
            )
            if mark.name:
                self.inked[mark.name] = made.cmap, norm
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
                self.axes.plot(*mark.at[known == k].T, **look, rasterized=self.raster and mark.role == "sample")
            if mark.each is not None and len(np.unique(known)) > 1:
                look |= {"color": self.inks.line(None), "marker": shape or "o"}
            self._name(mark, Line2D([], [], **look | {"markersize": max(size, 3.5)}))
        self.places.append((mark.at, False))
        inside = mark.role == "prototype" and max(map(len, mark.words), default=0) < 3
        for at, k, word in zip(mark.at, known, mark.words, strict=False):
            if inside:
                self.badges.append((at, size))
                tone = self.inks.tone(style.readable(self.inks.fill(None if k < 0 else int(k))))
                self._write(
                    at, word, ha="center", va="center_baseline", color=tone, zorder=order, size=7 * self.grow**0.7
                )
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
        share = np.clip(size / self.scales.longest(mark), 0, 1)
        along = mark.along / np.maximum(np.linalg.norm(mark.along, axis=1, keepdims=True), 1e-12)
        longest = LONGEST_ARROW * (1.5 if self.inches <= SMALL else 1) * (0.45 if mark.role == "push" else 1)
        reach = (np.sqrt(share) * longest * span)[:, None]
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
            alpha = {"region": 0.25 if hatch else 0.55, "wash": 0.16, "band": 0.16}.get(mark.role, 0.3)
            if mark.role == "band" and hatch:  # over hatches that a line of it would be lost in
                colour, alpha, hatch = LIGHT.background, 0.6, None
        highest = np.nanmax(mark.value)
        if not highest > 0:
            return
        where = mark.x, mark.y, mark.value, [0, highest + 1]
        self.axes.contourf(*where, colors=[(colour, alpha)], zorder=order).set(edgecolor="none", linewidth=0)
        if hatch:  # for itself: with the fill in its tiles, their seams would show
            made = self.axes.contourf(*where, colors=["none"], hatches=[hatch], zorder=order)
            made.set(edgecolor=(self.inks.line(mark.of), 0.7), linewidth=0)
        edge = mark.role not in (*plain, "wash", "band")
        if edge:
            line = self.inks.line(mark.of)
            self.axes.contour(mark.x, mark.y, mark.value, levels=[0], colors=[line], linewidths=0.8, zorder=order)
        rim = (self.inks.line(mark.of), 0.7) if edge else "none"
        self._name(mark, Patch(facecolor=(colour, alpha), edgecolor=rim, hatch=hatch, linewidth=0.6))

    def _ground(self, mark: Area, order: float) -> None:
        """A magnitude everywhere; the discs of a sphere end at their rims."""
        norm = self.scales.norm(mark)
        rims = self.scene.of_role("rim")
        value = outward(mark.value) if rims else mark.value
        fills = self._stacked(mark.x, mark.y, value, norm, order)
        if rims:
            edge = PathPatch(Outline(np.concatenate(pieces := flat.unbroken(rims[0].at)), codes_of(pieces)))
            edge.set_transform(self.axes.transData)
            for fill in fills:
                fill.set_clip_path(edge)
        if mark.name:
            self.inked[mark.name] = self.steps(), norm

    def _level(self, mark: Area, order: float) -> None:
        norm = self.scales.norm(mark)
        self._stacked(mark.x, mark.y, mark.value, norm, order)
        self.inked[mark.name] = self.steps(), norm

    def steps(self) -> ListedColormap:
        return ListedColormap(self.inks.ramp()((np.arange(STEPS) + 0.5) / STEPS))

    def _stacked(self, x: np.ndarray, y: np.ndarray, value: np.ndarray, norm: Normalize, order: float) -> list[Artist]:
        """Polygons from the lowest up, each over the one before: between neighbours a seam would show."""
        levels, top = norm.inverse(np.arange(STEPS) / STEPS), np.nanmax(value) + 1
        made = []
        for level, ink in zip(levels, self.steps().colors, strict=True):
            low = -np.inf if level == levels[0] else level
            if np.nanmax(value) > level:
                low = min(np.nanmin(value), level) - 1 if low == -np.inf else low
                made.append(self.axes.contourf(x, y, value, levels=[low, top], colors=[ink], zorder=order))
        return made

    def _cells(self, mark: Area, order: float) -> None:
        """A table of magnitudes by ink, of which the small ones stand out; the numbers themselves where they fit."""
        norm, ramp = self.scales.norm(mark), self.inks.ramp().reversed()
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
        self.inked[mark.name] = ListedColormap(ramp((np.arange(STEPS) + 0.5) / STEPS)), norm

    def _write(self, at: Any, word: str, zorder: float = 3, **look: Any) -> None:
        self.axes.text(*at, word, zorder=zorder, **look)

    def _name(self, mark: Mark, handle: Artist) -> None:
        if mark.name:
            self.legend.setdefault(mark.name, handle)

    # -- the axes --------------------------------------------------------------------------------------------

    def _axes(self) -> None:
        for said, own, name in ((self.scene.x, self.axes.xaxis, "x"), (self.scene.y, self.axes.yaxis, "y")):
            self.axes.set(**{f"{name}label": "" if self.bare else said.label})
            if said.knee:
                getattr(self.axes, f"set_{name}scale")("symlog", linthresh=said.knee)
            if said.ticks is not None:
                every = 1 if said.words or name == "y" else -(-len(said.ticks) * TICK // self.inches)
                own.set_ticks(said.ticks[:: int(every)], said.words or None)
            elif not said.knee:
                fine = (
                    {"nbins": 7, "steps": [1, 1.5, 2, 3, 5, 6, 10]} if said.unit == "°" else {"nbins": 8, "steps": EVEN}
                )
                room = round(self.inches / TICK / (1 if said.unit == "°" else 1.4)) if name == "x" else 8
                own.set_major_locator(MaxNLocator(**fine | {"nbins": max(2, min(fine["nbins"], room))}))
            if said.low is not None:
                self.axes.set(**{f"{name}lim": (said.low, said.high)})
        if self.bare:
            self.axes.axis("off")
            self.axes.margins(0.01)

    def settle(self) -> None:
        """Have one unit as long across as up, where that is to be, in the place that the axes have now."""
        if self.even:
            self.axes.set_aspect("equal")
            self.axes.apply_aspect()

    def place_words(self, pen: Any) -> None:
        """Words beside their places, clear of one another and of what is drawn."""
        if not self.words:
            return
        put = self.axes.transData
        room = Room(*self.axes.get_window_extent(pen).get_points())
        for places, joined in self.places:
            room.take(put.transform(places), joined)
        for at, wide in self.badges:
            room.fill(put.transform(at) - wide / 2, put.transform(at) + wide / 2)
        there: dict[tuple, list] = {}
        for at, word, away in self.words:
            there.setdefault(tuple(put.transform(at).round()), []).append((at, word, away))
        for same in there.values():
            at, _, away = same[0]
            word = ", ".join(dict.fromkeys(each for _, each, _ in same))
            made = self.axes.annotate(
                word, at, (0, 0), textcoords="offset points", ha="center", va="center", zorder=3, bbox=PAPER
            )
            box = made.get_window_extent(pen)
            here = put.transform(at)
            made.set_position(room.place(here, np.array([box.width, box.height]), away) - here)


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

"""The page: panels in rows, and what they share said once."""

import textwrap
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from losslab.render import style
from losslab.render.style import LIGHT
from losslab.scene import CHART, CIRCLE, SPHERE, Axis, Plate

from .look import COLUMN, EVEN, FULL, LABEL, TALLEST, Inks
from .panel import Panel, Scales, flattened

NARROWEST = 1.45  # inches of a panel with its axes: on a narrower page fewer stand side by side
GUTTER = 0.3  # inches between panels, for the numbers on their axes
TALLEST_ROW = 2.0  # inches, of charts below or above other panels
SMALLEST = 0.45  # inches of a panel's axes, either way: what is smaller shows nothing
MOST_NAMED = 12  # classes in a legend
ABOVE = 3.0  # points between a panel, its legend and its head


class Page:
    """One figure being drawn. ValueError where its panels have no room on the page."""

    def __init__(self, plate: Plate, inches: float, grey: bool, camera: Any, raster: bool) -> None:
        self.plate, self.columns = plate, max(1, min(plate.columns, int(inches / NARROWEST)))
        high = 1 + (1 + inches / self.columns) * -(-len(plate.panels) // self.columns)  # more than enough: see `_size`
        self.figure = Figure(figsize=(inches, high), dpi=72, layout="constrained")
        FigureCanvasAgg(self.figure)  # measures words
        pad = 0.045 if len(plate.panels) > 1 else 0.02  # alone it goes to the edge
        self.figure.get_layout_engine().set(w_pad=pad, h_pad=pad, wspace=0, hspace=0)
        many = len(plate.panels) > 1
        flat = [flattened(scene, camera, maps=not many) for scene in plate.panels]
        scales = Scales([scene for scene, _ in flat])
        self.grid = self.figure.add_gridspec(-(-len(flat) // self.columns), self.columns)
        room = inches / self.columns - GUTTER * many
        self.panels = []
        for i, (scene, named) in enumerate(flat):
            round = plate.panels[i].space in (CIRCLE, SPHERE)
            row, column = divmod(i, self.columns)
            last = many and i == len(flat) - 1 and column == 0 and scene.space == CHART and not scene.square
            axes = self.figure.add_subplot(self.grid[row, column : self.columns if last else column + 1])
            own = style.class_inks(max(len(scene.names), 1)) if scene.by_class else style.SERIES
            panel = Panel(scene, axes, Inks(grey, own), scales, inches - GUTTER if last else room, round, raster)
            for path, word in named:
                panel.name(path, word)
            self.panels.append(panel)
        self._share()
        self._bars()
        self.figure.get_layout_engine().execute(self.figure)  # where axes begin says how wide their legends may be
        above = self._legends()
        self._size(inches, above)
        pen = self.figure.canvas.get_renderer()
        for panel in self.panels:
            panel.place_words(pen)

    @property
    def rows(self) -> list[list[Panel]]:
        return [self.panels[i : i + self.columns] for i in range(0, len(self.panels), self.columns)]

    def _share(self) -> None:
        """An axis that goes on in the panel below, or comes from the one to the left, is said there alone."""
        for above, below in zip(self.rows[:-1], self.rows[1:], strict=True):
            for panel, other in zip(above, below, strict=False):
                if same(panel.scene.x, other.scene.x):
                    panel.axes.set_xlabel("")
                    panel.axes.tick_params(labelbottom=panel.scene.x.low is None)
        for row in self.rows:
            for other, panel in zip(row[:-1], row[1:], strict=True):
                if same(panel.scene.y, other.scene.y):
                    panel.axes.set_ylabel("")
                    panel.axes.tick_params(labelleft=panel.scene.y.low is None)
        said = [panel for panel in self.panels if panel.axes.get_xlabel()]
        names = {panel.axes.get_xlabel() for panel in said}
        if len(said) > 2 and len(names) == 1 and said == self.rows[-1]:
            self.figure.supxlabel(names.pop(), fontsize=LABEL)
            for panel in self.panels:
                panel.axes.set_xlabel("")

    # -- what inks mean --------------------------------------------------------------------------------------

    def _bars(self) -> None:
        """One scale of inks for all panels that show a magnitude."""
        names = dict.fromkeys(name for panel in self.panels for name in panel.inked)
        for name in names:
            having = [panel for panel in self.panels if name in panel.inked]
            inks, norm = having[0].inked[name]
            self._bar(name, inks, norm, [panel.axes for panel in having], having[0].bare and len(self.panels) == 1)

    def _bar(self, name: str, inks: Any, norm: Normalize, axes: list[Axes], below: bool) -> None:
        """The scale of a magnitude: beside the panels, or below a sphere, beside which there is no room."""
        steps = inks if isinstance(inks, ListedColormap) else self.panels[0].steps()
        look = {"location": "bottom", "aspect": 45, "shrink": 0.7} if below else {"aspect": 28, "shrink": 0.9}
        bar = self.figure.colorbar(ScalarMappable(norm, steps), ax=axes, pad=0.02, **look)
        bar.solids.set(edgecolor="face", linewidth=0.3)
        bar.outline.set(linewidth=0.5, edgecolor=self.panels[0].inks.tone(LIGHT.soft))
        ticks = [
            tick
            for tick in MaxNLocator(5, steps=EVEN).tick_values(norm.vmin, norm.vmax)
            if norm.vmin <= tick <= norm.vmax
        ]
        apart = [tick for i, tick in enumerate(ticks) if i == 0 or norm(tick) - norm(ticks[i - 1]) > 0.1]
        bar.set_ticks(apart, labels=[f"{tick:g}".replace("-", "−") for tick in apart])
        bar.set_label(name)

    def _legends(self) -> float:
        """What is what: above all where one legend says it for every panel, else above each row, or each panel. How
        many inches are above all."""
        wide = self.figure.bbox.width - 4
        known = widest(self.panels)
        if known is None:
            known = shared(self.panels)
        for panel in self.panels:
            panel.legend = {name: each for name, each in panel.legend.items() if name not in known}
        unnamed = [panel for panel in self.panels if panel.nameless()]
        if unnamed and len(unnamed[0].scene.names) <= MOST_NAMED:
            known = unnamed[0].classes() | known
        above = legend(self.figure, known, wide, loc="outside upper left")
        for row in self.rows:
            known = widest(row)
            rooms = self._rooms(row)
            if known is None or sum(bool(panel.legend) for panel in row) == 1:
                made = [legend(panel.axes, panel.legend, room) for panel, room in zip(row, rooms, strict=True)]
            else:
                made = [legend(row[0].axes, known, sum(rooms))]
            self._heads(row, max((72 * self._height(each) for each in made if each), default=0))
        return self._height(above) if above else 0.0

    def _heads(self, panels: list[Panel], legend: float) -> None:
        """Letters and what stands over the panels, above legends that are so many points high."""
        if len(self.panels) == 1:
            return
        for panel in panels:
            i = self.panels.index(panel)
            said, above = (
                self.plate.heads[i] if self.plate.heads else "",
                self.plate.heads[: max(0, i - self.columns + 1)],
            )
            head = f"({chr(ord('a') + i)}) {'' if above and above[-1] == said else said}".rstrip()
            panel.head = panel.axes.set_title(head, loc="left", pad=legend + ABOVE + (ABOVE if legend else 0))

    def _height(self, made: Legend) -> float:
        return made.get_window_extent(self.figure.canvas.get_renderer()).height / 72

    # -- how high --------------------------------------------------------------------------------------------

    def _size(self, inches: float, above: float) -> None:
        """The height that the panels need at this width. Equal axes fill their places until it is found: so what stands
        around them is measured as it will be."""
        figure = self.figure
        engine = figure.get_layout_engine()
        for first in (True, *[False] * 7):
            engine.execute(figure)
            width, height = figure.get_size_inches()
            now = [max(panel.axes.get_position().height for panel in row) * height for row in self.rows]
            wanted = [self._wanted(row, width) for row in self.rows]
            wrapped = self._wrap(wanted if first else None)  # broken again and again, they would take all the width
            most = (FULL if len(self.panels) > 1 else min(1.25 * inches, TALLEST)) - (height - sum(now) - above)
            shrink = min(1.0, most / sum(wanted))
            if shrink * min(wanted) < SMALLEST:
                raise ValueError(self._crowded(inches))
            change = shrink * sum(wanted) - sum(now)
            self.grid.set_height_ratios(wanted)
            figure.set_figheight(height + change)
            if abs(change) < 0.01 and not wrapped:
                break
        figure.set_figheight(np.ceil(72 * figure.get_figheight() - 0.1) / 72)
        engine.execute(figure)
        for panel in self.panels:
            panel.settle()
        if self._wrap([max(panel.axes.bbox.height for panel in row) / 72 for row in self.rows]):
            engine.execute(figure)
        figure.set_layout_engine("none")
        if min(panel.axes.bbox.size.min() for panel in self.panels) < 72 * SMALLEST:
            raise ValueError(self._crowded(inches))

    def _crowded(self, inches: float) -> str:
        return (
            f"{len(self.panels)} panels have no room on a page that is {25.4 * inches:.0f} mm wide and at most "
            f"{25.4 * FULL:.0f} mm high: choose a larger width, or fewer losses."
        )

    def _rooms(self, row: list[Panel]) -> list[float]:
        """Points from where each of these panels' axes begin to those of the next, or to the end of the page."""
        ends = [panel.axes.bbox.x0 for panel in row[1:]] + [self.figure.bbox.width]
        return [end - panel.axes.bbox.x0 - ABOVE for panel, end in zip(row, ends, strict=False)]

    def _wrap(self, high: list[float] | None) -> bool:
        """What stands over panels and below them on several lines where one is too long, and what stands beside rows
        that are so many inches `high`. Was any?"""
        done = []
        for i, row in enumerate(self.rows):
            for panel, room in zip(row, self._rooms(row), strict=True):
                done.append(fill(panel.axes.xaxis.label, panel.axes.bbox.width))
                if high:
                    done.append(fill(panel.axes.yaxis.label, 72 * high[i], 1))
                if panel.head:
                    done.append(fill(panel.head, room))
        return any(done)

    def _wanted(self, row: list[Panel], width: float) -> float:
        """How high a row is to be, in inches: as equal axes want it, else in the proportions that a chart reads well
        in."""
        wide = max(panel.axes.get_position().width for panel in row) * width
        if even := [panel.axes.get_data_ratio() for panel in row if panel.even]:
            return max(even) * wide
        high = (0.8 if wide < 2 else 0.66 if wide < COLUMN else 0.42) * wide
        return high if len(self.panels) == 1 else min(high, TALLEST_ROW)


def same(one: Axis, other: Axis) -> bool:
    """Whether two panels have one axis."""
    return bool(one.title) and (one.label, one.low, one.high) == (other.label, other.low, other.high)


def widest(panels: list[Panel]) -> dict[str, Artist] | None:
    """The legend that says what all of these panels have; None where there is none."""
    found = max((panel.legend for panel in panels), key=len)
    return found if all(panel.legend.keys() <= found.keys() for panel in panels) else None


def shared(panels: list[Panel]) -> dict[str, Artist]:
    """What every panel that has a legend says in it."""
    legends = [panel.legend for panel in panels if panel.legend]
    return {name: each for name, each in legends[0].items() if all(name in other for other in legends)}


def legend(where: Figure | Axes, known: dict[str, Artist], width: float, **place: Any) -> Legend | None:
    """In as few rows as so many points of width allow; the long names in one column."""
    if not known:
        return None
    inside = isinstance(where, Axes)
    figure = where.figure if inside else where
    if inside:
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": ABOVE / 7}
    names, handles = list(known), list(known.values())
    longest = sorted(range(len(names)), key=lambda i: -len(names[i]))
    for rows in range(1, len(names) + 1):
        for order in (range(len(names)), longest):
            said = [handles[i] for i in order], [names[i] for i in order]
            made = where.legend(*said, ncols=-(-len(names) // rows), **place)
            if inside:
                made.set_in_layout(False)  # room is made by the heads, also over the neighbours
            size = made.get_window_extent(figure.canvas.get_renderer())
            if size.width <= width:
                return made
            if rows == len(names):
                for said in made.get_texts():
                    most = max(1, int(len(max(names, key=len)) * width / size.width) - 3)
                    said.set_text(textwrap.fill(said.get_text(), most))
                return made
            made.remove()
    return None


def fill(text: Text, room: float, long: int = 0) -> bool:
    """Words that need more room than so many points (`long` 0: across, 1: up) on several lines. Were they broken?"""
    share = (text.get_window_extent(text.figure.canvas.get_renderer()).size[long] + 4) / max(room, 1)
    before = text.get_text()
    if before and share > 1:
        longest = max(map(len, before.splitlines()))
        text.set_text(textwrap.fill(" ".join(before.split()), max(1, int(longest / share)), break_long_words=False))
    return text.get_text() != before

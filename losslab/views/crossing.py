"""From one class to another: how far each clears its margin along the great circle between them, unprojected."""

import math

import numpy as np
import torch

from losslab.catalogue import knob
from losslab.scene import CHART, Area, Axis, Mark, Path, Scene

from .ball import Judge, class_directions
from .boundaries import Boundaries
from .strips import between, way


class Crossing(Boundaries):
    """The gaps of two classes on the way from one prototype to the other: of the nearest two, or of a chosen class and
    the one nearest to it."""

    card = "How far two neighbours clear their margins on the way from one to the other; the grey strip is the margin."
    chosen: int = knob(-1, -1, 1000, step=1, help="The class to start from; −1 takes the nearest two.")

    def scene(self) -> Scene:
        judges, names = self.judged()
        first = judges[0]
        a, b = self.pair(first)
        turn, place = way(first.head, a, b)
        deg = turn.rad2deg().numpy()
        gap = [[judge.gap(place, torch.full((len(place),), k)).numpy() for k in (a, b)] for judge in judges]
        low, high = min(map(np.min, gap[0])), max(map(np.max, gap[0]))
        room = 0.06 * float(high - low)
        found = between(first, a, b)
        marks: list[Mark] = []
        if found is not None and found.deg:
            ends = np.degrees([found.leave, found.arrive])
            marks.append(Area(role="margin", x=ends, y=np.array([low - room, high + room]), value=np.ones((2, 2))))
        marks.append(Path(role="guide", at=np.array([[0, 0], [deg[-1], 0]])))
        for name, curves, role in zip(names, gap, ["gap"] + ["other"] * (len(names) - 1), strict=True):
            more = f", {name}" if len(names) > 1 else ""
            marks += [
                Path(role=role, of=k, name=f"gap of {self.classes[k]}{more}", at=np.stack([deg, values], 1))
                for k, values in zip((a, b), curves, strict=True)
            ]
        return Scene(
            title=f"From {self.classes[a]} to {self.classes[b]}",
            says=self.along(first, a, b),
            space=CHART,
            marks=tuple(marks),
            x=Axis(f"From {self.classes[a]} towards {self.classes[b]}", "°", 0, float(deg[-1])),
            y=Axis("Gap: above 0 the class clears its margin", "", low - room, high + room),
            names=self.classes,
            by_class=True,
        )

    def pair(self, judge: Judge) -> tuple[int, int]:
        """The chosen class and its nearest neighbour, or the two that are nearest to each other."""
        rows = class_directions(judge.head)
        cosine = (rows @ rows.T).fill_diagonal_(-2)
        if 0 <= self.chosen < len(rows):
            return self.chosen, int(cosine[self.chosen].argmax())
        a, b = divmod(int(cosine.argmax()), len(rows))
        return min(a, b), max(a, b)

    def along(self, judge: Judge, a: int, b: int) -> str:
        found, names = between(judge, a, b), (self.classes[a], self.classes[b])
        angle = math.degrees(float(way(judge.head, a, b)[0][-1]))
        start = f"{names[0]} and {names[1]} stand {angle:.1f}° apart"
        if found is None:
            return f"{start}: one of them clears its margin nowhere on the way."
        if not found.deg:
            return f"{start}, and their zones touch."
        own, other = math.degrees(found.leave), angle - math.degrees(found.arrive)
        return f"{start}: {own:.1f}° belong to {names[0]}, {found.deg:.1f}° to nobody, and {other:.1f}° to {names[1]}."

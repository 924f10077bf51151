"""The strip between two zones: what neither class wins by its margin, measured on the great circle between them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from losslab.geometry import great_circle, tangent, unit
from losslab.head import Head
from losslab.scene import Mark, Path, Points

from .ball import Judge, class_directions

ALONG = 241  # places on the way at which gaps are worked out; between two of them a gap is taken to be straight
TOUCHING = 0.05  # degrees below which zones touch


@dataclass(frozen=True)
class Strip:
    """From the prototype of class a to that of b, in radians from the first."""

    a: int
    b: int
    between: float
    leave: float  # where the zone of a ends
    arrive: float  # where the zone of b begins

    @property
    def deg(self) -> float:
        """How wide it is; 0 where zones touch or lie over each other."""
        width = math.degrees(self.arrive - self.leave)
        return width if width > TOUCHING else 0.0


def strips(judge: Judge) -> list[Strip]:
    """The strips between all pairs of neighbours: those with no third class between them, where both have a zone on
    the way."""
    rows = class_directions(judge.head)
    pairs = torch.combinations(torch.arange(len(rows)))
    start, towards = rows[pairs[:, 0]], rows[pairs[:, 1]]
    along, across = unit(tangent(towards, start))
    turn = torch.linspace(0, 1, ALONG, dtype=rows.dtype) * torch.atan2(across, (start * towards).sum(1))[:, None]
    place = turn.cos()[..., None] * start[:, None] + turn.sin()[..., None] * along[:, None]
    winner = (place @ rows.T).argmax(2)
    near = ((winner == pairs[:, :1]) | (winner == pairs[:, 1:])).all(1) & (across > 1e-3)
    pairs, turn, place = pairs[near], turn[near], place[near].flatten(0, 1)
    if not len(pairs):
        return []
    label = pairs.T.flatten().repeat_interleave(ALONG)
    mine, theirs = judge.gap(torch.cat([place, place]), label).view(2, len(pairs), ALONG)
    found = (strip(a, b, *each) for (a, b), *each in zip(pairs.tolist(), turn, mine, theirs, strict=True))
    return [one for one in found if one is not None]


def narrowest(found: list[Strip]) -> Strip | None:
    # Of strips that are equal but for rounding, the first: a picture must not flicker.
    return min(found, key=lambda one: round(one.deg, 3), default=None)


def between(judge: Judge, a: int, b: int) -> Strip | None:
    """The strip between two classes, None where one of them has no zone on the way."""
    turn, place = way(judge.head, a, b)
    return strip(a, b, turn, *(judge.gap(place, torch.full((ALONG,), k)) for k in (a, b)))


def way(head: Head, a: int, b: int) -> tuple[Tensor, Tensor]:
    """The great circle from class a to class b: angles from a [ALONG] in radians, and directions [ALONG d]."""
    rows = class_directions(head)
    angle = torch.atan2(tangent(rows[b], rows[a]).norm(), rows[a] @ rows[b])
    turn = torch.linspace(0, 1, ALONG, dtype=rows.dtype) * angle
    return turn, great_circle(rows[a], rows[b], turn)


def strip(a: int, b: int, turn: Tensor, mine: Tensor, theirs: Tensor) -> Strip | None:
    """From where the gap of a falls below zero for the last time to where that of b first rises above it."""
    if not (mine > 0).any() or not (theirs > 0).any():
        return None
    last, first = int((mine > 0).nonzero().max()), int((theirs > 0).nonzero().min())
    step, leave, arrive = float(turn[1] - turn[0]), float(turn[last]), float(turn[first])
    if last + 1 < len(turn):
        leave += step * float(mine[last] / (mine[last] - mine[last + 1]))
    if first > 0:
        arrive -= step * float(theirs[first] / (theirs[first] - theirs[first - 1]))
    return Strip(a, b, float(turn[-1]), leave, arrive)


def measured(head: Head, least: Strip | None) -> list[Mark]:
    """A strip as it is written on the picture: the way across, and how long it is."""
    if least is None or not least.deg:
        return []
    rows = class_directions(head)
    across = torch.linspace(least.leave, least.arrive, 17, dtype=rows.dtype)
    line = great_circle(rows[least.a], rows[least.b], across).numpy()
    return [
        Path(role="narrowest", name="narrowest strip", at=line),
        Points(role="narrowest", at=line[8:9], words=(f"{least.deg:.1f}°",)),
    ]

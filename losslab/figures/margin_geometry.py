"""What a margin is on the circle and on the sphere: arcs and caps that classes must keep to."""

import dataclasses

import torch
from torch import Tensor

from losslab import losses as family
from losslab.geometry import around, unit
from losslab.losses import Loss
from losslab.scene import Plate, Scene
from losslab.training import Run
from losslab.views.ball import Judge
from losslab.views.boundaries import Boundaries
from losslab.views.strips import Strip, between, measured

from .base import Figure
from .layout import by_loss, noted
from .von_mises_fisher import around_it

NEAR, FAR = 50, 80  # degrees from class 0 to class 1 and to class 2
MIDDLE = (0.60, -0.75, 0.30)  # of what the reader sees of the sphere


def standing(direction: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, direction.tolist()))


def deg(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).deg2rad()


RING = standing(around(deg(100, 100 - NEAR, 100 + FAR, 300)))
# Classes 0 and 2 on one great circle through the middle; class 1 so that it is NEAR to class 0.
BALL = standing(
    around_it(unit(torch.tensor(MIDDLE).double())[0], deg(20, -42.183, 200, 100), deg(FAR / 2, 60, FAR / 2, 65))
)
SURFACES = {"circle": RING, "sphere": BALL}


class MarginGeometry(Figure):
    """The same loss in two and in three dimensions, four classes by hand. Zones end where the loss's own gap is zero;
    the strips from class 0 to its near and to its far neighbour are measured."""

    card = "The same margin on the circle and on the sphere: arcs and caps that classes keep to, and the strip between."
    after = "SphereFace, Figure 3; CosFace, Figure 3"
    losses: tuple[Loss, ...] = (
        family.starting("NormFace"),
        family.turned(family.starting("SphereFace"), {"easing": 0.0}),
        family.starting("CosFace"),
        family.starting("ArcFace"),
    )

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        each = [tuple(drawn(surface, loss) for surface in SURFACES) for loss in self.losses]
        found = [[left(surface, loss) for loss in self.losses] for surface in SURFACES]
        where = "the same on circle and sphere" if found[0] == found[1] else "measured on the circle"
        said = [f"{name} {room}" for name, room in zip(self.names, found[0], strict=True)]
        return Plate(
            title="What a margin is on the circle and on the sphere",
            says=f"Class 0 has class 1 {NEAR}° away and class 2 {FAR}° away. The strips to them that are nobody's, "
            f"{where}: {'; '.join(said)}.",
            notes=("Grey: no class clears its margin there; bars: the two strips.", *noted(each, self.names)),
            **by_loss(each, self.names),
        )


def on(surface: str, loss: Loss) -> Boundaries:
    return Boundaries(losses=(loss,), surface=surface, prototypes=SURFACES[surface])


def strips(view: Boundaries) -> list[Strip | None]:
    """From class 0 to class 1 and to class 2."""
    judge = Judge(view.head(view.losses[0]), view.length)
    return [between(judge, 0, k) for k in (1, 2)]


def drawn(surface: str, loss: Loss) -> Scene:
    """The zones, and the two strips in place of the narrowest one."""
    view = on(surface, loss)
    scene, head = view.scene(), view.head(loss)
    marks = [mark for mark in scene.marks if mark.role != "narrowest"]
    for k, strip in enumerate(strips(view), 1):
        marks += [dataclasses.replace(mark, name=f"strip to class {k}") for mark in measured(head, strip)]
    return dataclasses.replace(scene, marks=tuple(marks))


def left(surface: str, loss: Loss) -> str:
    """How wide the two strips are."""
    found = strips(on(surface, loss))
    if None in found:
        return "has no zone for each of the three"
    near, far = (f"{strip.deg:.1f}°" for strip in found)
    return f"{near} at both" if near == far else f"{near} and {far}"

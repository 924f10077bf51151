"""What pictures of pushes share: the class that a sample is taken to be of, which part of its push is shown, where
samples were dropped, and the head that pushes."""

import copy
import math

import numpy as np
import torch
from torch import Tensor

from losslab import losses
from losslab.catalogue import knob
from losslab.fields import flow, push, term_push
from losslab.geometry import great_circle, tangent, unit
from losslab.head import Head
from losslab.losses import Loss
from losslab.scene import Arrows

from .ball import MOST, OnBall

STEPS, STRIDE = 36, 0.125  # of a line that follows the push; a full step is 7.2 degrees
BESIDE = 10  # degrees beside a prototype, where its two sides are compared
MOST_DROPS = 12
SHOWN = 400  # samples of a run whose own pushes are drawn
WHAT = {"push": "The push", "added term": "What the term adds", "exact minus detached": "What detached leaves out"}


class Pushes(OnBall):
    """A picture of where a loss sends samples, if they were of one class."""

    surface: str = knob(
        "sphere",
        choices=("circle", "sphere", "plane"),
        help="Directions in two or three dimensions, or two dimensions with their lengths.",
    )
    label: int = knob(0, 0, symbol="y", help="The class that a sample is taken to be of.")
    towards: str = knob(
        "nearest", choices=("nearest", *map(str, range(MOST))), help="The other class that the profile goes to."
    )
    shown: str = knob(
        "push",
        choices=("push", "added term", "exact minus detached"),
        help="The whole push, what a term adds to it, or what the exact gradient has that the detached one leaves out.",
    )
    draw: str = knob(
        "arrows",
        choices=("arrows", "streamlines", "samples"),
        help="Pushes everywhere, lines that follow them, or the pushes of the samples, each with its own label.",
    )
    density: int = knob(500, 100, 1200, step=50, help="Arrows on the sphere; on the circle a sixth of them.")
    zones: bool = knob(False, help="Outline the zone in which each class clears its margin.")
    prototype_pushes: bool = knob(True, help="How the mean loss of the samples pushes the prototypes.")
    drops: tuple[tuple[float, ...], ...] = ((0.1, 0.75, 0.65), (0.86, -0.45, -0.24), (-0.42, -0.18, -0.89))

    def __post_init__(self) -> None:
        plane = self.surface == "plane"
        super().__post_init__()
        if plane and self.dim == 2:  # a run of three dimensions has no plane
            object.__setattr__(self, "surface", "plane")
        rows = [tuple(map(float, row)) for row in self.drops][-MOST_DROPS:]
        if any(len(row) not in (2, 3) or not np.isfinite(row).all() for row in rows):
            raise ValueError("Samples are dropped at directions of 2 or 3 finite coordinates.")
        object.__setattr__(self, "drops", tuple(rows))

    @property
    def dim(self) -> int:
        return 3 if self.surface == "sphere" else 2

    @property
    def own(self) -> int:
        """The assumed class; one beyond the last is the last."""
        return min(self.label, len(self.classes) - 1)

    @property
    def sample(self) -> str:
        """ "a 3": what a sample is taken to be."""
        return a(self.classes[self.own])

    def head(self, loss: Loss) -> Head:
        """As on every ball; what a term keeps in the space of embeddings stands where these are."""
        head = super().head(loss)
        if self.run is None or head is not self.trained_head:
            place = self.centres()
            for memory in head.memory.modules():
                if hasattr(memory, "centre"):
                    memory.centre.copy_(place)
                if hasattr(memory, "radius"):
                    memory.radius.copy_(place.norm(dim=1).mean())
        return head

    def centres(self) -> Tensor:
        """Where the classes are in the plane or in space, [C d]: their prototypes at the length of an embedding, or the
        means of a training's samples."""
        if self.run is None:
            return self.directions() * self.length
        cloud = self.cloud()
        return torch.stack([cloud.embedding[cloud.label == k].mean(0) for k in range(len(self.classes))])

    def starts(self) -> Tensor:
        """Directions of the dropped samples, [n d]. What lies on the circle's axis is left out."""
        rows = torch.tensor([(*row, 0.0)[: self.dim] for row in self.drops], dtype=torch.float64).view(-1, self.dim)
        direction, size = unit(rows, floor=1e-3)
        return direction[size > 1e-3]

    # -- whose push ------------------------------------------------------------------------------------------

    def labels(self, place: Tensor) -> Tensor:
        return torch.full((len(place),), self.own)

    def sense(self, head: Head, embedding: Tensor, label: Tensor) -> Tensor:
        """The part of −∂L/∂x that is shown, [n d]."""
        if self.shown == "added term":
            return term_push(head, embedding, label).push
        if self.shown == "exact minus detached":
            exact, detached = (push(with_gradient(head, word), embedding, label).push for word in ("exact", "detached"))
            return exact - detached
        return push(head, embedding, label).push

    def along(self, head: Head, direction: Tensor) -> Tensor:
        """The push on the unit sphere at directions [n d], tangent: of embeddings of the length that is set."""
        raw = self.sense(head, direction * self.at_length, self.labels(direction))
        return tangent(raw, at=direction) * self.at_length

    def lines(self, head: Head, start: Tensor) -> Tensor:
        """Directions [steps + 1, n, d] that samples take from `start` [n d], following the whole push."""
        if not len(start):
            return start.expand(STEPS + 1, *start.shape)
        return unit(flow(head, start * self.at_length, self.labels(start), steps=STEPS, length=STRIDE))[0]

    def own_pushes(self, head: Head) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings, labels and pushes of the samples, each with its own label."""
        cloud = self.cloud()
        return cloud.embedding, cloud.label, self.sense(head, cloud.embedding, cloud.label)

    def by_class(self, role: str, at: Tensor, along: Tensor, label: Tensor) -> list[Arrows]:
        """Arrows in the ink of their classes; of many, as many as can be seen."""
        each = max(1, math.ceil(len(at) / SHOWN))
        at, along, label = at[::each], along[::each], label[::each]
        return [
            Arrows(role=role, name=name, of=k, at=at[label == k].numpy(), along=along[label == k].numpy())
            for k, name in enumerate(self.classes)
            if (label == k).any()
        ]

    def hardest(self, head: Head, embedding: Tensor, label: Tensor, size: Tensor) -> str:
        """A sentence: how few of the samples feel most of the push."""
        worst = int(size.argmax())
        away = degrees_between(unit(embedding[worst])[0], self.rows(head)[label[worst]])
        return (
            f"Half of all the push is on {half_on(size)} of the {len(size)} samples. The hardest, "
            f"{amount(size[worst].item())}, is on {a(self.classes[label[worst]])} that stands {away:.0f}° from its "
            "prototype."
        )

    # -- the two sides of a prototype --------------------------------------------------------------------------

    def rows(self, head: Head) -> Tensor:
        """The (first) prototype of each class, [C d]."""
        return unit(head.prototypes.detach().double())[0][:: head.loss.subcentres]

    def other(self, head: Head) -> int:
        """The class that the profile goes to."""
        asked = self.towards
        if asked != "nearest" and int(asked) < head.classes and int(asked) != self.own:
            return int(asked)
        cosine = self.rows(head) @ self.rows(head)[self.own]
        cosine[self.own] = -2
        return int(cosine.argmax())

    def circle_through(self, head: Head, angle: Tensor) -> tuple[Tensor, Tensor]:
        """Places [n d] at these angles from the own prototype towards the other one, and the ways away there."""
        start, goal = self.rows(head)[self.own], self.rows(head)[self.other(head)]
        outward = great_circle(start, goal, angle + math.pi / 2) * torch.where(angle < 0, -1, 1)[:, None]
        return great_circle(start, goal, angle), outward

    def two_sides(self, head: Head) -> str:
        """A sentence: the pull beside the own prototype, on the neighbour's side and on the far one."""
        place, outward = self.circle_through(head, torch.tensor([BESIDE, -BESIDE]).double().deg2rad())
        facing, far = (-(self.along(head, place) * outward).sum(1)).tolist()
        neighbour = self.classes[self.other(head)]
        return (
            f"{BESIDE}° beside its prototype it is {moved(facing)} on the side of {neighbour} and {moved(far)} "
            "on the far side."
        )


def with_gradient(head: Head, gradient: str) -> Head:
    """The same head whose loss has its "exact" or its "detached" gradient. ValueError where they are the same."""
    name = gradient_knob(head.loss)
    if name is None:
        raise ValueError(
            f"{losses.title(head.loss)} has one gradient only: exact and detached differ where a margin stands inside "
            "the angle, as in ArcFace."
        )
    twin = copy.copy(head)
    twin.loss = losses.turned(head.loss, {name: gradient})
    return twin


def gradient_knob(loss: Loss) -> str | None:
    """The flat name of the knob that says how a loss is differentiated, or None."""
    return next((name for name in losses.knobs(loss) if name in ("gradient", "base_gradient")), None)


def a(name: str) -> str:
    """ "a 3", "an 8", "of class boot": as a sentence about a sample names its class."""
    if len(name) > 1:
        return f"of class {name}"
    return f"an {name}" if name in "8AEFHILMNORSX" else f"a {name}"


def amount(value: float) -> str:
    value = abs(value)
    if value == 0:
        return "0"
    return f"{value:.3g}" if value >= 1e-4 else "less than 0.0001"


def moved(pull: float) -> str:
    """ "7.88 inwards", "0.284 outwards"."""
    return f"{amount(pull)} {'inwards' if pull >= 0 else 'outwards'}"


def broken(lines: Tensor) -> np.ndarray:
    """Lines [t n d] as one path with breaks, [(t + 1)·n, d]."""
    gap = torch.full_like(lines[:1], torch.nan)
    return torch.cat([lines, gap]).transpose(0, 1).flatten(0, 1).numpy()


def half_on(size: Tensor) -> int:
    """How few of these magnitudes [n] are half of their sum."""
    reached = size.sort(descending=True).values.cumsum(0)
    return int((reached < reached[-1] / 2).sum()) + 1


def degrees_between(one: Tensor, other: Tensor) -> float:
    return float(torch.atan2((one - other * (one @ other)).norm(), one @ other).rad2deg())

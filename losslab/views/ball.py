"""What all pictures on the circle and the sphere share: where prototypes stand, what the loss knows of the classes.

Prototypes stand where the reader puts them, or where a training left them. By hand there are samples too: each class
has a size and a concentration, and what a loss learns of its classes (KappaFace's margins, AdaFace's lengths) it learns
from those samples, by its own head, as in an epoch of training.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import angle, around, circle, octahedron, sideways, sine, unit
from losslab.head import Head, PairHead
from losslab.losses import Angles, Loss, knobs, turned
from losslab.scene import CIRCLE, SPHERE, Points
from losslab.training import Run, Snapshot, head_at

from .base import View, bare_head, begun, snapshot_of

MOST = 10  # prototypes by hand
FIVE = ((0.55, -0.83, 0.05), (-0.31, -0.86, 0.4), (0.86, 0.12, 0.5), (0.1, -0.35, 0.93), (-0.75, 0.6, 0.27))
RING, SIDE = 1440, 64  # directions on the circle, cells along the sphere's grid: as the stage contours them
LARGEST, SMALLEST = 200, 2  # images of a class
FORTY = 40  # images of a class that nobody has set,
TIGHT = 40.0  # and its concentration κ: most samples within 15 degrees
LENGTH = 5.0  # of the samples by hand that a head has learned from: not that which is looked at, or nothing would move
MOST_SAMPLES = 1500  # of a run that are drawn


@dataclass(frozen=True, eq=False)
class Cloud:
    """Samples around the prototypes."""

    embedding: Tensor  # [n d]
    label: Tensor  # [n]


@dataclass(frozen=True)
class Held(Angles):
    """Angles whose random margins are all drawn alike."""

    draw: float = 0.0  # in standard deviations from the mean

    def normal(self) -> Tensor:
        return torch.full_like(self.target, self.draw)


@dataclass(frozen=True, eq=False)
class Judge:
    """A head, as it judges samples of one length at one draw of its random margins."""

    head: Head
    length: float = 1.0
    draw: float = 0.0

    def gap(self, place: Tensor, label: Tensor) -> Tensor:
        """The loss's own gap [n] at directions [n d] for labels [n]: above zero the class clears its margin."""
        if not self.draw:
            return self.head.gap(place * self.length, label)
        with torch.no_grad():
            seen = self.head.angles(place * self.length, label)
            return self.head.loss.at(self.head.step).gap(Held(**vars(seen), draw=self.draw))

    def gaps(self, place: Tensor) -> Tensor:
        """The gap of every class at directions [v d], [C v]."""
        return torch.stack([self.gap(place, torch.full((len(place),), k)) for k in range(self.head.classes)])


class OnBall(View):
    """A picture on the circle or the sphere."""

    surface: str = knob("sphere", choices=("circle", "sphere"), help="Embeddings of two or three dimensions.")
    prototypes: tuple[tuple[float, ...], ...] = FIVE
    sizes: tuple[float, ...] = ()  # images of each class; those not named have 40
    concentrations: tuple[float, ...] = ()  # κ of each class; those not named have TIGHT
    length: float = knob(
        LENGTH, 0.1, 120, step=0.1, symbol="‖x‖", help="Length of an embedding, where a loss looks at it."
    )
    run: Run | None = None  # a training to look at in place of prototypes by hand
    snapshot: int = knob(-1, -1, 100_000, step=1, help="Which snapshot of the training; −1 is the last.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.run is not None:
            dim = self.run.recipe.dim
            if dim not in (2, 3):
                raise ValueError(f"The circle and the sphere show 2 and 3 dimensions; this run has {dim}.")
            begun(self.run)
            object.__setattr__(self, "surface", "circle" if dim == 2 else "sphere")
        rows = [tuple(map(float, row)) for row in self.prototypes]
        if not 2 <= len(rows) <= MOST or any(len(row) not in (2, 3) for row in rows):
            raise ValueError(f"A picture takes 2 to {MOST} prototypes of 2 or 3 coordinates each.")
        if not np.isfinite([x for row in rows for x in row]).all():
            raise ValueError("Coordinates of prototypes must be finite numbers.")
        object.__setattr__(self, "prototypes", tuple(rows))
        for name, low, high in (("sizes", SMALLEST, LARGEST), ("concentrations", 0.5, 500)):
            values = tuple(min(max(float(v), low), high) for v in list(getattr(self, name))[:MOST])
            object.__setattr__(self, name, values)

    @property
    def dim(self) -> int:
        return 2 if self.surface == "circle" else 3

    @property
    def space(self) -> str:
        return CIRCLE if self.dim == 2 else SPHERE

    @cached_property
    def moment(self) -> Snapshot:
        """The snapshot that is looked at."""
        return snapshot_of(self.run, self.snapshot)

    @property
    def classes(self) -> tuple[str, ...]:
        if self.run is not None:
            return tuple(map(str, self.run.probe.names))
        return tuple(str(k) for k in range(len(self.prototypes)))

    def directions(self) -> Tensor:
        """Prototypes [C d] as set by hand; what lies on the axis of the circle gets a place on it."""
        rows = torch.tensor([(*row, 0.0)[: self.dim] for row in self.prototypes], dtype=torch.float64)
        direction, size = unit(rows, floor=1e-3)
        return torch.where(size[:, None] > 1e-3, direction, circle(len(rows)).double() if self.dim == 2 else direction)

    def head(self, loss: Loss) -> Head:
        """The head, in `eval`: of the run as it stood, or one that knows the classes by hand."""
        if self.run is not None:
            own = self.trained_head
            return own if loss in (own.loss, self.run.recipe.loss) else lent(own, loss, self.cloud())
        head = bare_head(loss, self.dim, len(self.prototypes))
        head.prototypes.copy_(spread(self.directions(), loss.subcentres))
        if learns(loss):
            taught(head, self.cloud(LENGTH))
        return head

    @cached_property
    def trained_head(self) -> Head:
        """The head of the run as it stood at the snapshot."""
        return head_at(self.run.recipe, self.moment).requires_grad_(False)

    @cached_property
    def at_length(self) -> float:
        """The length at which zones are drawn: as set by hand, or the median of the run's."""
        if self.run is None:
            return self.length
        return float(np.median(np.linalg.norm(self.moment.embedding.astype(np.float64), axis=1))) or 1.0

    def cloud(self, length: float | None = None) -> Cloud:
        """Samples by hand: of each class as many, and as near to its prototype, as it is set to, of lengths about
        `length` (the one that is looked at); or the run's own."""
        if self.run is not None:
            return Cloud(torch.from_numpy(self.moment.embedding).double(), torch.from_numpy(self.run.probe.labels))
        parts, labels = [], []
        for k, prototype in enumerate(self.directions()):
            size = int(self.sizes[k]) if k < len(self.sizes) else FORTY
            kappa = self.concentrations[k] if k < len(self.concentrations) else TIGHT
            parts.append(scattered(prototype, size, kappa))
            labels.append(torch.full((size,), k))
        direction, label = torch.cat(parts), torch.cat(labels)
        # Lengths from a half to one and a half of that, in an order that has nothing to do with the angle.
        share = torch.arange(len(label), dtype=torch.float64).mul(0.754877666).frac() + 0.5
        return Cloud(direction * ((length or self.length) * share)[:, None], label)

    def places(self) -> Tensor:
        """The directions of `scene.Zones`, [v d]."""
        return (circle(RING) if self.dim == 2 else octahedron(SIDE)).double()

    def prototype_points(self, head: Head) -> Points:
        rows = unit(head.prototypes.detach().double())[0]
        each = np.repeat(np.arange(head.classes), len(rows) // head.classes)
        return Points(role="prototype", at=rows.numpy(), each=each, words=tuple(self.classes[k] for k in each))

    def sample_points(self) -> Points:
        cloud = self.cloud()
        every = -(-len(cloud.label) // MOST_SAMPLES)
        return Points(role="sample", at=unit(cloud.embedding[::every])[0].numpy(), each=cloud.label[::every].numpy())


def spread(direction: Tensor, each: int) -> Tensor:
    """`each` prototypes for a class [C·each d], 12 degrees apart where there are several."""
    if each == 1:
        return direction
    turn = torch.linspace(-1, 1, each, dtype=direction.dtype) * math.radians(6 * (each - 1))
    aside = sideways(direction)
    return (turn.cos()[:, None] * direction[:, None] + turn.sin()[:, None] * aside[:, None]).flatten(0, 1)


def scattered(prototype: Tensor, size: int, kappa: float) -> Tensor:
    """`size` directions [size d] around a prototype, as a von Mises–Fisher distribution with concentration κ lays them:
    at its quantiles, not at random, so that a picture does not flicker."""
    quantile = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    if len(prototype) == 2:
        turn = torch.special.ndtri(quantile).div(math.sqrt(kappa)).clamp(-math.pi, math.pi)
        return around(torch.atan2(prototype[1], prototype[0]) + turn)
    height = 1 + torch.log(quantile + (1 - quantile) * math.exp(-2 * kappa)) / kappa
    azimuth = around(torch.arange(size, dtype=torch.float64) * math.pi * (3 - math.sqrt(5)))
    first = sideways(prototype)
    across = torch.stack([first, torch.linalg.cross(prototype, first)])
    return height[:, None] * prototype + sine(height)[:, None] * (azimuth @ across)


def learns(loss: Loss) -> bool:
    """Does it depend on samples that the head has seen?"""
    return loss.adapts or not loss.pointwise


def taught(head: Head, cloud: Cloud) -> None:
    """Let a head see the samples as in an epoch of training, so that it knows what its loss learns of the classes.
    Running averages arrive at once where many epochs would bring them."""
    if isinstance(head, PairHead):
        return
    loss = head.loss
    head.loss = turned(loss, {name: 1.0 for name in knobs(loss) if name.split("_")[-1] == "follow"})
    head.train()
    with torch.no_grad():
        head(cloud.embedding.to(head.prototypes.dtype), cloud.label)
        head.end_epoch()
    head.loss = loss
    head.eval()


def lent(head: Head, loss: Loss, cloud: Cloud) -> Head:
    """A head for another loss, with the same prototypes and samples: what would it make of this training's places?"""
    other = bare_head(loss, head.dim, head.classes)
    other.prototypes.copy_(spread(class_directions(head), loss.subcentres))
    if learns(loss):
        taught(other, cloud)
    return other


def class_directions(head: Head) -> Tensor:
    """One direction for each class, [C d]: the middle of its prototypes."""
    rows = unit(head.prototypes.detach().double())[0].unflatten(0, (head.classes, -1)).mean(1)
    return unit(rows)[0]


def draws(head: Head, count: int) -> list[float]:
    """The first draws of the random margins in training, in standard deviations; none where nothing is drawn."""
    place = class_directions(head)[:1]
    label = torch.zeros(1, dtype=torch.long)
    if isinstance(head, PairHead) or torch.equal(
        Judge(head).gap(place, label), Judge(head, draw=1.0).gap(place, label)
    ):
        return []
    many = place.expand(count, -1)
    found = head.train().angles(many, torch.zeros(count, dtype=torch.long)).normal()
    head.eval()
    return found.tolist()


def lengths(head: Head) -> list[float]:
    """The shortest embedding, the middle one and the longest between which the margin changes; none where it does
    not."""
    sweep = torch.logspace(-1, 2.5, 141, dtype=torch.float64)
    place = class_directions(head)[:1]
    gap = head.gap(place * sweep[:, None], torch.zeros(len(sweep), dtype=torch.long))
    change = (gap - gap[0]).abs()
    if not head.loss.weighs_norm or change.max() < 1e-6:
        return []
    share = change / change.max()
    return [float(sweep[(share >= part).nonzero().min()]) for part in (0.01, 0.5, 0.99)]


def class_margins(head: Head, length: float) -> list[float] | None:
    """By how many degrees each class must come nearer than the cosine alone would ask, measured at 45 degrees from its
    prototype; None for a loss that treats all classes alike."""
    if isinstance(head, PairHead):
        return None
    at = torch.tensor([math.pi / 4], dtype=torch.float64)
    positive = head.curves(at, length)[0][:, 0]
    if float(positive.max() - positive.min()) < 1e-6:
        return None
    return (angle(positive.clamp(-1, 1)) - at).rad2deg().tolist()

"""Who wins at which two angles: the regions of two classes, the margin between them, and where inference decides."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import unit
from losslab.head import Head
from losslab.losses import Angles, Loss
from losslab.scene import CHART, Area, Axis, Mark, Points, Scene
from losslab.training import Run, head_at

from .base import View, bare_head, named, signed, snapshot_of
from .curves import length_knob

GRID = 61  # places along each side: between them edges are as good as straight
TURN = (0, 30, 60, 90, 120, 150, 180)
MANY = 1_000_000  # more snapshots or classes than any run has
HAIR = 1e-3  # radians by which what is impossible reaches over its edge: a shape that only touches cannot be filled


@dataclass(frozen=True, eq=False)
class Duel:
    """Two classes and what a loss makes of cosines to them."""

    head: Head
    first: int
    second: int
    names: tuple[str, str]
    between: Tensor  # angle of the two prototypes, radians
    length: float

    @property
    def loss(self) -> Loss:
        return self.head.loss.at(self.head.step)

    def seen(self, own: Tensor, other: Tensor, label: int) -> Angles:
        """Samples [n] of class `label` (0: the first, 1: the second) with these cosines to it and to its rival."""
        mine, rival = (self.first, self.second)[:: 1 if label == 0 else -1]
        cosine = torch.minimum(own, other)[:, None].repeat(1, self.head.classes)
        cosine[:, mine], cosine[:, rival] = own, other
        return self.head.seen(cosine, torch.full((len(own),), mine), self.length)

    @torch.no_grad()
    def gap(self, own: Tensor, other: Tensor, label: int) -> Tensor:
        """[n] by how much class `label` clears its margin over its rival alone."""
        a, rival = self.seen(own, other, label), (self.second, self.first)[label]
        return self.loss.positive(a) - self.loss.negative(a)[:, rival]

    @torch.no_grad()
    def lead(self, first: Tensor, second: Tensor) -> Tensor:
        """[n] by how much inference prefers the first class, at cosines to both."""
        a = self.seen(first, second, 0)
        logit = self.loss.logits(a)
        return logit[:, self.first] - logit[:, self.second]


class Duels(View):
    """Two classes of one of the losses, or of a run. ValueError for a run or classes that are not there."""

    which: int = knob(1, 1, 4, step=1, help="Which of the losses is drawn.")
    between: float = knob(
        90.0, 1, 180, step=1, symbol="φ", unit="°", help="Angle between the two prototypes, where it matters."
    )
    possible: bool = knob(False, help="Pale where no sample can be: θ₁ and θ₂ cannot differ by more than φ.")
    length: float = length_knob()
    run: Run | None = None  # a training, whose samples of two classes are drawn
    snapshot: int = knob(-1, -1, MANY, step=1, help="Which snapshot of the run; −1 is the newest.")
    first: int = knob(0, 0, MANY, step=1, help="The first class of the run.")
    second: int = knob(1, 0, MANY, step=1, help="The second class of the run.")

    def duel(self) -> Duel:
        if self.run is not None:
            return self._of_run(self.run)
        at = math.radians(self.between)
        head = bare_head(self.chosen, 2, 2)
        places = torch.tensor([[1.0, 0.0], [math.cos(at), math.sin(at)]], dtype=torch.float64)
        head.prototypes.copy_(places.repeat_interleave(self.chosen.subcentres, 0))
        return Duel(head, 0, 1, ("class 1", "class 2"), torch.tensor(at).double(), self.length)

    def _of_run(self, run: Run) -> Duel:
        moment = snapshot_of(run, self.snapshot)
        head = head_at(run.recipe, moment).double().requires_grad_(False)
        if self.first == self.second or max(self.first, self.second) >= head.classes:
            raise ValueError(
                f"The two classes of this picture are {self.first} and {self.second}; choose two different ones from 0 "
                f"to {head.classes - 1}."
            )
        names = tuple(str(run.probe.names[k]) for k in (self.first, self.second))
        rows = unit(head.prototypes)[0].unflatten(0, (head.classes, -1))
        cosine = (rows[self.first] @ rows[self.second].T).max().clamp(-1, 1)
        length = float(np.median(np.linalg.norm(moment.embedding, axis=1)))
        return Duel(head, self.first, self.second, names, torch.acos(cosine), length)

    @property
    def chosen(self) -> Loss:
        return self.losses[min(self.which, len(self.losses)) - 1]

    def titled(self, duel: Duel) -> str:
        if self.run is not None:
            return f"{named((duel.loss,))[0]} as this run has it"
        return self.names[min(self.which, len(self.losses)) - 1]

    def samples(self, duel: Duel) -> list[Mark]:
        """The run's samples of the two classes, at their angles to the two prototypes."""
        if self.run is None:
            return []
        moment, label = snapshot_of(self.run, self.snapshot), self.run.probe.labels
        embedding = torch.from_numpy(moment.embedding).double()
        marks: list[Mark] = []
        for i, k in enumerate((duel.first, duel.second)):
            mine = torch.from_numpy(label == k)
            a = duel.head.angles(embedding[mine], torch.full((int(mine.sum()),), k))
            place = self.place(a.cosine[:, [duel.first, duel.second]].clamp(-1, 1)).numpy()
            marks.append(Points(role="sample", of=i, name=f"samples of {duel.names[i]}", at=place))
        return marks

    def place(self, cosine: Tensor) -> Tensor:
        """Where cosines are in the picture."""
        raise NotImplementedError

    def drawn(self, at: Tensor, duel: Duel, **more) -> Scene:
        """The scene on the square of `at` [g], which `cosines` understands."""
        first, second = (each.flatten() for each in torch.meshgrid(at, at, indexing="xy"))
        cos1, cos2 = self.cosines(first), self.cosines(second)
        one, two = duel.gap(cos1, cos2, 0), duel.gap(cos2, cos1, 1)
        lead = duel.lead(cos1, cos2)
        side = at.numpy()

        def area(role: str, value: Tensor, **named) -> Area:
            return Area(role=role, x=side, y=side, value=value.view(len(at), len(at)).numpy(), **named)

        marks: list[Mark] = [
            area("margin", -torch.maximum(one, two), name="nobody: the margin"),
            area("region", one, of=0, name=f"{duel.names[0]} clears its margin"),
            area("region", two, of=1, name=f"{duel.names[1]} clears its margin"),
        ]
        if self.possible:
            t1, t2, phi = torch.acos(cos1), torch.acos(cos2), duel.between
            beyond = torch.stack([(t1 - t2).abs() - phi, phi - t1 - t2, t1 + t2 + phi - 2 * math.pi]).amax(0)
            marks.append(area("impossible", beyond + HAIR))
        marks.append(area("decision", lead, name="where inference decides"))
        return Scene(
            space=CHART,
            square=True,
            marks=(*marks, *self.samples(duel)),
            names=duel.names,
            by_class=True,
            notes=self.assumed(duel),
            **more,
        )

    def cosines(self, at: Tensor) -> Tensor:
        raise NotImplementedError

    def assumed(self, duel: Duel) -> tuple[str, ...]:
        said, deg = [], math.degrees(float(duel.between))
        if not duel.loss.pointwise or duel.loss.adapts:
            said.append(f"For this loss it matters how the prototypes stand: {deg:.0f}° apart.")
        if self.possible:
            said.append(f"With prototypes {deg:.0f}° apart a sample's two angles cannot differ by more than that.")
        return tuple(said)


class Regions(Duels):
    """The decision regions in the plane of the two angles."""

    card = (
        "Which class may call a sample its own, by the sample's angles to two prototypes; the grey strip is the margin."
    )

    def scene(self) -> Scene:
        duel = self.duel()
        at = torch.linspace(0, 180, GRID, dtype=torch.float64)
        axes = [
            Axis(f"Angle to {name} θ{index}", "°", 0, 180, TURN) for name, index in zip(duel.names, "₁₂", strict=True)
        ]
        return self.drawn(
            at,
            duel,
            title=f"Two angles, {self.titled(duel)}",
            says=self.says(duel),
            x=axes[0],
            y=axes[1],
        )

    def says(self, duel: Duel) -> str:
        theta, width = strip(duel)
        if not len(theta):
            return f"{duel.names[0]} clears its margin nowhere: the margin asks for more than there is."
        thin, wide = int(width.argmin()), int(width.argmax())
        if width[wide] - width[thin] < 0.05:
            return f"The margin is {signed(width[thin], 1)}° wide everywhere: θ₂ must exceed θ₁ by that much."
        return (
            f"At its edge θ₂ exceeds θ₁ by {signed(width[thin], 1)}° where θ₁ is {theta[thin]:.0f}°, and by "
            f"{signed(width[wide], 1)}° where it is {theta[wide]:.0f}°."
        )

    def place(self, cosine: Tensor) -> Tensor:
        return torch.acos(cosine).rad2deg()

    def cosines(self, at: Tensor) -> Tensor:
        return at.deg2rad().cos()


class CosineRegions(Duels):
    """The decision regions in the plane of the two cosines."""

    card = "The same in cosines: what is straight there is bent in angles."

    def scene(self) -> Scene:
        duel = self.duel()
        at = torch.linspace(-1, 1, GRID, dtype=torch.float64)
        axes = [Axis(f"Cosine to {name}", "", -1, 1, (-1, -0.5, 0, 0.5, 1)) for name in duel.names]
        theta, width = strip(duel)
        lead = np.cos(np.radians(theta)) - np.cos(np.radians(theta + width))
        says = f"{duel.names[0]} clears its margin nowhere."
        if len(lead):
            thin, wide = lead.min(), lead.max()
            even = wide - thin < 5e-3
            says = (
                f"The own cosine must lead by {signed(thin)} everywhere."
                if even
                else f"The own cosine must lead by {signed(thin)} at the least and by {signed(wide)} at the most."
            )
        return self.drawn(at, duel, title=f"Two cosines, {self.titled(duel)}", says=says, x=axes[0], y=axes[1])

    def place(self, cosine: Tensor) -> Tensor:
        return cosine

    def cosines(self, at: Tensor) -> Tensor:
        return at


def strip(duel: Duel, count: int = 181) -> tuple[np.ndarray, np.ndarray]:
    """Along the edge of the first class's region: θ₁ and by how much θ₂ exceeds it, in degrees [m each]; only where
    the edge is inside the square."""
    own = torch.linspace(0, 180, count, dtype=torch.float64)
    cosine = own.deg2rad().cos()
    low, high = torch.zeros_like(own), torch.full_like(own, 180.0)

    def clears(other: Tensor) -> Tensor:
        return duel.gap(cosine, other.deg2rad().cos(), 0) > 0

    edge = ~clears(low) & clears(high)
    for _ in range(24):
        middle = (low + high) / 2
        above = clears(middle)
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return own[edge].numpy(), (high - own)[edge].numpy()

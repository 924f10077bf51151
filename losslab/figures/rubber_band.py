"""A random margin as a rubber band: between what the edge of a class moves with the draw."""

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from losslab import losses as family
from losslab.catalogue import knob
from losslab.losses import Angles, Loss
from losslab.scene import CHART, Area, Axis, Mark, Path, Plate, Scene
from losslab.training import Run
from losslab.views.ball import Held
from losslab.views.curves import length_knob
from losslab.views.regions import GRID, Duel, Regions, strip

from .base import Figure
from .layout import noted, short

SIGMAS = (-2.0, -1.0, 0.0, 1.0, 2.0)
EDGE = "edge at ±1σ and ±2σ of the draw"


@dataclasses.dataclass(frozen=True, eq=False)
class Stretched(Duel):
    """Two classes at one draw of the random margin."""

    draw: float = 0.0  # in standard deviations from the mean

    def seen(self, own: Tensor, other: Tensor, label: int) -> Angles:
        return Held(**vars(super().seen(own, other, label)), draw=self.draw)


class RubberBand(Figure):
    """Two classes in the plane of their angles or cosines, class 1 in the lower right corner. Where a loss draws its
    margin, the edge at its mean has a band around it: what it moves in by one and by two standard deviations."""

    card = "The edge of a fixed margin beside that of a random one, which moves like a rubber band with every draw."
    after = "ElasticFace, Figure 1"
    losses: tuple[Loss, ...] = (
        family.starting("ArcFace"),
        family.starting("ElasticFace"),
        family.starting("CosFace"),
        family.turned(family.starting("ElasticFace"), {"variant": "cos", "margin": 0.2}),
    )
    planes: str = knob(
        "straight",
        choices=("straight", "angles", "cosines"),
        help="The plane in which the edge is the straighter one, that of the two angles, or that of the two cosines.",
    )
    to_deg: float = knob(60.0, 30, 180, step=10, unit="°", help="How far the angles go; cosines go down to its cosine.")
    at_deg: float = knob(30.0, 0, 80, step=5, symbol="θ₁", unit="°", help="Where the band is measured.")
    length: float = length_knob()

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        panels = tuple(map(self.scene, self.losses))
        return Plate(
            title="The margin as a rubber band",
            says=" ".join(scene.says for scene in panels),
            panels=panels,
            heads=short(self.names),
            notes=noted([(scene,) for scene in panels], self.names),
            columns=min(len(panels), 4),
        )

    def duel(self, loss: Loss, draw: float = 0.0, first: int = 0) -> Stretched:
        """Of prototypes at right angles; `first` is who is called the first of the two."""
        plain = Regions(losses=(loss,), length=self.length).duel()
        return Stretched(**vars(plain) | {"first": first, "second": 1 - first}, draw=draw)

    def in_cosines(self, loss: Loss) -> bool:
        """Is this loss drawn in the plane of cosines?"""
        if self.planes != "straight":
            return self.planes == "cosines"
        theta, width = strip(self.duel(loss))
        lead = np.cos(np.radians(theta)) - np.cos(np.radians(theta + width))
        if not len(theta) or width.max() < 0.05:
            return False
        return bool(np.ptp(lead) / lead.max() < np.ptp(width) / width.max())

    def scene(self, loss: Loss) -> Scene:
        cosines, draws = self.in_cosines(loss), random(self.duel(loss))
        least = math.cos(math.radians(self.to_deg))
        side = torch.linspace(least, 1, GRID) if cosines else torch.linspace(0, self.to_deg, GRID)
        across, up = (each.flatten() for each in torch.meshgrid(side.double(), side.double(), indexing="xy"))
        first, second = (across, up) if cosines else (up.deg2rad().cos(), across.deg2rad().cos())
        gaps = {
            z: [(duel := self.duel(loss, z)).gap(first, second, 0), duel.gap(second, first, 1)]
            for z in (SIGMAS if draws else (0.0,))
        }

        def area(role: str, value: Tensor, **named) -> Area:
            return Area(role=role, x=side.numpy(), y=side.numpy(), value=value.view(GRID, GRID).numpy(), **named)

        marks: list[Mark] = [area("margin", -torch.maximum(*gaps[0.0]), name="nobody: the margin")]
        marks += [area("region", gap, of=k, name=f"class {k + 1} clears its margin") for k, gap in enumerate(gaps[0.0])]
        for z in (2.0, 1.0) if draws else ():
            marks += [area("band", torch.minimum(gaps[-z][k], -gaps[z][k]), of=k) for k in (0, 1)]
        for z in SIGMAS if draws else ():
            marks += [self.edge(loss, z, k, cosines) for k in (0, 1)]
        marks.append(area("decision", self.duel(loss).lead(first, second), name="where inference decides"))
        name = self.names[self.losses.index(loss)]
        low, high = (least, 1.0) if cosines else (0.0, self.to_deg)
        axes = (
            (Axis("Cosine to class 1", "", low, high), Axis("Cosine to class 2", "", low, high))
            if cosines
            else (Axis("Angle to class 2 θ₂", "°", low, high), Axis("Angle to class 1 θ₁", "°", low, high))
        )
        return Scene(
            title=f"The edge of {name}",
            says=self.measured(loss, name, cosines, draws),
            space=CHART,
            square=True,
            marks=tuple(marks),
            x=axes[0],
            y=axes[1],
            names=("class 1", "class 2"),
            by_class=True,
            notes=Regions(losses=(loss,)).assumed(self.duel(loss)),
        )

    def edge(self, loss: Loss, z: float, k: int, cosines: bool) -> Path:
        """The edge of class k at one draw, within the picture: its line at the mean would lie under the bands."""
        theta, width = strip(self.duel(loss, z, first=k))
        inside = theta + width <= self.to_deg
        own, other = (theta[inside], (theta + width)[inside])
        if cosines:
            own, other = np.cos(np.radians(own)), np.cos(np.radians(other))
        first, second = (own, other) if k == 0 else (other, own)
        at = np.stack([first, second] if cosines else [second, first], 1)
        return Path(role="breath" if z else "outline", of=k, name=EDGE if k == 0 and z == SIGMAS[0] else "", at=at)

    def measured(self, loss: Loss, name: str, cosines: bool, draws: bool) -> str:
        """By how much class 1 must lead where its angle is `at_deg`: at the mean, and between two σ to both sides."""
        found = [self.ahead(loss, z, cosines) for z in ((0.0, -2.0, 2.0) if draws else (0.0,))]
        digits, unit = (2, "") if cosines else (1, "°")
        mean, *ends = ["more than there is" if lead is None else f"{lead:.{digits}f}{unit}" for lead in found]
        what = "the own cosine must lead by" if cosines else "the own angle must lead by"
        drawn = (
            f"{mean} at the mean, and by {ends[0]} to {ends[1]} within two σ of the draw"
            if draws
            else f"{mean}, the same at every step"
        )
        return f"{name}: at θ₁ = {self.at_deg:g}° {what} {drawn}."

    def ahead(self, loss: Loss, z: float, cosines: bool) -> float | None:
        """How far θ₂ lies beyond θ₁ = `at_deg` on the edge, in degrees or as a difference of cosines; None where
        there is no edge."""
        theta, width = strip(self.duel(loss, z))
        here = np.flatnonzero(np.abs(theta - self.at_deg) < 0.5)
        if not len(here):
            return None
        wide = float(width[here[0]])
        if not cosines:
            return wide
        return math.cos(math.radians(self.at_deg)) - math.cos(math.radians(self.at_deg + wide))


def random(duel: Stretched) -> bool:
    """Does the margin depend on a draw?"""
    cosine = torch.tensor([0.5, 0.0], dtype=torch.float64)
    still, moved = (dataclasses.replace(duel, draw=z).gap(cosine[:1], cosine[1:], 0) for z in (0.0, 1.0))
    return not torch.equal(still, moved)

"""The plane, where lengths count: what plain softmax, center loss and Margin Loss do, and a sphere cannot show."""

import math

import numpy as np
import torch
from torch import Tensor

from losslab.fields import flow
from losslab.geometry import around, circle, unit
from losslab.head import Head
from losslab.scene import PLANE, Area, Arrows, Axis, Path, Points, Scene

from .ball import RING
from .pushes import STEPS, WHAT, Pushes, broken

ACROSS, FINE = 16, 64  # arrows and places of the ground from bottom to top
BEYOND = 1.25  # where the discs of prototypes stand if the centres that a loss keeps stand at 1
WIDE = 1.5  # the picture is as much wider than high
SEEDS = 24
ROUND = 360  # places on the circle at which the push is split into along and across


class PlaneField(Pushes):
    """−∂L/∂x as it is, with no normalising, over the regions in which each class wins."""

    card = "The raw push on embeddings of two dimensions: inwards and outwards count here, and not only sideways."
    surface: str = "plane"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dim != 2:
            raise ValueError("The plane shows embeddings of two dimensions; this run has three: look at its sphere.")

    def scene(self) -> Scene:
        head, reach = self.head(self.losses[0]), self.reach()
        marks, says = (self.crowd if self.draw == "samples" else self.everywhere)(head, reach)
        whose = "each sample" if self.draw == "samples" else self.sample
        return Scene(
            title=f"{self.names[0]} in the plane: {WHAT[self.shown].lower()} on {whose}",
            says=says,
            space=PLANE,
            marks=(*marks, Path(role="boundary", at=borders(head, reach)), *self.standing(head)),
            x=Axis("x₁", "", -WIDE * reach, WIDE * reach),
            y=Axis("x₂", "", -reach, reach),
            names=self.classes,
            by_class=True,
            notes=self.remarks(head),
        )

    def everywhere(self, head: Head, reach: float) -> tuple[list, str]:
        """The push on a sample of the assumed class, wherever it may be."""
        side = axes(reach, FINE)
        raw = self.sense(head, place := grid(*side), self.labels(place)).norm(dim=1)
        ground = Area(role="ground", name=WHAT[self.shown], **xy(side), value=raw.view(len(side[1]), -1).numpy())
        if self.draw == "streamlines":
            return [ground, *self.flows(head, reach)], self.split(head)
        place = grid(*axes(reach, ACROSS))
        along = self.sense(head, place, self.labels(place))
        arrows = Arrows(role="push", at=place.numpy(), along=along.numpy())
        return [ground, arrows, *self.flows(head, reach)], self.split(head)

    def crowd(self, head: Head, reach: float) -> tuple[list, str]:
        """The push on each sample, with its own label."""
        embedding, label, raw = self.own_pushes(head)
        points = Points(role="sample", at=embedding.numpy(), each=label.numpy())
        says = self.hardest(head, embedding, label, raw.norm(dim=1))
        return [points, *self.by_class("own", embedding, raw, label)], says

    def reach(self) -> float:
        """How far the picture goes upwards: half as far again as where the samples are, or to the ends of a run's."""
        if self.run is None:
            return 1.5 * self.length
        return float(np.quantile(np.linalg.norm(self.cloud().embedding.numpy(), axis=1), 0.99))

    def flows(self, head: Head, reach: float) -> list:
        """Where samples get that follow the push: the dropped ones, and with streamlines those of a ring."""
        starts, drops = around(torch.arange(SEEDS).double() * (2 * math.pi / SEEDS)) * 0.8 * reach, self.dropped()
        place = torch.cat([starts, drops] if self.draw == "streamlines" else [drops])
        if not len(place):
            return []
        lines = flow(head, place, self.labels(place), steps=STEPS, length=reach / 16, normalised=False)
        lines = torch.where((lines.abs() > reach * torch.tensor([WIDE, 1.0])).any(2, keepdim=True), torch.nan, lines)
        first = len(place) - len(drops)
        marks: list = [Path(role="stream", at=broken(lines[:, :first]))] if first else []
        marks += [Path(role="flow", of=self.own, at=lines[:, i].numpy()) for i in range(first, len(place))]
        if len(drops):
            marks.append(Points(role="drop", at=lines[0, first:].numpy(), each=np.full(len(drops), self.own)))
        return marks

    def dropped(self) -> Tensor:
        """Where samples were dropped, [n 2]: rows of two coordinates are places in the plane, rows of three directions
        (dropped on the circle or the sphere), which stand at the length of an embedding."""
        found = torch.tensor([row[:2] for row in self.drops], dtype=torch.float64).view(-1, 2)
        way, size = unit(found, floor=1e-3)
        placed = torch.tensor([len(row) == 2 for row in self.drops], dtype=torch.bool)
        return torch.where(placed[:, None], found, way * self.at_length)[placed | (size > 1e-3)]

    def standing(self, head: Head) -> list:
        """The prototypes, and the centres that a term keeps."""
        rows = head.prototypes.detach().double()
        size = rows.norm(dim=1).max() if head.loss.weighs_length else unit(rows)[1][:, None]
        out = 1.0 if kept(head) is None else BEYOND
        shown = rows / size * self.centres().norm(dim=1).mean() * out
        each = np.repeat(np.arange(head.classes), head.loss.subcentres)
        marks = [
            Path(role="spoke", of=int(k), at=np.stack([0 * place, place]))
            for k, place in zip(each, shown.numpy(), strict=True)
        ]
        if (centre := kept(head)) is not None:
            marks.append(Points(role="cross", at=centre.double().numpy(), each=np.arange(head.classes)))
        words = tuple(self.classes[k] for k in each)
        return [*marks, Points(role="prototype", at=shown.numpy(), each=each, words=words)]

    def split(self, head: Head) -> str:
        """How much of the push on a circle of this length goes along the radius, and how much around."""
        out = around(torch.arange(ROUND).double() * (2 * math.pi / ROUND))
        length = float(self.centres().norm(dim=1).mean())
        raw = self.sense(head, out * length, self.labels(out))
        whole, radial = raw.square().sum(), (raw * out).sum(1)
        if not whole:
            return f"If the sample were {self.sample}: nothing pushes at length {length:.3g}."
        share = float(radial.square().sum() / whole)
        if share < 1e-9:
            return (
                f"If the sample were {self.sample}: at length {length:.3g} the push goes around the origin "
                "only. No part of it makes an embedding longer or shorter."
            )
        way = "outwards" if radial[(out @ unit(self.rows(head)[self.own])[0]).argmax()] > 0 else "inwards"
        return (
            f"If the sample were {self.sample}: at length {length:.3g}, {share:.0%} of the push goes along the "
            f"radius. On the ray of its own prototype it goes {way}: a sphere cannot show that."
        )

    def remarks(self, head: Head) -> tuple[str, ...]:
        said = ["Dashed: where the predicted class changes. Discs: the directions of the prototypes."]
        if kept(head) is not None:
            said.append("Crosses: the centres that this loss keeps.")
        return tuple(said)


def axes(reach: float, count: int) -> tuple[Tensor, Tensor]:
    """`count` places upwards, none of them zero, and as many to the unit across."""
    wide = round(count * WIDE / 2) * 2
    return (
        torch.linspace(-WIDE * reach, WIDE * reach, wide, dtype=torch.float64),
        torch.linspace(-reach, reach, count + count % 2, dtype=torch.float64),
    )


def grid(across: Tensor, up: Tensor) -> Tensor:
    """Embeddings [h·w 2], row by row."""
    return torch.stack(torch.meshgrid(across, up, indexing="xy"), -1).view(-1, 2)


def xy(side: tuple[Tensor, Tensor]) -> dict[str, np.ndarray]:
    return {"x": side[0].numpy(), "y": side[1].numpy()}


def borders(head: Head, reach: float) -> np.ndarray:
    """Rays between the regions in which the classes have the largest logit: with no bias the length does not matter."""
    way = circle(RING).double()
    with torch.no_grad():
        winner = head.logits(way * reach).argmax(1)
    between = around((torch.nonzero(winner != winner.roll(-1)).flatten() + 0.5).double() * (2 * math.pi / RING))
    far = between * (reach * torch.minimum(WIDE / between[:, :1].abs(), 1 / between[:, 1:].abs()))
    return np.concatenate([np.stack([0 * place, place, place * np.nan]) for place in far.numpy()] or [np.zeros((0, 2))])


def kept(head: Head) -> Tensor | None:
    """The centres [C d] that a loss keeps in its memory, or None."""
    return next((m.centre.detach() for m in head.memory.modules() if hasattr(m, "centre")), None)

"""Where a loss would send a sample, all over the circle or the sphere."""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from losslab.fields import prototype_push
from losslab.geometry import circle, lattice, octahedron, tangent, unit
from losslab.head import Head
from losslab.scene import Arrows, Path, Points, Scene, Zones

from .ball import RING, Judge
from .planefield import PlaneField
from .pushes import WHAT, Pushes, amount, broken, degrees_between

GRID = 140  # cells along the sphere's grid: 19 881 places
SEEDS = 44  # streamlines on the sphere; on the circle half as many


class Field(Pushes):
    """Arrows, streamlines and a ground as dark as the push is strong, for one assumed class."""

    card = "Where the loss would send a sample of the class you choose: the stronger the ink of the ground, the harder."

    def scene(self) -> Scene:
        if self.surface == "plane":
            return PlaneField(
                **{each.name: getattr(self, each.name) for each in dataclasses.fields(PlaneField)}
            ).scene()
        loss, head = self.losses[0], self.head(self.losses[0])
        whose = "each sample" if self.draw == "samples" else self.sample
        ground, says = (self.samples if self.draw == "samples" else self.everywhere)(head)
        marks = [*ground, self.prototype_points(head)]
        if self.zones:
            place = self.places()
            gap = Judge(head, self.at_length).gaps(place).numpy()
            marks.append(Zones(gap=gap, at=place.numpy(), of=0, name=self.names[0]))
        if self.prototype_pushes:
            marks += self.pushed_prototypes(head)
        return Scene(
            title=f"{self.names[0]}: {WHAT[self.shown].lower()} on {whose}",
            says=says,
            space=self.space,
            marks=tuple(marks),
            names=self.classes,
            by_class=True,
            notes=self.remarks(loss),
        )

    def everywhere(self, head: Head) -> tuple[list, str]:
        """The push on a sample of the assumed class, wherever it may be."""
        grid = (circle(RING) if self.dim == 2 else octahedron(GRID)).double()
        anchors = (circle(self.density // 6) if self.dim == 2 else lattice(self.density)).double()
        found = self.along(head, torch.cat([grid, anchors]))
        size = found[: len(grid)].norm(dim=1)
        marks = [Points(role="ground", name=WHAT[self.shown], at=grid.numpy(), value=size.numpy())]
        seeds = (circle(SEEDS // 2) if self.dim == 2 else lattice(SEEDS)).double()
        lines = self.lines(head, torch.cat([seeds, self.starts()] if self.draw == "streamlines" else [self.starts()]))
        drops = lines[:, -len(self.starts()) :] if len(self.starts()) else lines[:, :0]
        if self.draw == "streamlines":
            marks.append(Path(role="stream", at=broken(lines[:, : len(seeds)])))
        else:
            marks.append(Arrows(role="push", at=anchors.numpy(), along=found[len(grid) :].numpy()))
        if self.dim == 3:
            marks.append(Path(role="profile", at=self.way(head)))
        marks += [Path(role="flow", of=self.own, at=drops[:, i].numpy()) for i in range(drops.shape[1])]
        if drops.shape[1]:
            marks.append(Points(role="drop", at=drops[0].numpy(), each=np.full(drops.shape[1], self.own)))
        return marks, f"{self.strongest(head, grid, size)} {self.two_sides(head)}{self.arrived(head, drops)}"

    def samples(self, head: Head) -> tuple[list, str]:
        """The push on each sample, with its own label."""
        embedding, label, raw = self.own_pushes(head)
        direction, norm = unit(embedding)
        along = tangent(raw, at=direction) * norm[:, None]
        says = self.hardest(head, embedding, label, along.norm(dim=1))
        return [self.sample_points(), *self.by_class("own", direction, along, label)], says

    def pushed_prototypes(self, head: Head) -> list[Arrows]:
        cloud = self.cloud()
        found = prototype_push(head, cloud.embedding, cloud.label)
        place, norm = unit(head.prototypes.detach().double())
        along = found.tangent.double() * norm[:, None]
        each = torch.arange(len(place)) // head.loss.subcentres
        return [
            Arrows(role="push_prototype", of=int(k), at=place[each == k].numpy(), along=along[each == k].numpy())
            for k in range(head.classes)
        ]

    def way(self, head: Head) -> np.ndarray:
        """The great circle that the profile is measured along."""
        return self.circle_through(head, torch.linspace(-torch.pi, torch.pi, 121, dtype=torch.float64))[0].numpy()

    def strongest(self, head: Head, grid: Tensor, size: Tensor) -> str:
        most = int(size.argmax())
        away = degrees_between(grid[most], self.rows(head)[self.own])
        if not size[most]:
            return f"If the sample were {self.sample}: nothing pushes, anywhere."
        return (
            f"If the sample were {self.sample}: {WHAT[self.shown].lower()} is strongest {away:.0f}° from its "
            f"prototype, {amount(size[most].item())}."
        )

    def arrived(self, head: Head, lines: Tensor) -> str:
        if not lines.shape[1]:
            return ""
        ends = [degrees_between(end, self.rows(head)[self.own]) for end in lines[-1]]
        near, far = round(min(ends)), round(max(ends))
        where = f"{near}°" if near == far else f"{near}° to {far}°"
        return f" After {len(lines) - 1} steps the dropped samples are {where} from it."

    def remarks(self, loss) -> tuple[str, ...]:
        said = []
        if loss.weighs_norm:
            said.append(
                f"This loss looks at lengths, too: the {self.surface} shows what the push does to the direction of an "
                f"embedding of length {self.at_length:.3g}, the plane shows all of it."
            )
        if self.prototype_pushes:
            said.append(
                "Thick arrows at the prototypes: the push of the mean loss of the samples, on a scale of its own."
            )
        return tuple(said)

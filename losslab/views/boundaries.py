"""Who wins where, and where a class wins by its margin: the loss's own gap all over the circle or the sphere."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor

from losslab import losses as family
from losslab.catalogue import knob
from losslab.geometry import circle, octahedron
from losslab.head import Head
from losslab.losses import Loss
from losslab.scene import Mark, Points, Scene, Zones

from .ball import FORTY, TIGHT, Judge, OnBall, class_margins, draws, lengths
from .base import bare_head, named
from .strips import Strip, between, measured, narrowest, strips

COARSE_RING, COARSE_SIDE = 360, 32  # of outlines that are there to be many
DRAWS, FAINT = 24, 6  # draws of a random margin that may be looked at, and those that are drawn faintly all at once


class Boundaries(OnBall):
    """Zones of the first loss, and the outlines of a second one over them."""

    card = "Who wins where, and the zone in which each class clears its margin; the grey strip between is nobody's."
    samples: bool = knob(False, help="Show the samples that the classes are made of.")
    draw: int = knob(0, 0, DRAWS, step=1, help="The margin of one draw in training; 0 is the mean of all.")

    def scene(self) -> Scene:
        judges, names = self.judged()
        first, at = judges[0], self.places()
        found = [judge.gaps(at) for judge in judges]
        least, band, margins = narrowest(strips(first)), self.band(first), class_margins(first.head, first.length)
        marks: list[Mark] = []
        for i, (gap, name) in enumerate(zip(found, names, strict=True)):
            marks.append(Zones(gap=gap.numpy(), at=at.numpy(), of=i, name=name))
        marks += [self.outline(judge, name, i) for i, (name, judge) in enumerate(band.items())]
        marks.append(self.badges(first.head, margins))
        if self.samples or self.run is not None:
            marks.append(self.sample_points())
        marks += measured(first.head, least)
        says = [*self.room(found[0], least), *self.unequal(first, margins), *self.cleared(judges, names)]
        return Scene(
            title=f"{names[0]}: zones and margin" + (f" at step {self.moment.step}" if self.run is not None else ""),
            says=" ".join(says),
            space=self.space,
            marks=tuple(marks),
            names=self.classes,
            by_class=True,
            notes=tuple(self.moving(band, least)),
        )

    # -- who judges ------------------------------------------------------------------------------------------

    def judged(self) -> tuple[list[Judge], tuple[str, ...]]:
        """Who judges, and what they are called: the losses by hand; over a training the loss that it had, and what
        others would make of its places."""
        if self.run is None:
            heads, names = [self.head(loss) for loss in self.losses], self.names
        else:
            own = self.trained_head
            others = [loss for loss in self.losses if loss not in (own.loss, self.run.recipe.loss)]
            heads, names = [own, *(self.head(loss) for loss in others)], named((own.loss, *others))
        drawn = [0.0, *draws(heads[0], DRAWS)]
        draw = drawn[self.draw] if self.draw < len(drawn) else 0.0
        return [Judge(head, self.at_length, draw if i == 0 else 0.0) for i, head in enumerate(heads)], names

    def band(self, first: Judge) -> dict[str, Judge]:
        """Between what the edge of the first loss moves: draws of its margin, or lengths of embeddings."""
        if drawn := draws(first.head, FAINT):
            return {f"draw {i + 1}": Judge(first.head, first.length, z) for i, z in enumerate(drawn)}
        sweep = lengths(first.head)
        if sweep and self.run is not None:
            sweep = np.quantile(np.linalg.norm(self.moment.embedding, axis=1), [0.05, 0.5, 0.95]).tolist()
        return {f"length {length:.3g}": Judge(first.head, length) for length in sweep}

    # -- what is drawn ---------------------------------------------------------------------------------------

    def outline(self, judge: Judge, name: str, i: int) -> Zones:
        """One place of the band, coarsely."""
        at = (circle(COARSE_RING) if self.dim == 2 else octahedron(COARSE_SIDE)).double()
        return Zones(
            role="breath" if judge.draw else "length", gap=judge.gaps(at).numpy(), at=at.numpy(), name=name, of=i
        )

    def badges(self, head: Head, margins: list[float] | None) -> Points:
        """Prototypes, with the margin of each class where they differ."""
        points = self.prototype_points(head)
        if margins is None:
            return points
        words = tuple(f"{name} · {margins[k]:.0f}°" for k, name in zip(points.each, points.words, strict=True))
        return Points(role="prototype", at=points.at, each=points.each, words=words)

    # -- what it says ----------------------------------------------------------------------------------------

    def room(self, gap: Tensor, least: Strip | None) -> Iterator[str]:
        """The narrowest strip, and who has no room at all."""
        if least is not None:
            a, b = self.classes[least.a], self.classes[least.b]
            if least.deg:
                yield f"The narrowest strip lies between {a} and {b}: {least.deg:.1f}°."
            else:
                yield f"There is no strip between {a} and {b}: their zones touch."
        homeless = [name for name, best in zip(self.classes, gap.amax(1).tolist(), strict=True) if best <= 0]
        if len(homeless) == len(gap):
            yield "No direction clears the margin of any class."
        elif homeless:
            yield f"No direction clears the margin of {', '.join(homeless)}."

    def unequal(self, judge: Judge, margins: list[float] | None) -> Iterator[str]:
        """Whose margin is the widest, and whose the narrowest."""
        if margins is not None:
            most, least = np.argmax(margins), np.argmin(margins)
            yield (
                f"{family.title(judge.head.loss)} gives the widest margin, {margins[most]:.1f}°, to "
                f"{self.made(most, judge)} and the narrowest, {margins[least]:.1f}°, to {self.made(least, judge)}."
            )

    def made(self, k: int, judge: Judge) -> str:
        """A class, and what it is made of where that decides its margin."""
        if self.run is not None or "sizes" not in looks_at(judge.head.loss):
            return self.classes[k]
        size = int(self.sizes[k]) if k < len(self.sizes) else FORTY
        kappa = self.concentrations[k] if k < len(self.concentrations) else TIGHT
        return f"{self.classes[k]} ({size} images, κ {kappa:g})"

    def cleared(self, judges: list[Judge], names: tuple[str, ...]) -> Iterator[str]:
        """Over a training: how many of its samples clear their margin, and by the measure of another loss."""
        if self.run is not None:
            embedding, label = self.cloud().embedding, self.cloud().label
            own, *others = (int((judge.head.gap(embedding, label) > 0).sum()) for judge in judges)
            yield f"{own} of {len(label)} samples clear their margin."
            for name, count in zip(names[1:], others, strict=True):
                yield f"{count} would clear that of {name}."

    def moving(self, band: dict[str, Judge], least: Strip | None) -> Iterator[str]:
        """How wide the narrowest strip is along the band."""
        each = {name: between(judge, least.a, least.b) for name, judge in band.items()} if least is not None else {}
        known = {name: strip.deg for name, strip in each.items() if strip is not None}
        if not known:
            return
        pair, widths = f"between {self.classes[least.a]} and {self.classes[least.b]}", known.values()
        if next(iter(band.values())).draw:
            yield (
                f"Faint: {len(band)} draws of the margin in training; {pair} they leave {min(widths):.1f}° to "
                f"{max(widths):.1f}°."
            )
        else:
            said = ", ".join(f"{deg:.1f}° at {name}" for name, deg in known.items())
            yield f"Faint: the zones of short, middling and long embeddings; {pair} they leave {said}."


def gaps(head: Head, place: Tensor, length: float) -> Tensor:
    """The gap of every class at every place, [C v]."""
    return Judge(head, length).gaps(place)


@cache
def looks_at(loss: Loss) -> frozenset[str]:
    """The values of a picture by hand that its zones depend on besides the prototypes."""
    head = bare_head(loss, 3, 2)
    head.prototypes.copy_(torch.eye(3)[:2].repeat_interleave(loss.subcentres, 0))
    found = set()
    if draws(head, 1):
        found.add("draw")
    if lengths(head):
        found.add("length")
    if margins_of_two(loss) != margins_of_two(loss, sizes=(160, 12), concentrations=(90, 6)):
        found |= {"sizes", "concentrations"}
    return frozenset(found)


def margins_of_two(loss: Loss, **made_of: tuple[float, ...]) -> list[float] | None:
    """The margins of two classes that stand opposite to each other and have these sizes and concentrations."""
    view = OnBall(losses=(loss,), prototypes=((1, 0, 0), (-1, 0, 0)), **made_of)
    margins = class_margins(view.head(loss), view.length)
    return margins and [round(deg, 3) for deg in margins]

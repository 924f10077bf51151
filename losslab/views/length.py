"""Margins that follow the length of the embedding: MagFace and AdaFace."""

import numpy as np
import torch
from torch import Tensor

from losslab.geometry import unit
from losslab.head import Head
from losslab.losses import AdaFace, Angles, Loss, MagFace
from losslab.scene import CHART, Axis, Path, Points, Scene

from .curves import line
from .elastic import steps
from .given import Given, seen

BINS = 40
TALL = 0.25  # of the chart's height, for the histogram of lengths


class MarginsByLength(Given):
    """The margin against the length of the embedding: the loss's curve, the samples on it, and how many are where."""

    card = "What margin an embedding gets by its length, and how long the embeddings of this training are."
    about = (MagFace, AdaFace)

    def scene(self) -> Scene:
        head, cloud = self.head(), self.cloud()
        loss, a = seen(head, cloud.embedding, cloud.label)
        low, high = limits(loss, a)
        longest = 1.05 * max(a.norm.max().item(), high if isinstance(loss, MagFace) else 0)
        length = torch.linspace(0, longest, 401, dtype=torch.float64)[1:]
        curves = parts(*along(head, length))
        samples = parts(loss, a)
        bottom = 1.1 * min(0.0, *(curve.min().item() for curve in curves.values()))
        top = 1.1 * max(*(curve.max().item() for curve in curves.values()), 1e-3)
        edges = np.linspace(0, longest, BINS + 1)
        count = np.histogram(a.norm.numpy(), edges)[0]
        heap = steps(edges, TALL * (top - bottom) * count / max(count.max(), 1))
        marks = [Path(role="bars", of=3, name="how many are that long (a scale of its own)", at=heap)]
        marks += [
            Path(role="guide", name=name, at=np.array([[at, bottom], [at, top]]))
            for name, at in zip(ends(loss), (low, high), strict=True)
            if 0 <= at <= longest
        ]
        for i, (name, curve) in enumerate(curves.items()):
            marks += [
                Path(role="curve", of=i, name=name, at=line(length, curve)),
                Points(role="sample", of=i, at=line(a.norm, samples[name])),
            ]
        return Scene(
            title=f"{type(loss).card.title}: margin and length",
            says=said(loss, a, low, high),
            space=CHART,
            marks=tuple(marks),
            x=Axis("Length of the embedding ‖x‖", "", 0, longest),
            y=Axis("Margin", "rad" if isinstance(loss, MagFace) else "rad, or cosine", bottom, top),
            names=tuple(curves),
        )


def along(head: Head, length: Tensor) -> tuple[Loss, Angles]:
    """What the loss sees of embeddings of these lengths [t] at the first prototype."""
    prototype = unit(head.prototypes)[0][:1]
    return seen(head, length[:, None] * prototype, torch.zeros(len(length), dtype=torch.long))


def parts(loss: Loss, a: Angles) -> dict[str, Tensor]:
    """The margins by name, [b] each."""
    if isinstance(loss, MagFace):
        return {"margin m(a)": loss.margins(a)}
    return dict(zip(("to the angle, −m ẑ", "from the cosine, m + m ẑ"), loss.margins(a), strict=True))


def limits(loss: Loss, a: Angles) -> tuple[float, float]:
    """The lengths from which, and up to which, the margin changes; not within zero and infinity for AdaFace."""
    if isinstance(loss, MagFace):
        return loss.shortest, loss.longest
    mean, reach = a.memory.mean.item(), (a.memory.deviation.item() + 1e-3) / max(loss.spread, 1e-9)
    return mean - reach, mean + reach


def ends(loss: Loss) -> tuple[str, str]:
    return (f"l = {loss.shortest:g}", f"u = {loss.longest:g}") if isinstance(loss, MagFace) else ("ẑ = −1", "ẑ = 1")


def said(loss: Loss, a: Angles, low: float, high: float) -> str:
    below, above = ((a.norm < low).double().mean().item(), (a.norm > high).double().mean().item())
    if isinstance(loss, MagFace):
        if not below and not above:
            return f"All images are between l = {low:g} and u = {high:g} long: the margin of each follows its length."
        outside = f"{below:.0%} of the images are shorter than l = {low:g} and {above:.0%} longer than u = {high:g}"
        return f"{outside}: there the margin no longer follows the length, nor does the length get a push from it."
    return (
        f"The running mean of lengths is μ = {a.memory.mean:.3g}, their deviation σ = {a.memory.deviation:.3g}; "
        f"{below:.0%} of the images are so short that ẑ stops at −1, {above:.0%} so long that it stops at 1."
    )

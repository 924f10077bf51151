"""ElasticFace's margins: what was drawn, and which sample got which."""

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from losslab.geometry import angle
from losslab.losses import ElasticFace
from losslab.scene import CHART, Axis, Path, Points, Scene

from .curves import line
from .given import Given, in_degrees, seen, shuffled

BINS = 33
PLAIN, SORTED = "as drawn", "handed out by angle (“+”)"


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """What the samples get in the next steps of training, batch after batch: n samples."""

    loss: ElasticFace
    batch: Tensor  # [n] which batch each is in
    theta: Tensor  # [n] angle to the own prototype, radians
    plain: Tensor  # [n] its margin as drawn
    sorted: Tensor  # [n] its margin with "+"

    @property
    def got(self) -> Tensor:
        """[n] its margin in this training."""
        return self.sorted if self.loss.sorted else self.plain

    def correlation(self, margin: Tensor) -> float:
        """Rank correlation of cosine and margin within a batch, mean over batches."""
        found = [
            rank_correlation(self.theta[self.batch == k].cos(), margin[self.batch == k]) for k in self.batch.unique()
        ]
        known = [value for value in found if not math.isnan(value)]
        return sum(known) / len(known) if known else math.nan


class OfDraws(Given):
    about = (ElasticFace,)

    def drawn(self) -> Drawn:
        """By the run's own seed, at this step and those after it."""
        head, cloud = self.head().train(), shuffled(self.cloud())
        parts, loss = [], None
        for k, part in enumerate(torch.arange(len(cloud.label)).split(self.batch)):
            loss, a = seen(head, cloud.embedding[part], cloud.label[part])
            plain, handed = (dataclasses.replace(loss, sorted=each).margins(a) for each in (False, True))
            parts.append((torch.full_like(part, k), angle(a.target), plain, handed))
            head.step += 1
        return Drawn(loss, *(torch.cat(column) for column in zip(*parts, strict=True)))

    def unit(self, loss: ElasticFace) -> str:
        return "cosine" if loss.variant == "cos" else "rad"


class ElasticDraws(OfDraws):
    """A histogram of the margins of a few batches, with the normal distribution that they come from."""

    card = "The margins that ElasticFace draws for the samples of a few batches, and the distribution they come from."

    def scene(self) -> Scene:
        drawn = self.drawn()
        loss, margin = drawn.loss, drawn.got
        reach = max(4 * loss.spread, 1e-3)
        low, high = min(loss.margin - reach, margin.min().item()), max(loss.margin + reach, margin.max().item())
        edges = np.linspace(low, high, BINS + 1)
        share = 100 * np.histogram(margin.numpy(), edges)[0] / len(margin)
        marks = [Path(role="bars", of=0, name="drawn", at=steps(edges, share))]
        if loss.spread > 0:
            x = torch.linspace(low, high, 241, dtype=torch.float64)
            bell = torch.exp(-0.5 * ((x - loss.margin) / loss.spread) ** 2) / (loss.spread * math.sqrt(2 * math.pi))
            name = f"normal distribution, m = {loss.margin:g}, σ = {loss.spread:g}"
            marks.append(Path(role="curve", of=1, name=name, at=line(x, 100 * (edges[1] - edges[0]) * bell)))
        below = (margin < 0).double().mean().item()
        return Scene(
            title="What ElasticFace draws",
            says=f"{len(margin)} margins drawn in {int(drawn.batch.max()) + 1} batches: mean {margin.mean():.3f}, "
            f"spread {spread(margin):.3f}, from {margin.min():.2f} to {margin.max():.2f}; "
            f"{'none' if not below else f'{below:.1%}'} below zero.",
            space=CHART,
            marks=tuple(marks),
            x=Axis("Margin", self.unit(loss), low, high),
            y=Axis("Share of the samples", "%"),
            names=("drawn", "normal distribution"),
        )


class ElasticSamples(OfDraws):
    """Each sample's margin against its angle to the own prototype: as drawn, and handed out by angle."""

    card = "Which sample got which margin: at random, or (ElasticFace+) the largest of a batch for the farthest sample."

    def scene(self) -> Scene:
        drawn = self.drawn()
        loss, theta = drawn.loss, drawn.theta.rad2deg()
        sets = ((PLAIN, drawn.plain), (SORTED, drawn.sorted))
        return Scene(
            title="Which sample gets which margin",
            says=said(drawn),
            space=CHART,
            marks=tuple(
                Points(role="sample", of=i, name=name, at=line(theta, margin)) for i, (name, margin) in enumerate(sets)
            ),
            x=Axis("Angle to the own prototype θ", "°", 0, min(max(10.0, 1.05 * theta.max().item()), 180.0)),
            y=Axis("Margin", self.unit(loss)),
            names=(PLAIN, SORTED),
        )


def said(drawn: Drawn) -> str:
    loss = drawn.loss
    mean = f"{drawn.got.mean():.3f}" if loss.variant == "cos" else in_degrees(drawn.got.mean().item())
    same = f"The margins are the same, {mean} ± {spread(drawn.got):.3f}; only who gets which differs"
    plain, handed = drawn.correlation(drawn.plain), drawn.correlation(drawn.sorted)
    if math.isnan(plain):
        return f"{same.split(';')[0]} for every sample: there is nothing to hand out."
    how = "the inverse permutation of the released code" if loss.pairing == "as_released" else "angle"
    used = "handed them out so" if loss.sorted else "took them as drawn"
    return (
        f"{same}: as drawn, rank correlation with the cosine {plain:+.2f}; handed out by {how}, {handed:+.2f}. "
        f"This training {used}."
    )


def rank_correlation(x: Tensor, y: Tensor) -> float:
    """Spearman's, of values [n] without ties; NaN where fewer than two differ."""
    if len(x) < 2 or x.unique().numel() < 2 or y.unique().numel() < 2:
        return math.nan
    ranks = torch.stack([value.argsort().argsort().double() for value in (x, y)])
    return torch.corrcoef(ranks)[0, 1].item()


def spread(values: Tensor) -> float:
    """The standard deviation of what was drawn, 0 of a single value."""
    return values.std(correction=0).item()


def steps(edges: np.ndarray, height: np.ndarray) -> np.ndarray:
    """The outline of a histogram: bars between `edges` [n + 1], `height` [n] high; [2n + 2, 2], from zero to zero."""
    return np.stack([edges.repeat(2), np.r_[0, height.repeat(2), 0]], 1)

"""What every loss is made of: the angles it may look at, two curves of an angle, one reduction over classes."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, dataclass_transform

import torch
from torch import Tensor
from torch.nn import functional as F

from losslab.catalogue import check_knobs, knob
from losslab.geometry import turn


@dataclass(frozen=True)
class Card:
    """What a reader needs to know of a loss: where it comes from, its formula (TeX), its geometry in a sentence."""

    title: str
    year: int
    paper: str
    formula: str
    geometry: str


@dataclass(frozen=True)
class Angles:
    """What a batch of b samples sees of the C classes, and all that a loss may look at."""

    cosine: Tensor  # [b C] to every prototype
    target: Tensor  # [b] to the own prototype
    label: Tensor  # [b]
    norm: Tensor  # [b] length of the embedding before normalising
    length: Tensor  # [C] length of each prototype before normalising
    draw: torch.Generator | None = None  # source of random margins; without one they take their mean

    def others(self, value: Tensor) -> Tensor:
        """`value` [b C] with the own class taken out of any later maximum or sum of exponentials."""
        own = F.one_hot(self.label, value.shape[1]).bool()
        # Not minus infinity: a row of nothing else (one class only) must still have finite gradients.
        return value.masked_fill(own, torch.finfo(value.dtype).min)


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True)
class Loss:
    """A loss is a frozen value of numbers. `positive` bends the cosine to the own prototype, `negative` those to
    the others, and calling it joins them into one loss per sample. It owns no weights: `PrototypeHead` does."""

    card: ClassVar[Card]
    weighs_length: ClassVar[bool] = False  # do the lengths of the prototypes count in the logits?

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dataclass(frozen=True, kw_only=True)(cls)

    def __post_init__(self) -> None:
        check_knobs(self)

    def positive(self, a: Angles) -> Tensor:
        """Own class, [b]: the curve of the angle to the own prototype."""
        return a.target

    def negative(self, a: Angles) -> Tensor:
        """Other classes, [b C]: the curve of the angle to each prototype (the own column is not used)."""
        return a.cosine

    def __call__(self, a: Angles) -> Tensor:
        """One loss per sample, [b]."""
        raise NotImplementedError

    def logits(self, a: Angles) -> Tensor:
        """What inference ranks by, [b C]: no margin."""
        raise NotImplementedError

    def gap(self, a: Angles) -> Tensor:
        """Positive minus the best negative, [b]: above zero the sample clears the margin."""
        return self.positive(a) - a.others(self.negative(a)).amax(1)

    def curves(self, angle: Tensor) -> tuple[Tensor, Tensor]:
        """The two curves at `angle` [t] (radians), each [t]: for unit lengths, random margins at their mean."""
        cosine, ones = angle.cos(), torch.ones_like(angle)
        label = torch.zeros(len(angle), dtype=torch.long, device=angle.device)
        a = Angles(cosine[:, None], cosine, label, norm=ones, length=ones[:1])
        return self.positive(a), self.negative(a)[:, 0]


class SoftmaxLoss(Loss):
    """−log softmax over classes: softplus(log Σ_{j≠y} exp(s·negative_j) − s·positive).

    Reducing over the other classes only keeps the digits that a plain cross-entropy rounds away as soon as the
    own class wins clearly.
    """

    gradient = "exact"  # losses with an angular margin make it a knob

    def radius(self, a: Angles) -> Tensor:
        """What multiplies the curves to make logits, [b]: the scale s, unless a loss says otherwise."""
        return torch.full_like(a.norm, self.scale)

    def __call__(self, a: Angles) -> Tensor:
        positive, radius = self.positive(a), self.radius(a)
        if self.gradient == "detached":
            positive = a.target + (positive - a.target).detach()
        negative = torch.logsumexp(a.others(radius[:, None] * self.negative(a)), 1)
        return F.softplus(negative - radius * positive, threshold=40)

    def logits(self, a: Angles) -> Tensor:
        return self.radius(a)[:, None] * a.cosine


def scale_knob(default: float = 64) -> Any:
    return knob(
        float(default),
        1,
        128,
        step=1,
        symbol="s",
        help="Radius of the sphere: how sharply the softmax decides.",
    )


def gradient_knob() -> Any:
    return knob(
        "exact",
        choices=("exact", "detached"),
        help="exact: the derivative of the loss. detached: the margin's value with the plain cosine's slope, "
        "as widely used training code does without saying so.",
    )


def beyond_knob() -> Any:
    return knob(
        "monotone",
        choices=("monotone", "raw", "clip", "keep"),
        help="Where the angle with its margin passes 180°. monotone: keep falling; raw: let the cosine rise "
        "again; clip: stay at −1; keep: drop the margin there.",
    )


def add_angle(cosine: Tensor, margin: float | Tensor, beyond: str) -> Tensor:
    """cos(θ + m) from cos θ, and what `beyond` says where θ + m > π; m in radians, a number or one per sample."""
    turned = turn(cosine, margin)
    if beyond == "raw":
        return turned
    cos, sin = (math.cos(margin), math.sin(margin)) if isinstance(margin, float) else (margin.cos(), margin.sin())
    past = (cosine < -cos) & (sin > 0)
    if beyond == "monotone":
        return torch.where(past, cosine - margin * sin, turned)
    return torch.where(past, -1 if beyond == "clip" else cosine, turned)

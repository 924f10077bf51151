"""Terms: what is added to any base loss. The curves, the gap and the logits stay those of the base."""

from typing import Any

import torch
from torch import Tensor

from losslab.catalogue import knob

from .base import Angles, Loss, SoftmaxLoss
from .pairs import PairLoss


class Term(Loss):
    """base + weight · term: `IntraLoss(base=KappaFace(), weight=0.1)` needs no class of its own."""

    def __post_init__(self, like: str | None) -> None:
        if not isinstance(self.base, Loss) or isinstance(self.base, PairLoss):
            raise ValueError(f"base is {self.base!r}, but it must be a loss with prototypes, such as ArcFace().")
        super().__post_init__(like)

    def term(self, a: Angles) -> Tensor:
        """What is added, [b], before its weight."""
        raise NotImplementedError

    def __call__(self, a: Angles) -> Tensor:
        return self.base(inner(a)) + self.weight * self.term(a)

    def positive(self, a: Angles) -> Tensor:
        return self.base.positive(inner(a))

    def negative(self, a: Angles) -> Tensor:
        return self.base.negative(inner(a))

    def plain(self, a: Angles) -> Tensor:
        return self.base.plain(inner(a))

    def logits(self, a: Angles) -> Tensor:
        return self.base.logits(inner(a))

    def gap(self, a: Angles) -> Tensor:
        return self.base.gap(inner(a))

    def radius(self, a: Angles) -> Tensor:
        """[b] the scale of the base; 1 where it has none."""
        return self.base.radius(inner(a)) if isinstance(self.base, SoftmaxLoss | Term) else torch.ones_like(a.norm)

    def observe(self, a: Angles) -> None:
        self.base.observe(inner(a))

    def remember(self, a: Angles) -> None:
        self.base.remember(inner(a))

    def end_epoch(self, memory: Any) -> None:
        self.base.end_epoch(memory.base)

    # What the base is, the sum is.
    weighs_length = property(lambda self: self.base.weighs_length)
    weighs_norm = property(lambda self: self.base.weighs_norm)
    pointwise = property(lambda self: self.base.pointwise)
    adapts = property(lambda self: self.base.adapts)
    subcentres = property(lambda self: self.base.subcentres)
    gradient = property(lambda self: self.base.gradient)


def inner(a: Angles) -> Angles:
    """The same batch as the base sees it, with the base's own memory."""
    return a.but(memory=a.memory and a.memory.base)


def base_knob(default: Loss) -> Any:
    return knob(default, help="The loss that the term is added to.")


def weight_knob(default: float, high: float = 10) -> Any:
    return knob(float(default), 0, high, step=high / 1000, symbol="λ", help="How much of the term is added.")

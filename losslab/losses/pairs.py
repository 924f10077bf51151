"""Pair losses: no prototypes, the samples of a batch are compared with one another."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .base import Angles, Loss


@dataclass(frozen=True)
class Pairs:
    """What the b samples of a batch see of one another, all that a pair loss may look at."""

    cosine: Tensor  # [b b] between embeddings
    same: Tensor  # [b b] bool: two different samples of one class
    other: Tensor  # [b b] bool: samples of different classes

    @property
    def square(self) -> Tensor:
        """[b b] squared distance between unit vectors, 2 − 2 cos θ, from 0 to 4."""
        return (2 - 2 * self.cosine).clamp(min=0)


class PairLoss(Loss):
    """`pairs` gives one loss per sample as an anchor. The curves compare a sample with the means of the classes:
    they are for pictures and for ranking, training does not use them."""

    def pairs(self, p: Pairs) -> Tensor:
        """One loss per sample, [b]; 0 for a sample without the pairs that the loss needs."""
        raise NotImplementedError

    def __call__(self, a: Angles) -> Tensor:
        raise TypeError(f"{type(self).__name__} compares samples with one another: it needs a PairHead.")


def mean_over(value: Tensor, chosen: Tensor) -> Tensor:
    """[b] mean of each row of `value` [b b] over `chosen`; 0 where nothing is."""
    return torch.where(chosen, value, 0).sum(1) / chosen.sum(1).clamp(min=1)

"""Pair losses: no prototypes, the samples of a batch are compared with one another."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .base import Angles, Loss


@dataclass(frozen=True)
class Pairs:
    """What b samples see of the B that they are compared with, all that a pair loss may look at. Alone they are the
    same samples; of many processes the b are one's own, and the B those of all."""

    cosine: Tensor  # [b B] between embeddings
    same: Tensor  # [b B] bool: two different samples of one class
    other: Tensor  # [b B] bool: samples of different classes

    @property
    def square(self) -> Tensor:
        """[b B] squared distance between unit vectors, 2 − 2 cos θ, from 0 to 4."""
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
    """[b] mean of each row of `value` [b B] over `chosen`; 0 where nothing is."""
    return torch.where(chosen, value, 0).sum(1) / chosen.sum(1).clamp(min=1)

"""Triplet loss: an anchor must be nearer to its own than to others (Schroff et al., FaceNet, CVPR 2015)."""

import math

import torch
from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import angle

from .base import Angles, Card
from .pairs import PairLoss, Pairs, mean_over


class Triplet(PairLoss):
    """Mean over an anchor's triplets of [D_p − D_n + m]₊, with D the squared distance between unit vectors, or the
    angle (as in ArcFace's comparison). `mining` says which triplets:

        all        every own and every other sample (b³ numbers are held)
        semihard   with every own sample, the nearest other that is farther than it; the farthest if none is
        hard       the farthest own and the nearest other
    """

    card = Card(
        title="Triplet loss",
        year=2015,
        paper="arXiv:1503.03832",
        family="Pairs and triplets",
        formula=r"[D_p-D_n+m]_+",
        geometry="Only differences of distances count: classes may be as wide as they like, with room between them.",
        use="Without class prototypes: new people all the time, or too many of them.",
        hazard="Most triplets soon cost nothing, so it lives on mining, and on batches with several images a class.",
        source="m = 0.3 and semi-hard mining as in the triplet training of insightface (with angles, 0.35).",
        toy={"margin": 0.3},
    )
    margin: float = knob(0.3, 0, 2, step=0.01, symbol="m", help="By how much the own sample must be nearer.")
    mining: str = knob("semihard", choices=("all", "semihard", "hard"), help="Which triplets count.")
    distance: str = knob("squared", choices=("squared", "angle"), help="How far apart two samples are.")

    def far(self, cosine: Tensor) -> Tensor:
        return 2 - 2 * cosine if self.distance == "squared" else angle(cosine)

    def positive(self, a: Angles) -> Tensor:
        return -self.far(a.target) - self.margin

    def negative(self, a: Angles) -> Tensor:
        return -self.far(a.cosine)

    def pairs(self, p: Pairs) -> Tensor:
        distance = self.far(p.cosine)
        if self.mining == "all":
            triplet = p.same[:, :, None] & p.other[:, None]  # [b B B] anchor, own, other
            cost = (distance[:, :, None] - distance[:, None] + self.margin).clamp(min=0)
            return torch.where(triplet, cost, 0).sum((1, 2)) / triplet.sum((1, 2)).clamp(min=1)
        # For each own sample of an anchor, the one other that it is held against.
        own = p.same & p.other.any(1, keepdim=True)
        if self.mining == "hard":
            own = own & (distance == torch.where(own, distance, -math.inf).amax(1, keepdim=True))
            other = torch.where(p.other, distance, math.inf).amin(1, keepdim=True)
        else:
            other = distance.gather(1, farther(distance.detach(), p.other))
        cost = torch.where(own, distance - torch.where(own, other, 0) + self.margin, 0)
        return mean_over(cost.clamp(min=0), own)


def farther(distance: Tensor, other: Tensor) -> Tensor:
    """[b B] for anchor i and sample k, the nearest of i's others that is farther from it than k; the farthest of all
    where none is."""
    ordered, position = torch.where(other, distance, math.inf).sort(1)
    place = torch.searchsorted(ordered, distance.contiguous(), right=True)
    last = other.sum(1, keepdim=True) - 1
    return position.gather(1, torch.minimum(place, last).clamp(min=0))

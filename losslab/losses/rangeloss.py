"""Range loss: the worst pairs within a class, the nearest pair of classes (Zhang et al., ICCV 2017)."""

import torch
from torch import Tensor

from losslab.catalogue import knob

from .base import Angles, Card, Loss
from .softmax import Softmax
from .terms import Term, base_knob, weight_knob


class RangeLoss(Term):
    """base + λ·(α Σ_c k/Σ_{r≤k}(1/D_r) + β[M − D_min]₊): D_r are the k largest distances between two samples of class
    c in the batch, D_min the smallest between the means of two classes. Every sample gets this one number."""

    card = Card(
        title="Range loss",
        year=2017,
        paper="arXiv:1611.08976",
        family="Terms added to any loss",
        formula=r"L_{\text{base}}+\lambda\big(\alpha\sum_c\frac{k}{\sum_{r\le k}1/D_r}+\beta\,[M-D_{\min}]_+\big)",
        geometry="Only the outermost samples of a class are pulled in, and only the two nearest classes pushed apart.",
        use="With long-tailed data, where means of few samples say little.",
        hazard="It needs several images of a class in the batch, and depends on how batches are made.",
        source="k = 2; α = 5·10⁻⁵ and β = 10⁻⁴ from the paper as reported elsewhere; M = 0.1 from a port of it.",
        toy={"intra": 0.02, "inter": 0.05, "margin": 5.0},
    )
    weighs_norm = True
    base: Loss = base_knob(Softmax())
    weight: float = weight_knob(1)
    intra: float = knob(5e-5, 0, 1, symbol="α", help="Weight of the pull within classes.")
    inter: float = knob(1e-4, 0, 1, symbol="β", help="Weight of the push between classes.")
    worst: int = knob(2, 1, 10, step=1, symbol="k", help="How many of a class's largest distances count.")
    margin: float = knob(0.1, 0, 100, step=0.1, symbol="M", help="Distance from which two classes are far enough.")

    def term(self, a: Angles) -> Tensor:
        value = self.intra * self.within(a) + self.inter * (self.margin - self.nearest(a)).clamp(min=0)
        return value * torch.ones_like(a.norm)

    def within(self, a: Angles) -> Tensor:
        """Sum over classes of the harmonic mean of their largest distances."""
        position = torch.arange(len(a.label), device=a.label.device)
        pair = self.alike(a) & (position[:, None] < position)
        distance = torch.where(pair, distances(a.embedding, a.embedding), -1).flatten()
        label = a.label[:, None].expand_as(pair).flatten()
        # By class, and within a class from the largest on: the place in its class is the place minus the first one's.
        order = distance.detach().argsort(descending=True)
        order = order[label[order].argsort(stable=True)]
        ranked, label = distance[order], label[order]
        rank = torch.arange(len(order), device=label.device) - torch.searchsorted(label, label)
        chosen = ((rank < self.worst) & (ranked >= 0)).to(ranked.dtype)
        inverse = torch.zeros(a.classes, dtype=ranked.dtype, device=label.device)
        number = inverse.index_add(0, label, chosen)
        inverse = inverse.index_add(0, label, chosen / ranked.clamp(min=1e-6))
        return torch.where(number > 0, number / inverse.clamp(min=1e-30), 0).sum()

    def nearest(self, a: Angles) -> Tensor:
        """The smallest distance between the means of two classes in the batch; the margin where there is one only."""
        alike = self.alike(a)
        mean = alike.to(a.embedding.dtype) @ a.embedding / alike.sum(1, keepdim=True).clamp(min=1)
        apart = (a.label[:, None] != a.label) & a.counted[:, None] & a.counted
        return torch.where(apart, distances(mean, mean), self.margin).amin()

    def alike(self, a: Angles) -> Tensor:
        """[b b] bool: samples of one class that count."""
        return (a.label[:, None] == a.label) & a.counted[:, None] & a.counted


def distances(x: Tensor, y: Tensor) -> Tensor:
    """[b c] distances between x [b d] and y [c d]; equal points pass no gradient."""
    square = (x[:, None] - y).square().sum(2)
    return torch.where(square > 0, torch.where(square > 0, square, 1).sqrt(), 0)

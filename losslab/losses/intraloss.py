"""IntraLoss, a reconstruction: more pull towards the own prototype where softmax has none left (Jiang et al., 2021)."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from losslab.catalogue import knob
from losslab.geometry import angle, turn

from .arcface import ArcFace
from .base import Angles, Card, Loss, SoftmaxLoss
from .terms import Term, base_knob, inner, weight_knob


class IntraLoss(Term):
    """A reconstruction: the paper's formula was not to be had. base + λ·g, where g restores the pull to the own
    prototype on the side away from neighbours, on which the base's softmax is saturated:

        confident   p·s·(1 − cos θ_y)     p: the base's probability of the own class, no gradient
        plain       s·(1 − cos θ_y)
        angle       θ_y/π                 the "Intra-Loss" tried in the ArcFace paper
        ring        one more class in the softmax, λ·e^{s cos(ρ − θ_y)}: neighbours on all sides at an angle ρ
    """

    card = Card(
        title="IntraLoss (reconstruction)",
        year=2021,
        paper="arXiv:2107.03352",
        family="Terms added to any loss",
        formula=r"L_{\text{base}}+\lambda\,p_y\,s(1-\cos\theta_y)",
        geometry="The pull towards the prototype becomes the same from all sides, so classes end round and not "
        "stretched.",
        use="Added to a margin loss whose classes stay stretched away from their neighbours.",
        hazard="ArcFace's authors tried the variant `angle` and it did not help; call a result “reconstruction”.",
        source="All but the variant `angle` is ours, as is λ, between 0.01 and 0.5 at s = 64.",
        toy={"base_scale": 16.0, "base_margin": 0.3, "weight": 0.1},
        reconstruction=True,
    )
    holds_still = True
    base: Loss = base_knob(ArcFace())
    weight: float = weight_knob(0.1)
    variant: str = knob("confident", choices=("confident", "plain", "angle", "ring"), help="Which added pull.")
    ring: float = knob(
        math.pi / 2, 0, math.pi, step=0.01, symbol="ρ", unit="rad", help="Radius of the ring; 0: the nearest class's."
    )

    def __call__(self, a: Angles) -> Tensor:
        loss = self.base(inner(a))
        if self.variant in ("plain", "angle"):
            return loss + self.weight * self.pull(a)
        # Most bases are that softmax and nothing else: then it is known already.
        bare = type(self.base).__call__ is SoftmaxLoss.__call__
        doubt = loss if bare else surprise(self.base, inner(a))
        if self.variant == "ring":
            positive = self.trained(a)
            away = self.radius(a) * (self.virtual(a) - positive)
            share = self.weight * torch.ones_like(loss)
            # One more exponential in the base's sum S: log(S + r) − log S.
            return loss + F.softplus(share.log() + away - doubt, threshold=40)
        return loss + self.weight * torch.exp(-doubt.detach()) * self.pull(a)

    def pull(self, a: Angles) -> Tensor:
        """[b] what draws to the own prototype, from all sides alike."""
        if self.variant == "angle":
            return angle(a.target) / math.pi
        return self.radius(a).detach() * (1 - a.target)

    def virtual(self, a: Angles) -> Tensor:
        """[b] cosine to the nearest place on the ring, cos(ρ − θ_y)."""
        nearest = angle(a.amax(lambda t: t.between()).detach().clamp(-1, 1))
        ring = self.ring * torch.ones_like(nearest)
        return turn(a.target, -torch.where(ring > 0, ring, nearest))


def surprise(loss: Loss, a: Angles) -> Tensor:
    """−log p of the own class, [b], in the softmax inside `loss`, without what terms or MagFace's length add to it."""
    while isinstance(loss, Term):
        loss, a = loss.base, inner(a)
    return SoftmaxLoss.__call__(loss, a) if isinstance(loss, SoftmaxLoss) else loss(a)

"""Circle loss: every cosine is weighted by how far it is from where it should be (Sun et al., CVPR 2020)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from losslab.catalogue import knob

from .base import Angles, Card, SoftmaxLoss
from .pairs import PairLoss, Pairs


def sharpness_knob() -> float:
    return knob(256.0, 1, 1024, step=1, symbol="γ", help="How sharply the softmax decides.")


def relax_knob() -> float:
    return knob(0.25, 0, 1, step=0.01, symbol="m", help="Own cosines should pass 1 − m, others stay below m.")


def own(cosine: Tensor, margin: float) -> Tensor:
    return (1 + margin - cosine).detach().clamp(min=0) * (cosine - (1 - margin))


def other(cosine: Tensor, margin: float) -> Tensor:
    return (cosine + margin).detach().clamp(min=0) * (cosine - margin)


class Circle(SoftmaxLoss):
    """γ·[1 + m − cos θ_y]₊·(cos θ_y − (1 − m)) against γ·[cos θ_j + m]₊·(cos θ_j − m); the weights [·]₊ are kept out
    of the gradient."""

    card = Card(
        title="Circle loss",
        year=2020,
        paper="arXiv:2002.10857",
        family="Other classes too",
        formula=r"\gamma[1+m-\cos\theta_y]_+(\cos\theta_y-(1-m))",
        geometry="In the plane of own and other cosine the boundary is a circle around (1, 0) instead of a line.",
        use="Where own and other cosines should each reach a target, not only differ.",
        hazard="The own logit falls to −γ(4 − m²), about −1000 for γ = 256: that needs float32.",
        source="γ = 256, m = 0.25 from the paper's experiments on faces.",
        toy={"scale": 32.0, "margin": 0.25},
    )
    holds_still = True
    scale: float = sharpness_knob()
    margin: float = relax_knob()

    def positive(self, a: Angles) -> Tensor:
        return own(a.target, self.margin)

    def negative(self, a: Angles) -> Tensor:
        return other(a.cosine, self.margin)


class CirclePair(PairLoss):
    """log(1 + Σ_n e^{γ[s_n + m]₊(s_n − m)} · Σ_p e^{−γ[1 + m − s_p]₊(s_p − (1 − m))}) over the cosines s of an anchor
    to the samples p of its class and n of others."""

    card = Card(
        title="Circle loss of pairs",
        year=2020,
        paper="arXiv:2002.10857",
        family="Pairs and triplets",
        formula=r"\mathrm{sp}\big(\mathrm{lse}_n\,\gamma\alpha_n(s_n-m)+\mathrm{lse}_p\,-\gamma\alpha_p(s_p-(1-m))\big)",
        geometry="As the circle loss of classes, with other samples in place of prototypes.",
        use="Without class prototypes: retrieval, or more classes than a head can hold.",
        hazard="An anchor without another sample of its class in the batch costs nothing: use large batches.",
        source="γ = 256, m = 0.25 from the paper's experiments on faces.",
        toy={"scale": 32.0, "margin": 0.6},
    )
    holds_still = True
    scale: float = sharpness_knob()
    margin: float = relax_knob()

    positive, negative = Circle.positive, Circle.negative

    def pairs(self, p: Pairs) -> Tensor:
        floor = torch.finfo(p.cosine.dtype).min / 4  # the sum of two must not overflow
        near = torch.where(p.same, -self.scale * own(p.cosine, self.margin), floor).logsumexp(1)
        far = torch.where(p.other, self.scale * other(p.cosine, self.margin), floor).logsumexp(1)
        return F.softplus(near + far, threshold=40)

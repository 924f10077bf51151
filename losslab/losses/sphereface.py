"""SphereFace: multiplicative angular margin, also called A-Softmax (Liu et al., CVPR 2017)."""

import math

import torch
from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import angle

from .base import Angles, Card, SoftmaxLoss, beyond_knob, gradient_knob


class SphereFace(SoftmaxLoss):
    """‖x‖·(λ cos θ_y + ψ_m(θ_y)) / (1 + λ), with ψ_m(θ) = (−1)^k cos mθ − 2k for mθ in [kπ, (k+1)π].

    Prototypes are normalised, embeddings are not: their length is the scale. m may be any real number ≥ 1.
    `beyond` says what ψ is where mθ > π: `monotone` is the paper's fold.
    """

    card = Card(
        title="SphereFace",
        year=2017,
        paper="arXiv:1704.08063",
        formula=r"\lVert x\rVert\,\frac{\lambda\cos\theta_y+\psi_m(\theta_y)}{1+\lambda}",
        geometry="The own prototype must be m times nearer than any other, so the empty strip between two classes "
        "grows with the angle between them.",
    )
    margin: float = knob(4.0, 1, 6, step=0.1, symbol="m", help="How many times nearer the own prototype must be.")
    easing: float = knob(
        5.0,
        0,
        1000,
        step=1,
        symbol="λ",
        help="Share of the plain cosine mixed in: 0 is the pure margin, harder to train.",
    )
    gradient: str = gradient_knob()
    beyond: str = beyond_knob()

    def radius(self, a: Angles) -> Tensor:
        return a.norm

    def positive(self, a: Angles) -> Tensor:
        widened = self.margin * angle(a.target)
        fold = torch.floor(widened / math.pi)
        psi = {
            "monotone": (1 - 2 * (fold % 2)) * widened.cos() - 2 * fold,
            "raw": widened.cos(),
            "clip": widened.clamp(max=math.pi).cos(),
            "keep": torch.where(fold >= 1, a.target, widened.cos()),
        }[self.beyond]
        return (self.easing * a.target + psi) / (1 + self.easing)

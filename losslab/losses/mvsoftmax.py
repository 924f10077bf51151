"""MV-Softmax: classes that are taken for the right one count more (Wang et al., AAAI 2020)."""

import torch
from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import turn

from .base import Angles, Card, SoftmaxLoss, gradient_knob, scale_knob
from .margins import add_angle, beyond_knob


class MVSoftmax(SoftmaxLoss):
    """Own class: F = cos θ_y − m or cos(θ_y + m). A class with cos θ_j > F is hard, and its logit becomes
    (1 + τ) cos θ_j + τ ("adaptive") or cos θ_j + τ ("fixed")."""

    card = Card(
        title="MV-Softmax",
        year=2020,
        paper="arXiv:1912.00833",
        family="Other classes too",
        formula=r"s\big((1+\tau)\cos\theta_j+\tau\big)\ \text{where}\ \cos\theta_j>\cos\theta_y-m",
        geometry="Inside the margin, the class that is in the way pushes harder; outside nothing changes.",
        use="To mine hard classes without choosing them by hand.",
        hazard="A hard logit can pass s: up to s(1 + 2τ).",
        source="m = 0.35, τ = 0.2, s = 32 from the authors' code (arc: m = 0.5 with the easy margin).",
        toy={"scale": 16.0, "margin": 0.1},
    )
    pointwise = False  # whether a class is hard depends on where the own one is
    scale: float = scale_knob(32)
    margin: float = knob(0.35, 0, 1.5, step=0.01, symbol="m", help="Margin: cosine for am, radians for arc.")
    hardness: float = knob(0.2, 0, 1, step=0.01, symbol="τ", help="How much harder a hard class pushes.")
    variant: str = knob("am", choices=("am", "arc"), help="am: taken from the cosine. arc: added to the angle.")
    form: str = knob("adaptive", choices=("adaptive", "fixed"), help="Does τ grow with the cosine of the hard class?")
    gradient: str = gradient_knob()
    beyond: str = beyond_knob("easy")

    def positive(self, a: Angles) -> Tensor:
        if self.variant == "am":
            return a.target - self.margin
        return add_angle(a.target, self.margin, self.beyond)

    def negative(self, a: Angles) -> Tensor:
        bar = a.target - self.margin if self.variant == "am" else turn(a.target, self.margin)
        push = self.hardness * (1 + a.cosine) if self.form == "adaptive" else self.hardness
        return torch.where(a.cosine > bar[:, None], a.cosine + push, a.cosine)

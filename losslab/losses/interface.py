"""InterFace: margins between a sample and all classes (Sang et al., 2022)."""

import math

import torch
from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import angle, turn

from .arcface import angle_knob
from .base import Angles, Card, SoftmaxLoss, gradient_knob, scale_knob
from .margins import add_angle, beyond_knob


class InterFace(SoftmaxLoss):
    """Own class: s·cos(θ_y + m). Others: s·cos(θ_j − m̂_j) with m̂_j = α(e^{−μ/q_j} − e^{−θ_y/φ_j}), no gradient.

    mode   φ_j                                       q_j    μ as shipped
    cc     π/2                                       1      0.2
    dc     angle between own prototype and class j   1      0.3
    dd     the same                                  φ_j    π/18
    """

    card = Card(
        title="InterFace",
        year=2022,
        paper="arXiv:2210.02018",
        family="Other classes too",
        formula=r"s\cos(\theta_j-\hat m_j),\quad \hat m_j=\alpha\big(e^{-\mu/q_j}-e^{-\theta_y/\varphi_j}\big)",
        geometry="A sample far from its prototype sees all other classes moved nearer and is pushed harder by them; "
        "one already close is left in peace.",
        use="To widen the room between classes, not only around each.",
        hazard="Modes dc and dd need the angles between prototypes, a second product as large as the first.",
        source="s = 64, m = 0.5, α = 0.1, mode dd with μ = π/18 and no guard past 180°, as the authors' code ships.",
        toy={"scale": 16.0, "margin": 0.3, "beyond": "monotone"},
    )
    pointwise = False  # what another class does depends on where the own one is
    holds_still = True
    scale: float = scale_knob()
    margin: float = angle_knob()
    reach: float = knob(0.1, 0, 1, step=0.01, symbol="α", unit="rad", help="Size of the margins to the other classes.")
    middle: float = knob(math.pi / 18, 0, 1.5, step=0.005, symbol="μ", help="Where they change sign (rad in mode dd).")
    mode: str = knob("dd", choices=("cc", "dc", "dd"), help="Is φ, and is the threshold, constant or dynamic?")
    gradient: str = gradient_knob()
    beyond: str = beyond_knob("raw")

    @torch.no_grad()
    def margins(self, a: Angles) -> Tensor:
        """m̂ to every class, [b C] (what stands at the own class is not used)."""
        own = angle(a.target)[:, None]
        if self.mode == "cc":
            over_phi = torch.full_like(own, 2 / math.pi)
        else:
            over_phi = 1 / a.between().clamp(-1, 1).acos().clamp(min=0.01)
        over_q = over_phi if self.mode == "dd" else torch.ones_like(own)
        margin = self.reach * (torch.exp(-self.middle * over_q) - torch.exp(-own * over_phi))
        return margin.expand_as(a.cosine)

    def positive(self, a: Angles) -> Tensor:
        return add_angle(a.target, self.margin, self.beyond)

    def negative(self, a: Angles) -> Tensor:
        return turn(a.cosine, -self.margins(a))

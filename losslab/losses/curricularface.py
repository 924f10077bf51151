"""CurricularFace: easy classes first, hard ones later (Huang et al., CVPR 2020)."""

import torch
from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import turn

from .arcface import angle_knob
from .base import Angles, Card, SoftmaxLoss, gradient_knob, scale_knob
from .margins import add_angle, beyond_knob


class CurricularFace(SoftmaxLoss):
    """Own class: s·cos(θ_y + m). A class with cos θ_j > cos(θ_y + m) is hard, and its cosine becomes
    cos θ_j·(T + cos θ_j), where T follows the mean of cos θ_y: T ← (1 − ρ)T + ρ·mean, before each use."""

    card = Card(
        title="CurricularFace",
        year=2020,
        paper="arXiv:2004.00288",
        family="Other classes too",
        formula=r"s\cos\theta_j(T+\cos\theta_j)\ \text{where}\ \cos\theta_j>\cos(\theta_y+m)",
        geometry="Inside the margin, the class in the way is at first played down and, as training goes well, played "
        "up.",
        use="Instead of MV-Softmax, where hard classes disturb the beginning.",
        hazard="With cos θ_j < 0 and T + cos θ_j < 0 a far class gets a positive logit.",
        source="m = 0.5, s = 64, ρ = 0.01 from the authors' code (their paper words the average the other way round).",
        toy={"scale": 16.0, "margin": 0.3},
    )
    pointwise = False  # whether a class is hard depends on where the own one is
    scale: float = scale_knob()
    margin: float = angle_knob()
    follow: float = knob(0.01, 0, 1, step=0.01, symbol="ρ", help="How fast T follows the mean own cosine.")
    gradient: str = gradient_knob()
    beyond: str = beyond_knob()

    def begin(self, dim: int, classes: int, draw: torch.Generator | None) -> dict[str, Tensor]:
        return {"ripeness": torch.tensor(0.0)}

    def observe(self, a: Angles) -> None:
        ripeness = a.memory.ripeness
        a.memory.ripeness = ripeness + self.follow * (a.mean(a.target, ripeness) - ripeness)

    def positive(self, a: Angles) -> Tensor:
        return add_angle(a.target, self.margin, self.beyond)

    def negative(self, a: Angles) -> Tensor:
        hard = a.cosine > turn(a.target, self.margin)[:, None]
        return torch.where(hard, a.cosine * (a.memory.ripeness + a.cosine), a.cosine)

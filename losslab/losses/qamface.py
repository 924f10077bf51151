"""QAMFace: squares of angles in place of cosines (Zhao et al., ICIP 2022)."""

import math

from torch import Tensor

from losslab.geometry import angle

from .arcface import angle_knob
from .base import Angles, Card, SoftmaxLoss, scale_knob


class QAMFace(SoftmaxLoss):
    """s·(2π − (θ_y + m))² against s·(2π − θ_j)²."""

    card = Card(
        title="QAMFace",
        year=2022,
        paper="Zhao et al., ICIP 2022",
        family="Margin on the own class",
        formula=r"s(2\pi-(\theta_y+m))^2",
        geometry="ArcFace's strip exactly; but the pull never dies away near the prototype nor turns back far from it.",
        use="To see what the cosine itself does to training.",
        hazard="Logits are large and positive, up to 39.5 s.",
        source="s = 6, m = 0.5 on MS1MV2 from the authors' code.",
        toy={"scale": 2.0, "margin": 0.3},
    )
    scale: float = scale_knob(6)
    margin: float = angle_knob()

    def positive(self, a: Angles) -> Tensor:
        return (2 * math.pi - angle(a.target) - self.margin) ** 2

    def negative(self, a: Angles) -> Tensor:
        return (2 * math.pi - angle(a.cosine)) ** 2

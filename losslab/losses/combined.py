"""Combined margin: the three margins of SphereFace, ArcFace and CosFace in one (Deng et al., CVPR 2019, Eq. 4)."""

from torch import Tensor

from losslab.catalogue import knob

from .base import Angles, Card, SoftmaxLoss, gradient_knob, scale_knob
from .margins import beyond_knob, multiply_angle


class CombinedMargin(SoftmaxLoss):
    """s·(cos(m₁θ_y + m₂) − m₃): one each of the margins that multiply, add to the angle, and lower the cosine."""

    card = Card(
        title="Combined margin",
        year=2019,
        paper="arXiv:1801.07698, Eq. 4",
        family="Margin on the own class",
        formula=r"s(\cos(m_1\theta_y+m_2)-m_3)",
        geometry="A mixture of the three strips: m₁ widens with the angle between prototypes, m₂ is constant in "
        "degrees, m₃ in cosine.",
        use="To move step by step from one margin to another.",
        hazard="With m₁ above 1 the angle passes 180° early, at (180° − m₂)/m₁.",
        source="The paper's CM1: m₁ = 1, m₂ = 0.3, m₃ = 0.2; its CM2 is 0.9, 0.4, 0.15; s = 64.",
        toy={"scale": 16.0, "angular": 0.2, "cosine": 0.1},
    )
    scale: float = scale_knob()
    times: float = knob(1.0, 0.5, 4, step=0.05, symbol="m₁", help="What the angle is multiplied by.")
    angular: float = knob(0.3, 0, 1.5, step=0.01, symbol="m₂", unit="rad", help="What is added to the angle.")
    cosine: float = knob(0.2, 0, 1, step=0.01, symbol="m₃", help="What is taken from the cosine.")
    gradient: str = gradient_knob()
    beyond: str = beyond_knob()

    def positive(self, a: Angles) -> Tensor:
        return multiply_angle(a.target, self.times, self.beyond, plus=self.angular) - self.cosine

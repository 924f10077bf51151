"""ArcFace: additive angular margin (Deng et al., CVPR 2019)."""

from torch import Tensor

from losslab.catalogue import knob

from .base import Angles, Card, SoftmaxLoss, add_angle, beyond_knob, gradient_knob, scale_knob


class ArcFace(SoftmaxLoss):
    """s·cos(θ_y + m): the own prototype must be nearer by an angle m."""

    card = Card(
        title="ArcFace",
        year=2019,
        paper="arXiv:1801.07698",
        formula=r"s\cos(\theta_y+m)",
        geometry="The strip between two classes has the same width everywhere, measured along the sphere.",
    )
    scale: float = scale_knob()
    margin: float = knob(
        0.5,
        0,
        1.5,
        step=0.01,
        symbol="m",
        unit="rad",
        help="Angle by which the own prototype must be nearer.",
    )
    gradient: str = gradient_knob()
    beyond: str = beyond_knob()

    def positive(self, a: Angles) -> Tensor:
        return add_angle(a.target, self.margin, self.beyond)

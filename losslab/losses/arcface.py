"""ArcFace: additive angular margin (Deng et al., CVPR 2019)."""

from typing import Any

from torch import Tensor

from losslab.catalogue import knob

from .base import Angles, Card, SoftmaxLoss, gradient_knob, scale_knob
from .margins import add_angle, beyond_knob


def angle_knob(default: float = 0.5) -> Any:
    return knob(
        default, 0, 1.5, step=0.01, symbol="m", unit="rad", help="Angle by which the own prototype must be nearer."
    )


class ArcFace(SoftmaxLoss):
    """s·cos(θ_y + m): the own prototype must be nearer by an angle m."""

    card = Card(
        title="ArcFace",
        year=2019,
        paper="arXiv:1801.07698",
        family="Margin on the own class",
        formula=r"s\cos(\theta_y+m)",
        geometry="The strip between two classes has the same width everywhere, measured along the sphere.",
        use="As the standard to compare with: most later losses change one thing about it.",
        hazard="Codes disagree on its slope and on angles past 180° − m: see `gradient` and `beyond`.",
        source="s = 64 and m = 0.5 from the paper.",
        toy={"scale": 16.0, "margin": 0.3},
    )
    scale: float = scale_knob()
    margin: float = angle_knob()
    gradient: str = gradient_knob()
    beyond: str = beyond_knob()

    def positive(self, a: Angles) -> Tensor:
        return add_angle(a.target, self.margin, self.beyond)

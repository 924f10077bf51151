"""SphereFace-R: the multiplicative margin at a fixed scale (Liu et al., TPAMI 2022)."""

from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import angle

from .base import Angles, Card, SoftmaxLoss, gradient_knob, scale_knob, straight
from .margins import beyond_knob, multiply_angle


class SphereFaceR(SoftmaxLoss):
    """v1: s·cos(min(m θ_y, π)) for the own class. v2: s·cos(θ_j / m) for the others instead."""

    card = Card(
        title="SphereFace-R",
        year=2022,
        paper="arXiv:2109.05565",
        family="Margin on the own class",
        formula=r"s\cos(\min(m\theta_y,\pi))\quad\text{or}\quad s\cos(\theta_j/m)",
        geometry="The own prototype must be m times nearer. In v2 the others look m times nearer than they are, "
        "which never passes 180°.",
        use="Instead of SphereFace: no easing, no lengths.",
        hazard="In v1 samples farther than 180°/m from their prototype get no pull at all.",
        source="s = 30, m = 1.5, as the authors' code constructs v1; v2 with s = 60, m = 1.4 on VGGFace2.",
        toy={"scale": 16.0, "margin": 1.3},
    )
    scale: float = scale_knob(30)
    margin: float = knob(1.5, 1, 4, step=0.05, symbol="m", help="How many times nearer the own prototype must be.")
    version: str = knob("v1", choices=("v1", "v2"), help="v1: the margin on the own class. v2: on the others.")
    gradient: str = gradient_knob()
    beyond: str = beyond_knob("clip")

    def positive(self, a: Angles) -> Tensor:
        return multiply_angle(a.target, self.margin, self.beyond) if self.version == "v1" else a.target

    def negative(self, a: Angles) -> Tensor:
        if self.version == "v1":
            return a.cosine
        return straight((angle(a.cosine) / self.margin).cos(), a.cosine, self.gradient)

"""X2-Softmax: a parabola of the angle in place of the cosine (Xu et al., 2023)."""

from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import angle

from .base import Angles, Card, SoftmaxLoss, gradient_knob, scale_knob


class X2Softmax(SoftmaxLoss):
    """s·(a(θ_y − h)² + k), a < 0."""

    card = Card(
        title="X2-Softmax",
        year=2023,
        paper="arXiv:2312.05281",
        family="Margin on the own class",
        formula=r"s(a(\theta_y-h)^2+k)",
        geometry="The strip between two classes grows with the angle between their prototypes.",
        use="Where near classes should get a small margin and far ones a large one.",
        hazard="The parabola falls ever more steeply: samples far from their prototype weigh most.",
        source="a = −0.9, h = 0, k = 0.65, s = 64 from the example in the authors' code.",
        toy={"scale": 16.0, "bend": -0.6, "top": 0.9},
    )
    scale: float = scale_knob()
    bend: float = knob(-0.9, -3, -0.05, step=0.05, symbol="a", help="How fast the parabola falls.")
    vertex: float = knob(0.0, -1, 1, step=0.01, symbol="h", unit="rad", help="Angle of its top.")
    top: float = knob(0.65, -1, 1, step=0.01, symbol="k", help="Its height there.")
    gradient: str = gradient_knob()

    def positive(self, a: Angles) -> Tensor:
        return self.bend * (angle(a.target) - self.vertex) ** 2 + self.top

"""Li-ArcFace: the angle itself in place of its cosine (Li et al., AirFace, ICCV Workshops 2019)."""

import math

from torch import Tensor

from losslab.geometry import angle

from .arcface import angle_knob
from .base import Angles, Card, SoftmaxLoss, scale_knob


class LiArcFace(SoftmaxLoss):
    """s·(π − 2(θ_y + m))/π against s·(π − 2θ_j)/π."""

    card = Card(
        title="Li-ArcFace",
        year=2019,
        paper="arXiv:1907.12256",
        family="Margin on the own class",
        formula=r"s\,\frac{\pi-2(\theta_y+m)}\pi",
        geometry="ArcFace's strip exactly; the pull is the same at every angle.",
        use="With small networks and short embeddings, which it was made for.",
        hazard="The slope jumps at the prototype itself: samples there keep moving.",
        source="m = 0.45 from a port of it; s = 64 as usual.",
        toy={"scale": 16.0, "margin": 0.3},
    )
    scale: float = scale_knob()
    margin: float = angle_knob(0.45)

    def positive(self, a: Angles) -> Tensor:
        return 1 - 2 * (angle(a.target) + self.margin) / math.pi

    def negative(self, a: Angles) -> Tensor:
        return 1 - 2 * angle(a.cosine) / math.pi

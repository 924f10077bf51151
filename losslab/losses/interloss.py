"""Inter-Loss: prototypes turn away from all others (Deng et al., CVPR 2019, Eq. 6)."""

import math

from torch import Tensor

from losslab.geometry import angle

from .base import Angles, Card, Loss
from .normface import NormFace
from .terms import Term, base_knob, weight_knob


class InterLoss(Term):
    """base − λ/(π(C − 1))·Σ_{j≠y} φ_yj, with φ_yj the angle between the prototypes of the own class and class j."""

    card = Card(
        title="Inter-Loss",
        year=2019,
        paper="arXiv:1801.07698, Eq. 6",
        family="Terms added to any loss",
        formula=r"L_{\text{base}}-\frac{\lambda}{\pi(C-1)}\sum_{j\ne y}\varphi_{yj}",
        geometry="Prototypes turn away from one another, near and far ones with equal force.",
        use="To see that pushing prototypes apart adds little where a margin does it already.",
        hazard="The paper itself found it of no use beside ArcFace.",
        source="λ = 1 and the plain base from the paper's comparison.",
        toy={"base_scale": 16.0, "weight": 0.2},
    )
    base: Loss = base_knob(NormFace())
    weight: float = weight_knob(1)

    def term(self, a: Angles) -> Tensor:
        return -a.sum(lambda t: angle(t.between())) / (math.pi * max(a.classes - 1, 1))

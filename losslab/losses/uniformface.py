"""UniformFace: prototypes repel one another like charges (Duan et al., CVPR 2019)."""

import torch
from torch import Tensor

from .base import Angles, Card, Loss
from .sphereface import SphereFace
from .terms import Term, base_knob, weight_knob


class UniformFace(Term):
    """base + λ/(C − 1)·Σ_{j≠y} 1/(‖v_y − v_j‖ + 1) over unit prototypes v. Over one sample of each class the mean is
    the paper's, over all ordered pairs."""

    card = Card(
        title="UniformFace",
        year=2019,
        paper="Duan et al., CVPR 2019",
        family="Terms added to any loss",
        formula=r"L_{\text{base}}+\frac{\lambda}{C-1}\sum_{j\ne y}\frac1{\lVert v_y-v_j\rVert+1}",
        geometry="Prototypes spread evenly over the whole sphere, each pushed by all others.",
        use="Where some regions of the sphere stay empty.",
        hazard="With many classes the sum is nearly constant and its push small: raise the weight.",
        source="λ = 1 from a port of it; SphereFace is the paper's base.",
        toy={"base_margin": 2.0, "weight": 1.0},
    )
    base: Loss = base_knob(SphereFace())
    weight: float = weight_knob(1)

    def term(self, a: Angles) -> Tensor:
        return a.sum(self.potential) / max(a.classes - 1, 1)

    def potential(self, a: Angles) -> Tensor:
        """1/(‖v_y − v_j‖ + 1) for every class j, [b C]."""
        square = 2 - 2 * a.between()
        apart = square > 0
        distance = torch.where(apart, torch.where(apart, square, 1).sqrt(), 0)  # coinciding prototypes: no slope
        return 1 / (distance + 1)

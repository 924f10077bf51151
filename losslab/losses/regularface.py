"""RegularFace: prototypes keep away from their nearest neighbour (Zhao et al., CVPR 2019)."""

from torch import Tensor

from .base import Angles, Card, Loss
from .normface import NormFace
from .terms import Term, base_knob, weight_knob


class RegularFace(Term):
    """base + λ·max_{j≠y} cos φ_yj, with φ_yj the angle between the prototypes of the own class and class j. Over a
    batch each class counts as often as it appears; over one sample of each class it is the paper's mean."""

    card = Card(
        title="RegularFace",
        year=2019,
        paper="Zhao et al., CVPR 2019",
        family="Terms added to any loss",
        formula=r"L_{\text{base}}+\lambda\max_{j\ne y}\cos\varphi_{yj}",
        geometry="Prototypes spread over the sphere, each pushed from its nearest neighbour only.",
        use="Where classes crowd together in one part of the sphere.",
        hazard="It moves prototypes, not samples: the base must bring them along.",
        source="λ = 1; the paper's was not to be had.",
        toy={"base_scale": 16.0, "weight": 0.5},
    )
    base: Loss = base_knob(NormFace())
    weight: float = weight_knob(1)

    def term(self, a: Angles) -> Tensor:
        return a.amax(lambda t: t.between()) if a.classes > 1 else 0 * a.target

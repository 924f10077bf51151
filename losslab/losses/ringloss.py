"""Ring loss: embeddings of one length (Zheng et al., CVPR 2018)."""

import torch
from torch import Tensor, nn

from .base import Angles, Card, Loss
from .softmax import Softmax
from .terms import Term, base_knob, weight_knob


class RingLoss(Term):
    """base + λ·½(‖x‖ − R)², with R learned from the mean length of the first batch."""

    card = Card(
        title="Ring loss",
        year=2018,
        paper="arXiv:1803.00130",
        family="Terms added to any loss",
        formula=r"L_{\text{base}}+\tfrac\lambda2(\lVert x\rVert-R)^2",
        geometry="Embeddings come to lie on a sphere of radius R by themselves instead of being put there.",
        use="To normalise softly, with a base that does not.",
        hazard="R itself is learned: alone, nothing keeps it from drifting.",
        source="λ = 0.01 from a port of it.",
        toy={"weight": 0.1},
    )
    weighs_norm = True
    base: Loss = base_knob(Softmax())
    weight: float = weight_knob(0.01, high=1)

    def begin(self, dim: int, classes: int, draw: torch.Generator | None) -> dict[str, Tensor]:
        return {"radius": nn.Parameter(torch.tensor(1.0)), "begun": torch.tensor(False)}

    def observe(self, a: Angles) -> None:
        super().observe(a)
        radius, begun = a.memory.radius, a.memory.begun
        radius.copy_(torch.where(begun, radius, a.mean(a.norm, radius)))
        a.memory.begun = begun | a.counted.any()

    def term(self, a: Angles) -> Tensor:
        return (a.norm - a.memory.radius).square() / 2

"""Center loss: a pull towards the centre of one's class (Wen et al., ECCV 2016)."""

import torch
from torch import Tensor

from losslab.catalogue import knob

from .base import Angles, Card, Loss
from .softmax import Softmax
from .terms import Term, base_knob, weight_knob


class CenterLoss(Term):
    """base + λ·½‖x − c_y‖². After each step centres move: c_j ← c_j − α Σ_{y=j}(c_j − x)/(1 + n_j)."""

    card = Card(
        title="Center loss",
        year=2016,
        paper="Wen et al., ECCV 2016",
        family="Terms added to any loss",
        formula=r"L_{\text{base}}+\tfrac\lambda2\lVert x-c_y\rVert^2",
        geometry="Softmax's petals shrink to round heaps around their centres; it says nothing of the room between.",
        use="To see what pulling together does without pushing apart.",
        hazard="Alone it lets everything collapse to one point, and it uses lengths, which a sphere has not.",
        source="λ = 0.003 and α = 0.5 from the paper (the authors' code has 0.008 on faces, 0.01 on MNIST).",
        toy={"weight": 0.05},
    )
    weighs_norm = True
    base: Loss = base_knob(Softmax())
    weight: float = weight_knob(0.003, high=1)
    follow: float = knob(0.5, 0, 1, step=0.01, symbol="α", help="How fast centres follow.")

    def begin(self, dim: int, classes: int, draw: torch.Generator | None) -> dict[str, Tensor]:
        return {"centre": torch.zeros(classes, dim)}

    def term(self, a: Angles) -> Tensor:
        return (a.embedding - a.at_own(a.memory.centre)).square().sum(1) / 2

    def remember(self, a: Angles) -> None:
        super().remember(a)
        a.memory.centre = moved(a.memory.centre, a, self.follow)


def moved(centre: Tensor, a: Angles, rate: float) -> Tensor:
    """New centres [C d] after a batch (the gradient may still need the old); a class without samples stays."""
    counted = a.counted.to(a.norm.dtype)
    away = (a.at_own(centre) - a.embedding.detach()) * counted[:, None]
    number = a.at_own(a.by_class(counted))
    return a.add(centre.clone(), (-rate * away / (1 + number)[:, None]).to(centre.dtype))


def squares(x: Tensor, centre: Tensor) -> Tensor:
    """Squared distances [b C] from x [b d] to centres [C d]."""
    product = x @ centre.T
    return (x.square().sum(1)[:, None] - 2 * product + centre.square().sum(1)).clamp(min=0)

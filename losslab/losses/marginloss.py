"""Margin Loss, a reconstruction: a hinge on distances to class centres (Gao et al., IEEE SPL 2018)."""

import torch
from torch import Tensor, nn

from losslab.catalogue import knob

from .base import Angles, Card, Loss
from .centerloss import moved, squares
from .softmax import Softmax
from .terms import Term, base_knob, inner, weight_knob


class MarginLoss(Term):
    """A reconstruction: the paper's formula was not to be had. share·base + λ·M, with D_j = ‖x − c_j‖² to centres c_j:

        sum       ½ Σ_{j≠y} [m + D_y − D_j]₊
        hardest   [m + D_y − min_{j≠y} D_j]₊
        soft      log(1 + Σ_{j≠y} e^{m + D_y − D_j})
        distance  as sum, with distances that are not squared

    With `relative`, m counts in mean squared distances between centres. Centres are learned, or follow their classes
    as in center loss.
    """

    card = Card(
        title="Margin Loss (reconstruction)",
        year=2018,
        paper="IEEE Signal Processing Letters 25(2):308",
        family="Terms added to any loss",
        formula=r"\sigma L_{\text{base}}+\tfrac\lambda2\sum_{j\ne y}"
        r"\big[m+\lVert x-c_y\rVert^2-\lVert x-c_j\rVert^2\big]_+",
        geometry="In the plane, not on the sphere: the own centre must be nearer than every other by a margin, and "
        "only samples that fail this are moved.",
        use="To see a margin between Euclidean distances: in two dimensions, without normalising.",
        hazard="Centres that begin equal do not part by themselves, and lengths above 10¹⁹ overflow when squared.",
        source="All knobs are ours: none was to be had.",
        toy={"weight": 0.1, "margin": 0.3},
        reconstruction=True,
    )
    weighs_norm = True
    holds_still = True
    base: Loss = base_knob(Softmax())
    weight: float = weight_knob(0.1)
    share: float = knob(1.0, 0, 1, step=0.01, symbol="σ", help="Weight of the base; 0 leaves the hinge alone.")
    margin: float = knob(0.3, 0, 10, step=0.05, symbol="m", help="By how much the own centre must be nearer.")
    relative: bool = knob(True, help="Count the margin in mean squared distances between centres.")
    variant: str = knob("sum", choices=("sum", "hardest", "soft", "distance"), help="How the other classes are joined.")
    centres: str = knob(
        "learned", choices=("learned", "moving"), help="How the centres come to their places.", fixed=True
    )
    follow: float = knob(0.5, 0, 1, step=0.01, symbol="α", help="How fast moving centres follow.")

    def begin(self, dim: int, classes: int, draw: torch.Generator | None) -> dict[str, Tensor]:
        first = torch.randn(classes, dim, generator=draw)
        return {"centre": nn.Parameter(first) if self.centres == "learned" else first}

    def __call__(self, a: Angles) -> Tensor:
        return self.share * self.base(inner(a)) + self.weight * self.term(a)

    def term(self, a: Angles) -> Tensor:
        margin = self.margin
        if self.relative:
            margin = margin * spacing(a, squared=self.variant != "distance")
        own = (a.embedding - a.at_own(a.memory.centre)).square().sum(1)
        reach = margin + self.distance(own)
        if self.variant == "hardest":
            return a.amax(self.short, reach).clamp(min=0)
        if self.variant == "soft":
            return nn.functional.softplus(a.logsumexp(self.short, reach), threshold=40)
        return a.sum(lambda t, reach: self.short(t, reach).clamp(min=0), reach) / 2

    def short(self, a: Angles, reach: Tensor) -> Tensor:
        """By how much each centre is nearer than `reach` [b], m + D_y: [b C]."""
        return reach[:, None] - self.distance(squares(a.embedding, a.memory.centre.to(a.embedding.dtype)))

    def distance(self, square: Tensor) -> Tensor:
        """D from squared distances."""
        if self.variant != "distance":
            return square
        return torch.where(square > 0, square.clamp(min=1e-12).sqrt(), 0)

    def remember(self, a: Angles) -> None:
        super().remember(a)
        if self.centres == "moving":
            a.memory.centre = moved(a.memory.centre, a, self.follow)


def spacing(a: Angles, squared: bool) -> Tensor:
    """Mean squared distance between the centres of different classes, or its root; no gradient."""
    centre = a.memory.centre.detach().to(a.embedding.dtype)
    away = centre - a.total(centre) / a.classes
    mean = 2 * a.total(away.square().sum(1)) / max(a.classes - 1, 1)
    return mean if squared else mean.sqrt()

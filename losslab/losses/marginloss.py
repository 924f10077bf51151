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
        centre = a.memory.centre.to(a.embedding.dtype)
        distance = squares(a.embedding, centre)
        if self.variant == "distance":
            distance = torch.where(distance > 0, distance.clamp(min=1e-12).sqrt(), 0)
        margin = self.margin
        if self.relative:
            margin = margin * spacing(centre.detach(), squared=self.variant != "distance")
        own = distance.gather(1, a.label[:, None])
        short = margin + own - distance
        if self.variant == "hardest":
            return a.others(short).amax(1).clamp(min=0)
        if self.variant == "soft":
            return nn.functional.softplus(a.others(short).logsumexp(1), threshold=40)
        return short.clamp(min=0).masked_fill(a.own, 0).sum(1) / 2

    def remember(self, a: Angles) -> None:
        super().remember(a)
        if self.centres == "moving":
            a.memory.centre = moved(a.memory.centre, a, self.follow)


def spacing(centre: Tensor, squared: bool) -> Tensor:
    """Mean squared distance between different centres [C d], or its root."""
    count = max(len(centre), 2)
    away = centre - centre.mean(0)
    mean = 2 * away.square().sum() / (count - 1)
    return mean if squared else mean.sqrt()

"""NormFace: softmax on the sphere (Wang et al., ACM MM 2017)."""

import torch
from torch import Tensor, nn

from losslab.catalogue import knob

from .base import Angles, Card, SoftmaxLoss, scale_knob


class NormFace(SoftmaxLoss):
    """s·cos θ_j: lengths are divided out, only angles are left; s is fixed, or learned from there (at least 0.01)."""

    card = Card(
        title="NormFace",
        year=2017,
        paper="arXiv:1704.06369",
        family="No margin",
        formula=r"s\cos\theta_y",
        geometry="Everything lives on the sphere; two classes meet at the bisector of their prototypes and "
        "nothing keeps samples away from it.",
        use="As the baseline of every margin on the sphere.",
        hazard="With a scale too small for the number of classes the loss stops at a floor far above zero: s = 1 and "
        "10 572 classes end at 8.27.",
        source="s = 64, as codes of margin losses have it; the authors learn s from 10.",
        toy={"scale": 16.0},
    )
    scale: float = scale_knob()
    learned: bool = knob(
        False, help="Let training find the scale, beginning at s (turning s then does nothing).", fixed=True
    )

    def begin(self, dim: int, classes: int, draw: torch.Generator | None) -> dict[str, Tensor]:
        return {"scale": nn.Parameter(torch.tensor(float(self.scale)))} if self.learned else {}

    def radius(self, a: Angles) -> Tensor:
        scale = a.memory.scale.clamp(min=0.01) if self.learned else self.scale
        return scale * torch.ones_like(a.norm)

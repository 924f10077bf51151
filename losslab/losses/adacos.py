"""AdaCos: the scale that fits the moment, and no margin (Zhang et al., CVPR 2019)."""

import math

import torch
from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import angle

from .base import Angles, Card, SoftmaxLoss


class AdaCos(SoftmaxLoss):
    """s·cos θ_j with s ← log(mean_i Σ_{j≠y} e^{s cos θ_ij}) / cos(min(π/4, median θ_y)), from s₀ = √2 log(C − 1)."""

    card = Card(
        title="AdaCos",
        year=2019,
        paper="arXiv:1905.00292",
        family="No margin",
        formula=r"s\cos\theta_y,\quad s=\log\bar B\,/\cos(\min(\tfrac\pi4,\tilde\theta_y))",
        geometry="No strip: only the sharpness changes, so that the median sample stays where the softmax is steepest.",
        use="To have nothing to choose: no scale, no margin.",
        hazard="Where other cosines pass 0.71, as in few dimensions, s grows without end: hence the limit.",
        source="The first scale is the paper's √2 log(C − 1); the limit is ours.",
        toy={"limit": 16.0},
    )
    limit: float = knob(128.0, 1, 1024, step=1, symbol="s₊", help="Largest scale that it may find.")

    def begin(self, dim: int, classes: int, draw: torch.Generator | None) -> dict[str, Tensor]:
        return {"scale": torch.tensor(math.sqrt(2) * math.log(max(classes - 1, 2)))}

    def observe(self, a: Angles) -> None:
        scale = a.memory.scale
        others = a.logsumexp(lambda t: scale * t.cosine)
        # Ignored samples out of the mean (as e^−∞) and out of the median (as not-a-number).
        number = a.counted.sum()
        level = torch.logsumexp(torch.where(a.counted, others, torch.finfo(others.dtype).min), 0) - number.log()
        median = torch.where(a.counted, angle(a.target), math.nan).nanmedian()
        fitting = (level / median.clamp(max=math.pi / 4).cos()).clamp(min=1).clamp(max=self.limit)
        a.memory.scale = torch.where(number > 0, fitting.to(scale.dtype), scale)

    def radius(self, a: Angles) -> Tensor:
        return a.memory.scale.to(a.norm.dtype) * torch.ones_like(a.norm)

"""AdaFace: the margin follows the quality of the image, read from the length (Kim et al., CVPR 2022)."""

import torch
from torch import Tensor

from losslab.catalogue import knob

from .base import Angles, Card, SoftmaxLoss, gradient_knob, scale_knob
from .margins import add_angle, beyond_knob


class AdaFace(SoftmaxLoss):
    """s·(cos(θ_y − m ẑ) − (m + m ẑ)), with ẑ = h(‖x‖ − μ)/σ held within ±1 and kept out of the gradient; μ and σ are
    running averages of the batch's mean and deviation of ‖x‖ (itself held within [0.001, 100])."""

    card = Card(
        title="AdaFace",
        year=2022,
        paper="arXiv:2204.00964",
        family="Margins that adapt",
        formula=r"s\big(\cos(\theta_y-m\hat z)-(m+m\hat z)\big),\quad \hat z=h\,\frac{\lVert x\rVert-\mu}{\sigma}",
        geometry="Short embeddings get ArcFace's margin, long ones a cosine margin with a negative angle: hard images "
        "count where they can be read and not where they cannot.",
        use="With images of very different quality.",
        hazard="It needs batch statistics: with small batches the running averages must be slow.",
        source="m = 0.4, h = 0.333, s = 64, ρ = 0.01, from μ = 20, σ = 100: as in the authors' code.",
        toy={"scale": 16.0, "margin": 0.2, "follow": 0.1},
    )
    weighs_norm = True
    holds_still = True
    adapts = True
    scale: float = scale_knob()
    margin: float = knob(0.4, 0, 1, step=0.01, symbol="m", help="Size of both margins: angle (rad) and cosine.")
    spread: float = knob(0.333, 0, 2, step=0.001, symbol="h", help="How much of the range of lengths is told apart.")
    follow: float = knob(0.01, 0, 1, step=0.01, symbol="ρ", help="How fast μ and σ follow the batches.")
    gradient: str = gradient_knob()
    beyond: str = beyond_knob("clip")

    def begin(self, dim: int, classes: int, draw: torch.Generator | None) -> dict[str, Tensor]:
        return {"mean": torch.tensor(20.0), "deviation": torch.tensor(100.0)}

    def observe(self, a: Angles) -> None:
        norm, memory = a.norm.clamp(0.001, 100), a.memory
        mean, count = a.mean(norm, memory.mean), a.counted.sum()
        # The unbiased deviation; that of one sample does not exist and counts as 0.
        square = (norm - mean).square() * count / (count - 1).clamp(min=1)
        deviation = a.mean(square, memory.deviation.square()).sqrt()
        memory.mean = memory.mean + self.follow * (mean - memory.mean)
        memory.deviation = memory.deviation + self.follow * (deviation - memory.deviation)

    def quality(self, a: Angles) -> Tensor:
        """ẑ, [b]: −1 for short embeddings, 1 for long ones."""
        norm = a.norm.detach().clamp(0.001, 100)
        return (self.spread * (norm - a.memory.mean) / (a.memory.deviation + 1e-3)).clamp(-1, 1)

    def margins(self, a: Angles) -> tuple[Tensor, Tensor]:
        """What is added to the angle, −m ẑ, and what is taken from the cosine, m + m ẑ: [b] each."""
        shift = self.margin * self.quality(a)
        return -shift, self.margin + shift

    def positive(self, a: Angles) -> Tensor:
        to_angle, from_cosine = self.margins(a)
        return add_angle(a.target, to_angle, self.beyond) - from_cosine

"""ElasticFace: a fresh random margin for every sample (Boutros et al., CVPR Workshops 2022)."""

import torch
from torch import Tensor

from losslab.catalogue import knob

from .base import Angles, Card, SoftmaxLoss, add_angle, beyond_knob, gradient_knob, scale_knob


class ElasticFace(SoftmaxLoss):
    """s·cos(θ_y + e) or s·(cos θ_y − e), with e ~ Normal(m, σ²) drawn anew for each sample at each step.

    `sorted` is the paper's "+": the batch's margins are handed out so that the sample farthest from its
    prototype gets the largest. Usual values: arc 0.5 and 0.05 (sorted 0.0175), cos 0.35 and 0.05 (sorted 0.025).
    """

    card = Card(
        title="ElasticFace",
        year=2022,
        paper="arXiv:2109.09416",
        formula=r"s\cos(\theta_y+e),\quad e\sim\mathcal N(m,\sigma^2)",
        geometry="The margin's edge is a rubber band: it breathes with every draw, so no class is held to one "
        "fixed distance.",
    )
    scale: float = scale_knob()
    margin: float = knob(
        0.5, 0, 1.5, step=0.01, symbol="m", help="Mean of the margins: radians for arc, cosine for cos."
    )
    spread: float = knob(0.05, 0, 0.5, step=0.005, symbol="σ", help="Standard deviation of the margins.")
    variant: str = knob("arc", choices=("arc", "cos"), help="arc: added to the angle. cos: taken from the cosine.")
    sorted: bool = knob(False, help="Give the largest margin of the batch to the farthest sample.")
    gradient: str = gradient_knob()
    beyond: str = beyond_knob()

    def margins(self, a: Angles) -> Tensor:
        """One margin per sample, [b]."""
        mean = torch.full_like(a.target, self.margin)
        if a.draw is None or self.spread == 0:
            return mean
        noise = torch.randn(a.target.shape, generator=a.draw, device=a.draw.device, dtype=a.target.dtype)
        margins = mean + self.spread * noise.to(a.target.device)
        if not self.sorted:
            return margins
        nearest_first = a.target.detach().argsort(descending=True)
        return torch.empty_like(margins).scatter(0, nearest_first, margins.sort().values)

    def positive(self, a: Angles) -> Tensor:
        if self.variant == "cos":
            return a.target - self.margins(a)
        return add_angle(a.target, self.margins(a), self.beyond)

"""ElasticFace: a fresh random margin for every sample (Boutros et al., CVPR Workshops 2022)."""

import torch
from torch import Tensor

from losslab.catalogue import knob

from .base import Angles, Card, SoftmaxLoss, gradient_knob, scale_knob
from .margins import add_angle, beyond_knob


class ElasticFace(SoftmaxLoss):
    """s·cos(θ_y + e) or s·(cos θ_y − e), with e ~ Normal(m, σ²) drawn anew for each sample at each step.

    `sorted` is the paper's "+": the batch's margins are handed out so that the sample farthest from its prototype
    gets the largest. The released code hands them out by the inverse permutation instead, which pairs samples and
    margins as good as at random: `pairing="as_released"`.
    """

    card = Card(
        title="ElasticFace",
        year=2022,
        paper="arXiv:2109.09416",
        family="Margin on the own class",
        formula=r"s\cos(\theta_y+e),\quad e\sim\mathcal N(m,\sigma^2)",
        geometry="The margin's edge is a rubber band: it breathes with every draw, so no class is held to one "
        "fixed distance.",
        use="Where classes differ in how far they can be squeezed: no one margin suits them all.",
        hazard="Draws are not clamped: a wide spread gives negative margins now and then.",
        source="The paper's: arc m = 0.5, σ = 0.05 (sorted 0.0175); cos m = 0.35, σ = 0.05 (sorted 0.025 in the "
        "paper, 0.02 in its code); s = 64.",
        toy={"scale": 16.0, "margin": 0.3},
    )
    scale: float = scale_knob()
    margin: float = knob(
        0.5, 0, 1.5, step=0.01, symbol="m", help="Mean of the margins: radians for arc, cosine for cos."
    )
    spread: float = knob(0.05, 0, 0.5, step=0.005, symbol="σ", help="Standard deviation of the margins.")
    variant: str = knob("arc", choices=("arc", "cos"), help="arc: added to the angle. cos: taken from the cosine.")
    sorted: bool = knob(False, help="Give the largest margin of the batch to the farthest sample.")
    pairing: str = knob(
        "described",
        choices=("described", "as_released"),
        help="How sorted margins are handed out: as the paper describes it, or by the inverse permutation of its code.",
    )
    gradient: str = gradient_knob()
    beyond: str = beyond_knob()

    def margins(self, a: Angles) -> Tensor:
        """One margin per sample, [b]."""
        margins = self.margin + self.spread * a.normal()
        if not self.sorted:
            return margins
        last = torch.where(a.counted, 0, 10)  # in both orders: ignored samples take no margin from the others
        nearest_first = (a.target.detach() - last).argsort(descending=True)
        margins = (margins + last).sort().values
        if self.pairing == "as_released":
            return margins[nearest_first]
        return torch.empty_like(margins).scatter(0, nearest_first, margins)

    def positive(self, a: Angles) -> Tensor:
        if self.variant == "cos":
            return a.target - self.margins(a)
        return add_angle(a.target, self.margins(a), self.beyond)

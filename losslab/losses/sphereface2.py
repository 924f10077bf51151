"""SphereFace2: one yes-or-no question per class instead of a choice among all (Wen et al., ICLR 2022)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from losslab.catalogue import knob

from .base import Angles, Card, Loss


class SphereFace2(Loss):
    """(w/r)·(α·sp(−r(g(cos θ_y) − m) − b) + (1 − α)·Σ_{j≠y} sp(r(g(cos θ_j) + m) + b)), with sp(z) = log(1 + e^z),
    g(t) = 2((t + 1)/2)^q − 1, and one learned threshold b for all classes (the paper's variant C)."""

    card = Card(
        title="SphereFace2",
        year=2022,
        paper="arXiv:2108.01513",
        family="One threshold for all",
        formula=r"\alpha\,\mathrm{sp}(-r(g(\cos\theta_y)-m)-b)"
        r"+(1-\alpha)\sum_{j\ne y}\mathrm{sp}(r(g(\cos\theta_j)+m)+b)",
        geometry="Around every prototype the same cap: inside is own, outside is not, whatever the neighbours do.",
        use="Where verification with one threshold is what counts, and with noisy labels.",
        hazard="Without its own first threshold b everything becomes a no: there are C − 1 of them to each yes.",
        source="α = 0.7, r = 40, m = 0.4, q = 3, w = 50, as the authors' code constructs it; it takes the plain "
        "cosine's slope, this the derivative.",
        toy={"scale": 16.0, "margin": 0.2},
    )
    scale: float = knob(40.0, 1, 128, step=1, symbol="r", help="How sharply the threshold decides.")
    margin: float = knob(0.4, 0, 1, step=0.01, symbol="m", help="Distance of both sides from the threshold.")
    balance: float = knob(0.7, 0.05, 0.95, step=0.05, symbol="α", help="Share of the yes in the loss.")
    power: float = knob(3.0, 1, 8, step=0.5, symbol="q", help="How much g spreads the large cosines apart.")
    weight: float = knob(50.0, 1, 200, step=1, symbol="w", help="What the whole loss is multiplied by.")

    def begin(self, dim: int, classes: int, draw: torch.Generator | None) -> dict[str, Tensor]:
        """The threshold at which yes and no pull equally, were all cosines 0."""
        z = self.balance / ((1 - self.balance) * max(classes - 1, 1))
        own, other = (self.scale * (2 * 2**-self.power - 1 + side * self.margin) for side in (-1, 1))
        ratio = 1 - z + math.sqrt((1 - z) ** 2 + 4 * z * math.exp(own - other))
        return {"bias": nn.Parameter(torch.tensor(float(math.log(2 * z) - other - math.log(ratio))))}

    def spread(self, cosine: Tensor) -> Tensor:
        return 2 * ((cosine + 1) / 2).clamp(min=0) ** self.power - 1

    def positive(self, a: Angles) -> Tensor:
        return self.spread(a.target) - self.margin

    def negative(self, a: Angles) -> Tensor:
        return self.spread(a.cosine) + self.margin

    def __call__(self, a: Angles) -> Tensor:
        yes = F.softplus(-self.scale * self.positive(a) - a.memory.bias, threshold=40)
        return self.weight / self.scale * (self.balance * yes + (1 - self.balance) * a.sum(self.no))

    def no(self, a: Angles) -> Tensor:
        return F.softplus(self.scale * self.negative(a) + a.memory.bias, threshold=40)

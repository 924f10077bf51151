"""UniFace: unified threshold, one boundary between all own and all other cosines (Zhou et al., ICCV 2023)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from losslab.catalogue import knob

from .base import Angles, Card, Loss, scale_knob


class UniFace(Loss):
    """sp(b − s(cos θ_y − m)) + λ Σ_{j≠y} sp(s cos θ_j − b), with sp(z) = log(1 + e^z) of z held within ±s, and one
    learned threshold b for all classes, which begins at log(10 C)."""

    card = Card(
        title="UniFace",
        year=2023,
        paper="Zhou et al., ICCV 2023",
        family="One threshold for all",
        formula=r"\mathrm{sp}(b-s(\cos\theta_y-m))+\lambda\sum_{j\ne y}\mathrm{sp}(s\cos\theta_j-b)",
        geometry="Every class gets a cap of the same size, at the cosine b/s: one threshold parts all own from all "
        "other pairs.",
        use="Where one threshold must serve everybody, as in verification.",
        hazard="Beyond ±s the clamp takes the gradient away.",
        source="s = 64, m = 0.4, λ = 1 from the authors' code.",
        toy={"scale": 16.0, "margin": 0.2},
    )
    scale: float = scale_knob()
    margin: float = knob(0.4, 0, 1, step=0.01, symbol="m", help="By how much the own cosine must clear the threshold.")
    balance: float = knob(1.0, 0, 10, step=0.1, symbol="λ", help="Weight of the other classes.")

    def begin(self, dim: int, classes: int, draw: torch.Generator | None) -> dict[str, Tensor]:
        return {"bias": nn.Parameter(torch.tensor(math.log(10 * classes)))}

    def positive(self, a: Angles) -> Tensor:
        return a.target - self.margin

    def __call__(self, a: Angles) -> Tensor:
        yes = self.softplus(a.memory.bias - self.scale * self.positive(a))
        return yes + self.balance * a.sum(self.no)

    def no(self, a: Angles) -> Tensor:
        return self.softplus(self.scale * self.negative(a) - a.memory.bias)

    def softplus(self, z: Tensor) -> Tensor:
        return F.softplus(z.clamp(-self.scale, self.scale), threshold=40)

"""KappaFace: a margin for each class, from how concentrated and how large it is (Oinar et al., 2022)."""

import math

import torch
from torch import Tensor

from losslab.catalogue import knob

from .arcface import angle_knob
from .base import Angles, Card, Memory, SoftmaxLoss, gradient_knob, scale_knob
from .margins import add_angle, beyond_knob


class KappaFace(SoftmaxLoss):
    """s·cos(θ_y + mψ_y), where ψ is worked out at the end of each epoch (`head.end_epoch()`) and is 1 in the first:

        κ_c = r(d − r²)/(1 − r²)     concentration, from the length r of the mean of the class's unit embeddings
        w_κ = 1 − sigmoid(T·κ̃_c)     κ̃: standardised over classes;  large where a class is scattered
        w_n = (1 + cos(πn_c/K))/2    n_c: its samples, K: the most of any class;  large where a class is small
        ψ_c = γ·w_κ + (1 − γ)·w_n

    `mix="code"` is what the authors released: K is 1.05 times the largest count, the deviation is unbiased. With
    "paper", as it is written there, K is the largest count, the deviation is not, and γ weighs w_n instead.

    The paper averages every image's embedding over epochs (z̄ ← momentum·z̄ + (1 − momentum)·z) and then sums them by
    class. The sum of averages is the average of sums, so [C d] numbers are kept and not one vector per image.
    """

    card = Card(
        title="KappaFace",
        year=2022,
        paper="arXiv:2201.07394",
        family="Margins that adapt",
        formula=r"s\cos(\theta_y+m\psi_y),\quad \psi_c=\gamma w_\kappa(c)+(1-\gamma)w_n(c)",
        geometry="Scattered and small classes get wide empty strips, tight and large ones narrow ones.",
        use="With long-tailed data: few images of many people.",
        hazard="It needs to be told of epochs: without `head.end_epoch()` all margins stay m.",
        source="m = 0.8, T = 0.4, γ = 0.7, s = 64, from the authors' shipped configuration, which only makes sense "
        "with their code's mix.",
        toy={"scale": 16.0, "margin": 0.5},
    )
    adapts = True
    scale: float = scale_knob()
    margin: float = angle_knob(0.8)
    temperature: float = knob(0.4, 0, 5, step=0.05, symbol="T", help="How strongly concentrations tell apart.")
    balance: float = knob(0.7, 0, 1, step=0.05, symbol="γ", help="Share of one weight in ψ; the rest is the other's.")
    momentum: float = knob(0.0, 0, 0.99, step=0.01, symbol="β", help="How much of earlier epochs a class remembers.")
    mix: str = knob("code", choices=("code", "paper"), help="Whose reading of γ, K and the deviation.")
    gradient: str = gradient_knob()
    beyond: str = beyond_knob()

    def begin(self, dim: int, classes: int, draw: torch.Generator | None) -> dict[str, Tensor]:
        return {"psi": torch.ones(classes), "sum": torch.zeros(classes, dim), "count": torch.zeros(classes)}

    def margins(self, a: Angles) -> Tensor:
        """One margin per sample, [b], the same for a class."""
        return self.margin * a.at_own(a.memory.psi).to(a.target.dtype)

    def positive(self, a: Angles) -> Tensor:
        return add_angle(a.target, self.margins(a), self.beyond)

    def remember(self, a: Angles) -> None:
        kept = a.memory
        a.add(kept.sum, (a.direction * a.counted[:, None]).to(kept.sum.dtype))
        a.add(kept.count, a.counted.to(kept.count.dtype))

    def end_epoch(self, memory: Memory) -> None:
        length = torch.linalg.vector_norm(memory.sum, dim=1)
        r, count = length / memory.count.clamp(min=1e-6), memory.count
        fresh = self.calibrate(memory.everyone(r), memory.everyone(count), memory.sum.shape[1])
        memory.psi = torch.where(count > 0, memory.mine(fresh), memory.psi)
        memory.sum *= self.momentum
        memory.count *= self.momentum

    def calibrate(self, r: Tensor, count: Tensor, dim: int) -> Tensor:
        """ψ [C] from mean resultant lengths r [C] and class sizes [C], in d dimensions."""
        r, seen = r.clamp(0, 1 - 1e-6), count > 0
        kappa = concentration(r, dim)
        number = seen.sum().clamp(min=1)
        away = torch.where(seen, kappa - torch.where(seen, kappa, 0).sum() / number, 0)
        divisor = number - 1 if self.mix == "code" else number
        deviation = (away.square().sum() / divisor.clamp(min=1)).sqrt()
        # Equal concentrations differ by rounding only: there is nothing to tell apart.
        equal = deviation <= 1e-6 * kappa.amax()
        standard = torch.where(equal, 0, away / torch.where(equal, 1, deviation))
        by_kappa = 1 - torch.sigmoid(self.temperature * standard)
        most = count.amax().clamp(min=1e-6) * (1.05 if self.mix == "code" else 1)
        by_count = (1 + (math.pi * count / most).cos()) / 2
        share = self.balance if self.mix == "code" else 1 - self.balance
        return share * by_kappa + (1 - share) * by_count


def concentration(r: Tensor, dim: int) -> Tensor:
    """κ of a von Mises–Fisher distribution in d dimensions from its mean resultant length r in [0, 1)."""
    return r * (dim - r**2) / (1 - r**2)

"""UniTSFace: UniFace's threshold between samples and remembered samples (Jia et al., NeurIPS 2023)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from losslab.catalogue import knob

from .base import Angles, Card, Loss, scale_knob
from .cosface import CosFace
from .terms import Term, base_knob, weight_knob


class UniTSFace(Term):
    """base + λ·(sp(b − s(t_y − m)) + Σ_{j≠y} sp(s t_j − b)), where t_j is the cosine to the embedding of class j that
    was seen last, and sp(z) = log(1 + e^z). The first epoch only fills the memory (`head.end_epoch()` ends it)."""

    card = Card(
        title="UniTSFace",
        year=2023,
        paper="arXiv:2311.02523",
        family="Terms added to any loss",
        formula=r"L_{\text{base}}+\lambda\big(\mathrm{sp}(b-s(t_y-m))"
        r"+\textstyle\sum_{j\ne y}\mathrm{sp}(s\,t_j-b)\big)",
        geometry="Besides its prototype, a sample must clear one threshold against real samples: its own class's and "
        "everybody else's.",
        use="To train for the sample-to-sample comparison that verification makes.",
        hazard="It remembers one embedding per class, as stale as the last time that class was seen.",
        source="s = 64, m = 0.1 and the base CosFace(margin=0.4) from the authors' code.",
        toy={"base_scale": 16.0, "base_margin": 0.2, "scale": 16.0, "weight": 0.2},
    )
    base: Loss = base_knob(CosFace(margin=0.4))
    weight: float = weight_knob(1)
    scale: float = scale_knob()
    margin: float = knob(0.1, 0, 1, step=0.01, symbol="m", help="By how much the own cosine must clear the threshold.")

    def begin(self, dim: int, classes: int, draw: torch.Generator | None) -> dict[str, Tensor]:
        return {
            "feature": torch.zeros(classes, dim),
            "seen": torch.zeros(classes, dtype=torch.bool),
            "begun": torch.tensor(False),  # is the first epoch over?
            "set": torch.tensor(False),  # has the threshold been set from data?
            "bias": nn.Parameter(torch.tensor(math.log(10 * classes))),
        }

    def remembered(self, a: Angles) -> Tensor:
        """s·t_j to the remembered embedding of every class, [b C]; far below zero where there is none."""
        logit = self.scale * (a.direction @ a.memory.feature.to(a.direction.dtype).T)
        return torch.where(a.memory.seen, logit, torch.finfo(logit.dtype).min / 2)

    def no(self, a: Angles) -> Tensor:
        return F.softplus(self.remembered(a) - a.memory.bias, threshold=40)

    def observe(self, a: Angles) -> None:
        super().observe(a)
        level = a.logsumexp(self.remembered)
        there = level > torch.finfo(level.dtype).min / 4
        compared = a.but(counted=a.counted & there)  # samples that have a level at all
        first = a.memory.begun & ~a.memory.set & compared.counted.any()
        a.memory.bias.copy_(torch.where(first, compared.mean(level, a.memory.bias), a.memory.bias))
        a.memory.set = a.memory.set | first

    def term(self, a: Angles) -> Tensor:
        own = self.scale * (a.direction * a.at_own(a.memory.feature)).sum(1)
        yes = F.softplus(a.memory.bias - (own - self.scale * self.margin), threshold=40) * a.at_own(a.memory.seen)
        return torch.where(a.memory.begun, yes + a.sum(self.no), 0)

    def remember(self, a: Angles) -> None:
        super().remember(a)
        last, feature = a.last(), a.memory.feature
        fresh = a.direction[last].detach().to(feature.dtype)
        a.memory.feature = torch.where((last >= 0)[:, None], fresh, feature)
        a.memory.seen = a.memory.seen | (last >= 0)

    def end_epoch(self, memory: nn.Module) -> None:
        super().end_epoch(memory)
        memory.begun = torch.ones_like(memory.begun)

"""UniTSFace: UniFace's threshold between samples and remembered samples (Jia et al., NeurIPS 2023)."""

import dataclasses
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

    def pieces(self, a: Angles) -> tuple[Tensor, Tensor, Tensor]:
        """s·t_y and s·t_j to the remembered embeddings, and which of the others there are."""
        logit = self.scale * (a.direction @ a.memory.feature.to(a.direction.dtype).T)
        own = logit.gather(1, a.label[:, None]).squeeze(1)
        return own, logit, a.memory.seen & ~a.own

    def observe(self, a: Angles) -> None:
        super().observe(a)
        _, logit, there = self.pieces(a)
        level = torch.logsumexp(torch.where(there, logit, torch.finfo(logit.dtype).min), 1)
        compared = dataclasses.replace(a, counted=a.counted & there.any(1))  # samples that have a level at all
        first = a.memory.begun & ~a.memory.set & compared.counted.any()
        a.memory.bias.copy_(torch.where(first, compared.mean(level, a.memory.bias), a.memory.bias))
        a.memory.set = a.memory.set | first

    def term(self, a: Angles) -> Tensor:
        own, logit, there = self.pieces(a)
        yes = F.softplus(a.memory.bias - (own - self.scale * self.margin), threshold=40) * a.memory.seen[a.label]
        no = F.softplus(logit - a.memory.bias, threshold=40).masked_fill(~there, 0).sum(1)
        return torch.where(a.memory.begun, yes + no, 0)

    def remember(self, a: Angles) -> None:
        super().remember(a)
        there = a.own & a.counted[:, None]
        # The last sample of a class in the batch: the same on every device, where plain indexing is not.
        last = torch.where(there, torch.arange(1, len(a.label) + 1, device=a.label.device)[:, None], 0).amax(0)
        fresh, feature = a.direction[last - 1].detach(), a.memory.feature
        a.memory.feature = torch.where((last > 0)[:, None], fresh.to(feature.dtype), feature)
        a.memory.seen = a.memory.seen | (last > 0)

    def end_epoch(self, memory: nn.Module) -> None:
        super().end_epoch(memory)
        memory.begun = torch.ones_like(memory.begun)

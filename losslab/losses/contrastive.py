"""Contrastive loss: pairs of one class together, others at least a margin apart (Hadsell et al., CVPR 2006)."""

import torch
from torch import Tensor

from losslab.catalogue import knob

from .base import Card
from .pairs import PairLoss, Pairs, mean_over


class Contrastive(PairLoss):
    """mean_p D_p² + mean_n [m − D_n]₊² over the pairs of an anchor, with D the distance between unit vectors; without
    squares with `squared=False`."""

    card = Card(
        title="Contrastive loss",
        year=2006,
        paper="Hadsell et al., CVPR 2006",
        family="Pairs and triplets",
        formula=r"\overline{D_p^2}+\overline{[m-D_n]_+^2}",
        geometry="Samples of a class fall onto one point; others are pushed until they are m away and then forgotten.",
        use="As the simplest loss of pairs.",
        hazard="Own pairs are pulled until they coincide, however little is gained by it.",
        source="m = 1 and unit vectors, as a widely used library has them.",
        toy={"margin": 0.8},
    )
    margin: float = knob(1.0, 0, 2, step=0.01, symbol="m", help="Distance from which others are left alone.")
    squared: bool = knob(True, help="Square what each pair costs.")

    def pairs(self, p: Pairs) -> Tensor:
        apart = p.square > 0
        distance = torch.where(apart, torch.where(apart, p.square, 1).sqrt(), 0)  # equal samples: no slope
        near, far = distance, (self.margin - distance).clamp(min=0)
        if self.squared:
            near, far = p.square, far.square()
        return mean_over(near, p.same) + mean_over(far, p.other)

"""Dyn-ArcFace: the margin grows with the distance to the nearest other class (Jiao et al., MTAP 2021)."""

import torch
from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import angle

from .base import Angles, Card, SoftmaxLoss, gradient_knob, scale_knob
from .margins import add_angle, beyond_knob


class DynArcFace(SoftmaxLoss):
    """s·cos(θ_y + m_y) with m_y = k₂[θ_n − k₁]₊ + k₃ + 0.03 k₃/(1 + (20|θ_n − k₁|)^1.1), where θ_n is the angle from
    the own prototype to the nearest other; m_y is kept out of the gradient."""

    card = Card(
        title="Dyn-ArcFace",
        year=2021,
        paper="Jiao et al., Multimedia Tools and Applications 2021",
        family="Margins that adapt",
        formula=r"s\cos(\theta_y+m_y),\quad m_y=k_2[\theta_n-k_1]_++k_3+\frac{0.03\,k_3}{1+(20|\theta_n-k_1|)^{1.1}}",
        geometry="A class with room around it must be tight, one in a crowd less so.",
        use="Where some classes lie much nearer to one another than others.",
        hazard="It compares every own prototype with all others, a second product as large as the first.",
        source="The formula as a later paper's code ports it; k₁, k₂, k₃ are ours, for the paper's were not to be had.",
        toy={"scale": 16.0, "knee": 0.8, "slope": 0.2, "margin": 0.25},
    )
    holds_still = True
    adapts = True
    scale: float = scale_knob()
    knee: float = knob(1.2, 0, 3, step=0.05, symbol="k₁", unit="rad", help="Distance from which the margin grows.")
    slope: float = knob(0.3, 0, 1, step=0.01, symbol="k₂", help="How fast it grows.")
    margin: float = knob(0.4, 0, 1.5, step=0.01, symbol="k₃", unit="rad", help="The margin of a class in a crowd.")
    gradient: str = gradient_knob()
    beyond: str = beyond_knob()

    @torch.no_grad()
    def margins(self, a: Angles) -> Tensor:
        """One margin per sample, [b], the same for a class."""
        room = angle(a.amax(lambda t: t.between()).clamp(-1, 1)) - self.knee
        bump = 0.03 * self.margin / (1 + (20 * room.abs()) ** 1.1)
        return self.slope * room.clamp(min=0) + self.margin + bump

    def positive(self, a: Angles) -> Tensor:
        return add_angle(a.target, self.margins(a), self.beyond)

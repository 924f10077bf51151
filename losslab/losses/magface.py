"""MagFace: the longer the embedding, the larger its margin (Meng et al., CVPR 2021)."""

from torch import Tensor

from losslab.catalogue import knob

from .base import Angles, Card, SoftmaxLoss, gradient_knob, scale_knob
from .margins import add_angle, beyond_knob


class MagFace(SoftmaxLoss):
    """s·cos(θ_y + m(a)), plus λ·(1/a + a/u²), where a is ‖x‖ held within [l, u] and m(a) rises from mₗ to mᵤ on a
    straight line. The second term rewards length, so that good images become long."""

    card = Card(
        title="MagFace",
        year=2021,
        paper="arXiv:2103.06627",
        family="Margins that adapt",
        formula=r"s\cos(\theta_y+m(a))+\lambda\big(\tfrac1a+\tfrac a{u^2}\big),\quad a=\lVert x\rVert",
        geometry="Long embeddings must come nearer to their prototype than short ones: length becomes a measure of "
        "quality.",
        use="Where the embedding should also say how good the image is.",
        hazard="Outside [l, u] length gets no gradient: look at first lengths before you train.",
        source="l = 10, u = 110, m from 0.45 to 0.8, λ = 35, s = 64 and the easy margin from the authors' code; λ must "
        "be at least s(mᵤ − mₗ)/(u − l)·u²l²/(u² − l²), 22.6 here.",
        toy={"scale": 16.0, "shortest": 1.0, "longest": 20.0, "low": 0.2, "high": 0.4, "weight": 1.0},
    )
    weighs_norm = True
    adapts = True
    scale: float = scale_knob()
    low: float = knob(0.45, 0, 1.5, step=0.01, symbol="mₗ", unit="rad", help="Margin of the shortest embeddings.")
    high: float = knob(0.8, 0, 1.5, step=0.01, symbol="mᵤ", unit="rad", help="Margin of the longest embeddings.")
    shortest: float = knob(10.0, 0.1, 200, step=0.1, symbol="l", help="Length that counts as shortest.")
    longest: float = knob(110.0, 0.2, 500, step=0.1, symbol="u", help="Length that counts as longest.")
    weight: float = knob(35.0, 0, 200, step=0.1, symbol="λ", help="How much length is rewarded.")
    gradient: str = gradient_knob()
    beyond: str = beyond_knob("easy")

    def __post_init__(self, like: str | None) -> None:
        super().__post_init__(like)
        if isinstance(self.shortest, float) and isinstance(self.longest, float) and self.shortest >= self.longest:
            raise ValueError(f"shortest is {self.shortest:g}, but it must be below longest, {self.longest:g}.")

    def size(self, a: Angles) -> Tensor:
        """[b] length of the embedding, held within its limits."""
        return a.norm.clamp(self.shortest, self.longest)

    def margins(self, a: Angles) -> Tensor:
        """One margin per sample, [b]."""
        share = (self.size(a) - self.shortest) / (self.longest - self.shortest)
        return self.low + (self.high - self.low) * share

    def positive(self, a: Angles) -> Tensor:
        return add_angle(a.target, self.margins(a), self.beyond)

    def __call__(self, a: Angles) -> Tensor:
        size = self.size(a)
        return super().__call__(a) + self.weight * (1 / size + size / self.longest**2)

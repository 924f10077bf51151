"""SphereFace: multiplicative angular margin, also called A-Softmax (Liu et al., CVPR 2017)."""

from torch import Tensor

from losslab.catalogue import knob

from .base import Angles, Card, SoftmaxLoss, gradient_knob
from .margins import beyond_knob, multiply_angle


class SphereFace(SoftmaxLoss):
    """‖x‖·(λ cos θ_y + ψ_m(θ_y)) / (1 + λ), with ψ_m(θ) = (−1)^k cos mθ − 2k for mθ in [kπ, (k+1)π].

    Prototypes are normalised, embeddings are not: their length is the scale. m may be any real number ≥ 1.
    `beyond` says what ψ is where mθ > π: `monotone` is the paper's fold. The authors lower λ while they train:
    `easing=Decay(1000, 5, rate=0.12, power=1)`.
    """

    card = Card(
        title="SphereFace",
        year=2017,
        paper="arXiv:1704.08063",
        family="Margin on the own class",
        formula=r"\lVert x\rVert\,\frac{\lambda\cos\theta_y+\psi_m(\theta_y)}{1+\lambda}",
        geometry="The own prototype must be m times nearer than any other, so the empty strip between two classes "
        "grows with the angle between them.",
        use="To see where angular margins began; later additive margins are easier to train.",
        hazard="Without easing (λ) it seldom starts to learn, and ψ falls to 1 − 2m, so hopeless samples weigh most.",
        source="m = 4 from the paper; λ = 5 is where the authors' schedule for CASIA-WebFace ends.",
        toy={"margin": 2.0, "easing": 5.0},
    )
    weighs_norm = True
    margin: float = knob(4.0, 1, 6, step=0.1, symbol="m", help="How many times nearer the own prototype must be.")
    easing: float = knob(
        5.0,
        0,
        1000,
        step=1,
        symbol="λ",
        help="Share of the plain cosine mixed in: 0 is the pure margin, harder to train.",
    )
    gradient: str = gradient_knob()
    beyond: str = beyond_knob()

    def radius(self, a: Angles) -> Tensor:
        return a.norm

    def positive(self, a: Angles) -> Tensor:
        psi = multiply_angle(a.target, self.margin, self.beyond)
        return (self.easing * a.target + psi) / (1 + self.easing)

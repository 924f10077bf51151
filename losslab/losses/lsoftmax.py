"""L-Softmax: the first multiplicative angular margin (Liu et al., ICML 2016)."""

from torch import Tensor

from losslab.catalogue import knob

from .base import Angles, Card, gradient_knob
from .margins import beyond_knob, multiply_angle
from .softmax import Softmax


class LSoftmax(Softmax):
    """‖w_y‖·‖x‖·(λ cos θ_y + ψ_m(θ_y)) / (1 + λ): SphereFace's margin without normalising anything.

    On MNIST the authors lower λ while they train: `easing=Decay(1000, 0, rate=2.5e-5, power=35)`.
    """

    card = Card(
        title="L-Softmax",
        year=2016,
        paper="arXiv:1612.02295",
        family="Margin on the own class",
        formula=r"\lVert w_y\rVert\,\lVert x\rVert\,\frac{\lambda\cos\theta_y+\psi_m(\theta_y)}{1+\lambda}",
        geometry="The petals of softmax become narrow: between two of equal length the own one must be m times nearer.",
        use="To see a margin where lengths still count.",
        hazard="It needs easing as SphereFace does, and a long prototype can buy its way out of the margin.",
        source="m from the authors' 1 to 4; λ fixed at 5, where their successor SphereFace stops.",
        toy={"margin": 2.0, "easing": 5.0},
    )
    margin: float = knob(2.0, 1, 6, step=0.1, symbol="m", help="How many times nearer the own prototype must be.")
    easing: float = knob(5.0, 0, 1000, step=1, symbol="λ", help="Share of the plain cosine mixed in.")
    gradient: str = gradient_knob()
    beyond: str = beyond_knob()

    def positive(self, a: Angles) -> Tensor:
        psi = multiply_angle(a.target, self.margin, self.beyond)
        return a.own_length * (self.easing * a.target + psi) / (1 + self.easing)

    def plain(self, a: Angles) -> Tensor:
        return super().positive(a)

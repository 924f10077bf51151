"""CosFace: additive cosine margin, also called AM-Softmax (Wang et al., CVPR 2018)."""

from torch import Tensor

from losslab.catalogue import knob

from .base import Angles, Card, SoftmaxLoss, scale_knob


class CosFace(SoftmaxLoss):
    """s·(cos θ_y − m): the own class must win by a margin m, measured in cosine."""

    card = Card(
        title="CosFace",
        year=2018,
        paper="arXiv:1801.09414",
        family="Margin on the own class",
        formula=r"s(\cos\theta_y-m)",
        geometry="The strip between two classes has a constant width in cosine: in degrees it is wide near the "
        "prototypes and narrow between them.",
        use="As the safest margin: there is no angle in it to go wrong.",
        hazard="On a circle m above 1 − cos(2π/C), 0.19 for ten classes, asks for more room than there is: "
        "the small 0.2 is for the sphere.",
        source="s = 64 and m = 0.35, as most codes have it (AM-Softmax on CASIA-WebFace: s = 30).",
        toy={"scale": 16.0, "margin": 0.2},
    )
    scale: float = scale_knob()
    margin: float = knob(0.35, 0, 1, step=0.01, symbol="m", help="By how much the own cosine must win.")

    def positive(self, a: Angles) -> Tensor:
        return a.target - self.margin

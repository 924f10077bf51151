"""NormFace: softmax on the sphere (Wang et al., ACM MM 2017)."""

from .base import Card, SoftmaxLoss, scale_knob


class NormFace(SoftmaxLoss):
    """s·cos θ_j: lengths are divided out, only angles are left; s is fixed here."""

    card = Card(
        title="NormFace",
        year=2017,
        paper="arXiv:1704.06369",
        formula=r"s\cos\theta_y",
        geometry="Everything lives on the sphere; two classes meet at the bisector of their prototypes and "
        "nothing keeps samples away from it.",
    )
    scale: float = scale_knob()

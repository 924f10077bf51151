"""Softmax: the plain classifier that every margin loss starts from."""

from torch import Tensor

from .base import Angles, Card, SoftmaxLoss


class Softmax(SoftmaxLoss):
    """‖x‖·‖w_j‖·cos θ_j: no bias, no margin, nothing normalised."""

    card = Card(
        title="Softmax",
        year=1990,
        paper="Bridle, Neurocomputing 1990",
        family="No margin",
        formula=r"\lVert x\rVert\,\lVert w_y\rVert\cos\theta_y",
        geometry="Length counts as much as direction, so classes become petals: long where the network is sure, "
        "and never asked to be narrow.",
        use="As the baseline, and where classes are fixed and only the winner matters.",
        hazard="A longer embedding lowers the loss as well as a better one, so cosines between samples mean little.",
        source="It has no knobs. The bias of the textbook form is left out: a class that wins by its bias has no "
        "direction to draw.",
    )
    weighs_length = True
    weighs_norm = True

    def radius(self, a: Angles) -> Tensor:
        return a.norm

    def positive(self, a: Angles) -> Tensor:
        return a.own_length * a.target

    def negative(self, a: Angles) -> Tensor:
        return a.length * a.cosine

    def logits(self, a: Angles) -> Tensor:
        return a.norm[:, None] * a.length * a.cosine

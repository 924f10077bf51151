"""P2SGrad: the cosine itself is the error (Zhang et al., CVPR 2019)."""

from torch import Tensor

from .base import Angles, Card, Loss


class P2SGrad(Loss):
    """½ Σ_j (cos θ_j − 1{j = y})², whose gradient is the paper's: each cosine's distance from where it should be."""

    card = Card(
        title="P2SGrad",
        year=2019,
        paper="arXiv:1905.02479",
        family="No margin",
        formula=r"\tfrac12\sum_j(\cos\theta_j-\mathbb 1_{j=y})^2",
        geometry="Own samples are pulled onto their prototype, all others to a right angle from it: nothing saturates.",
        use="To have no scale and no margin to choose.",
        hazard="With C above d + 1 not all prototypes can stand at right angles, and the many others outweigh the own.",
        source="It has no knobs. Summed over classes, as the paper's gradient is; some codes take the mean.",
    )

    def __call__(self, a: Angles) -> Tensor:
        return (a.sum(lambda t: t.cosine.square()) + (a.target - 1).square()) / 2

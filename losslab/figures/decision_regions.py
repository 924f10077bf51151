"""Decision regions of two classes, in the plane of angles and in that of cosines."""

import numpy as np

from losslab import losses as family
from losslab.catalogue import knob
from losslab.losses import Loss
from losslab.scene import Plate
from losslab.training import Run
from losslab.views.base import listed
from losslab.views.curves import length_knob
from losslab.views.regions import CosineRegions, Regions, strip

from .base import Figure
from .layout import by_loss, noted

PLANES = {"both": (Regions, CosineRegions), "angles": (Regions,), "cosines": (CosineRegions,)}


class DecisionRegions(Figure):
    """Which class may call a sample its own, by the sample's angles (and cosines) to two prototypes. SphereFace has its
    pure margin (λ = 0): only that is θ₂ > mθ₁."""

    card = "Which of two classes may claim a sample, by its two angles and by its two cosines; grey is the margin."
    after = "ArcFace, Figure 5; CosFace, Figure 2"
    losses: tuple[Loss, ...] = (
        family.starting("Softmax"),
        family.turned(family.starting("SphereFace"), {"easing": 0.0}),
        family.starting("CosFace"),
        family.starting("ArcFace"),
    )
    planes: str = knob("both", choices=tuple(PLANES), help="The plane of the two angles, that of the cosines, or both.")
    between: float = knob(
        90.0, 1, 180, step=1, symbol="φ", unit="°", help="Angle between the two prototypes, where it matters."
    )
    possible: bool = knob(False, help="Pale where no sample can be: θ₁ and θ₂ cannot differ by more than φ.")
    length: float = length_knob()

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        asked = {name: getattr(self, name) for name in ("between", "possible", "length")}
        each = [tuple(kind(losses=(loss,), **asked).scene() for kind in PLANES[self.planes]) for loss in self.losses]
        said = [
            f"{name} {asks(*strip(Regions(losses=(loss,), **asked).duel()))}"
            for name, loss in zip(self.names, self.losses, strict=True)
        ]
        return Plate(
            title="Decision regions",
            says=f"For class 1 to claim a sample, its angle and its cosine must lead: {'; '.join(said)}.",
            notes=noted(each, self.names),
            **by_loss(each, self.names),
        )


def asks(theta: np.ndarray, width: np.ndarray) -> str:
    """By how much the own angle and the own cosine must lead along the edge: angles θ₁ [m] in degrees, and by how much
    θ₂ exceeds them there."""
    if not len(theta):
        return "by more than there is"
    if width.max() < 0.05:
        return "not at all"
    lead = np.cos(np.radians(theta)) - np.cos(np.radians(theta + width))
    return listed([f"by {ranged(width, 1, '°')}", f"by {ranged(lead, 2, '')}"])


def ranged(value: np.ndarray, digits: int, unit: str) -> str:
    """ "17.2° everywhere", "0.00 to 0.41"."""
    low, high = (f"{abs(each):.{digits}f}" for each in (value.min(), value.max()))
    return f"{low}{unit} everywhere" if low == high else f"{low}{unit} to {high}{unit}"

"""Target-logit curves: what the own class gets at each angle."""

import dataclasses

import numpy as np

from losslab import losses as family
from losslab.catalogue import knob
from losslab.losses import Loss
from losslab.scene import Axis, Mark, Plate, Points, Scene
from losslab.training import Run
from losslab.views.base import signed
from losslab.views.curves import ANGLE, Curves, length_knob, scaled_knob
from losslab.views.slopes import Slopes

from .base import Figure

PLAIN = "the plain cosine"
MEASURED = 5, 150  # degrees at which the pulls are said


class LogitCurves(Figure):
    """The own class's curve of every loss, and beside it how hard that curve pulls. The losses have their papers'
    knobs, for nothing is trained."""

    card = "What each loss gives the own class at every angle to its prototype, and how hard that pulls."
    after = "ArcFace, Figure 4 (b); the ψ curves of AM-Softmax"
    losses: tuple[Loss, ...] = (
        *(family.starting(name, small=False) for name in ("Softmax", "SphereFace", "CosFace", "ArcFace")),
        family.make("CombinedMargin", times=1.0, angular=0.3, cosine=0.2),
        family.make("CombinedMargin", times=0.9, angular=0.4, cosine=0.15),
    )
    from_deg: float = knob(0.0, 0, 170, step=5, unit="°", help="Where the angles begin; ArcFace drew 20° to 100°.")
    to_deg: float = knob(180.0, 10, 180, step=5, unit="°", help="Where the angles end.")
    scaled: bool = scaled_knob()
    length: float = length_knob()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.to_deg - self.from_deg < 10:
            raise ValueError(
                f"The angles run from {self.from_deg:g}° to {self.to_deg:g}°; they must span 10° at the least."
            )

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        asked = {name: getattr(self, name) for name in ("losses", "scaled", "length")}
        found = Curves(**asked).scene(), Slopes(**asked).scene()
        return Plate(
            title="Target-logit curves",
            says=f"{found[0].says} {pulled(found[1])}",
            panels=tuple(self.within(called(scene)) for scene in found),
            heads=("Curve", "Pull"),
            columns=2,
            notes=tuple(dict.fromkeys(note for scene in found for note in scene.notes)),
        )

    def within(self, scene: Scene) -> Scene:
        """The part of the scene between the two angles."""
        if (self.from_deg, self.to_deg) == (ANGLE.low, ANGLE.high):
            return scene
        marks = tuple(mark for each in scene.marks if len((mark := self.cut(each)).at))
        return dataclasses.replace(scene, marks=marks, x=Axis(ANGLE.title, ANGLE.unit, self.from_deg, self.to_deg))

    def cut(self, mark: Mark) -> Mark:
        deg = mark.at[:, 0]
        inside = (deg >= self.from_deg) & (deg <= self.to_deg)
        words = {"words": ()} if isinstance(mark, Points) else {}
        return dataclasses.replace(mark, at=mark.at[inside], **words)


def called(scene: Scene) -> Scene:
    """The plain cosine has one name in both panels, and so one place in the legend."""
    marks = (dataclasses.replace(mark, name=PLAIN) if mark.role == "guide" else mark for mark in scene.marks)
    return dataclasses.replace(scene, marks=tuple(marks))


def pulled(slopes: Scene) -> str:
    """A sentence: the pull near the prototype and far from it."""
    said = [
        f"{mark.name} with {' and '.join(signed(float(np.interp(deg, *mark.at.T))) for deg in MEASURED)}"
        for mark in slopes.of_role("curve")
    ]
    return f"At {MEASURED[0]}° and at {MEASURED[1]}° it pulls: {'; '.join(said)}."

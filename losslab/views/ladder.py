"""From softmax to ArcFace in steps: each changes one thing about the one before."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from losslab import losses as family
from losslab.catalogue import knob
from losslab.losses import ArcFace, CombinedMargin, CosFace, Loss, NormFace, Softmax, SphereFace
from losslab.scene import CHART, Axis, Path, Scene

from .base import View, degrees, radius, right_angles
from .curves import ANGLE, line


@dataclass(frozen=True)
class Rung:
    name: str
    why: str  # what changes at this step, and what for
    loss: Callable[[float], Loss]  # with this scale


RUNGS = (
    Rung(
        "softmax",
        "A longer embedding raises the logit as much as a better angle does, so a network may grow instead of learning "
        "to tell classes apart.",
        lambda scale: Softmax(),
    ),
    Rung(
        "lengths divided out",
        "Now only the angle counts; but logits stay between −1 and 1, and with many classes a softmax of such numbers "
        "is sure of nothing.",
        lambda scale: NormFace(scale=1),
    ),
    Rung(
        "times a scale",
        "The scale s sets how sharply the softmax decides; still, to win by a hair is enough.",
        lambda scale: NormFace(scale=scale),
    ),
    Rung(
        "the angle multiplied",
        "The own class is judged as if its angle were m times as wide, so it must be m times nearer; past 180° the "
        "cosine is folded over. The embedding's length is the scale here.",
        lambda scale: SphereFace(margin=2, easing=0),
    ),
    Rung(
        "taken from the cosine",
        "The curve is lowered by the same everywhere: nothing can go wrong past 180°, and the slope stays that of the "
        "cosine.",
        lambda scale: CosFace(scale=scale, margin=0.35),
    ),
    Rung(
        "added to the angle",
        "The curve is moved to the left by the same angle everywhere: the margin is an arc on the sphere, and it still "
        "pulls where a sample has all but arrived.",
        lambda scale: ArcFace(scale=scale, margin=0.5),
    ),
    Rung(
        "all three",
        "One formula holds all three margins; each of them is a corner of it.",
        lambda scale: CombinedMargin(scale=scale, times=1, angular=0.3, cosine=0.2),
    ),
)


class Ladder(View):
    """The logit of the own class at one step of the ladder, with the steps before it."""

    card = "How the logit of the own class came to look as it does, one change at a time."
    of_losses = False
    rung: int = knob(5, 0, len(RUNGS) - 1, step=1, help="How far up the ladder: each step changes one thing.")
    scale: float = knob(16.0, 1, 64, step=1, symbol="s", help="The scale, and the embedding's length where that is it.")

    def scene(self) -> Scene:
        deg, angle = degrees()
        marks = [
            Path(
                role="curve" if step == self.rung else "faint",
                of=None if step == self.rung else step,
                name=rung.name,
                at=line(deg, logit(rung.loss(self.scale), angle, self.scale)),
            )
            for step, rung in enumerate(RUNGS[: self.rung + 1])
        ]
        now = RUNGS[self.rung]
        return Scene(
            title=f"The ladder, step {self.rung} of {len(RUNGS) - 1}: {now.name}",
            says=now.why,
            space=CHART,
            marks=tuple(marks),
            x=ANGLE,
            y=Axis("Logit of the own class"),
            names=tuple(rung.name for rung in RUNGS),
            notes=(f"In the library: {family.written(now.loss(self.scale))}.",),
        )


def logit(loss: Loss, angle: torch.Tensor, length: float) -> torch.Tensor:
    """The own class's logit [t] at `angle` [t] radians, for an embedding of this length and prototypes of length 1."""
    head = right_angles(loss)
    a = head.seen(angle.cos()[:, None].expand(-1, 2), torch.zeros(len(angle), dtype=torch.long), length)
    now = head.loss.at(head.step)
    return radius(now, a) * now.positive(a)

"""How hard the own-class curve pulls at each angle: its slope as training sees it."""

import torch

from losslab.losses import Loss
from losslab.scene import CHART, Axis, Mark, Path, Scene

from .base import degrees, listed, right_angles, signed
from .curves import ANGLE, OfAngle, line, passes

POLE = 1e-3  # degrees kept from 0° and 180°, where an angle has no slope


class Slopes(OfAngle):
    """The pull −∂(own-class curve)/∂θ over 0 to 180 degrees, by autograd: `exact` and `detached` differ."""

    card = "How hard the own-class curve pulls a sample in at each angle; below zero it is pushed away."

    def scene(self) -> Scene:
        deg, angle = degrees()
        marks: list[Mark] = [Path(role="guide", name="sin θ, of the plain cosine", at=line(deg, angle.sin()))]
        past: list[Mark] = []
        near = []
        for i, (loss, name) in enumerate(zip(self.losses, self.names, strict=True)):
            pull = self.factor(loss, angle) * pulls(loss, angle, self.length)
            marks.append(Path(role="curve", of=i, name=name, at=line(deg, pull)))
            past += passes(loss, i, deg, pull, self.length, first=not past)
            near.append(f"{name} {signed(float(pull[10]))} and {signed(float(pull[300]))}")
        return Scene(
            title="How hard the curve pulls",
            says=f"At 5° and at 150° the pull is: {'; '.join(near)}.",
            space=CHART,
            marks=(*marks, *past),
            x=ANGLE,
            y=Axis("Pull, −∂/∂θ of the curve"),
            names=self.names,
            notes=(*self.notes, *self._still),
        )

    @property
    def _still(self) -> tuple[str, ...]:
        detached = self.called(lambda loss: loss.gradient == "detached")
        if not detached:
            return ()
        verb = "has" if len(detached) == 1 else "have"
        return (f"{listed(detached)} {verb} the margin's value, but the slope of the plain cosine.",)


def pulls(loss: Loss, angle: torch.Tensor, length: float = 1.0) -> torch.Tensor:
    """−∂/∂θ of the own-class curve [t] as training sees it, at `angle` [t] radians."""
    head = right_angles(loss)
    pole = torch.tensor(POLE).deg2rad().double()
    with torch.inference_mode(False), torch.enable_grad():
        place = angle.clamp(pole, torch.pi - pole).requires_grad_()
        a = head.seen(place.cos()[:, None].expand(-1, 2), torch.zeros(len(angle), dtype=torch.long), length)
        (slope,) = torch.autograd.grad(-head.loss.at(head.step).trained(a).sum(), place)
    return slope

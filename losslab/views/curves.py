"""What the own class gets at each angle to its prototype: the target-logit curve that papers draw."""

from functools import lru_cache

import numpy as np
import torch

from losslab import losses as family
from losslab.catalogue import knob
from losslab.losses import Loss
from losslab.scene import CHART, Axis, Mark, Path, Points, Scene

from .base import View, degrees, listed, radius, right_angles, signed

ANGLE = Axis("Angle to the own prototype θ", "°", 0, 180, (0, 30, 60, 90, 120, 150, 180))
PAST = "here θ with its margin passes 180°"


def length_knob() -> float:
    return knob(
        16.0, 0.1, 120, step=0.1, symbol="‖x‖", help="Length of the embedding: some losses take it for the scale."
    )


def scaled_knob() -> bool:
    return knob(False, help="Multiply by the scale s: what the softmax gets.")


class OfAngle(View):
    """A picture of the own class's curve over the angle."""

    scaled: bool = scaled_knob()
    length: float = length_knob()

    def factor(self, loss: Loss, angle: torch.Tensor) -> torch.Tensor:
        """What multiplies the curve, [t]: 1 or the scale."""
        head = right_angles(loss)
        a = head.seen(angle.cos()[:, None].expand(-1, 2), torch.zeros(len(angle), dtype=torch.long), self.length)
        return radius(head.loss.at(head.step), a) if self.scaled else torch.ones_like(angle)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is assumed of losses whose curves are not of the angle alone."""
        said = []
        if adaptive := self.called(lambda loss: loss.adapts):
            said.append(
                f"{listed(adaptive)}: the margin follows the data; this is the curve at length {self.length:g}, before "
                "any training."
            )
        if crossed := self.called(lambda loss: not loss.pointwise):
            said.append(f"{listed(crossed)}: what other classes get also depends on the own one, and is not drawn.")
        return tuple(said)

    def called(self, chosen) -> list[str]:
        return [name for name, loss in zip(self.names, self.losses, strict=True) if chosen(loss)]


class Curves(OfAngle):
    """Value of the positive curve over 0 to 180 degrees, and of the negative one where it is not the plain cosine."""

    card = "What the own class gets at each angle to its prototype, next to the plain cosine."

    def scene(self) -> Scene:
        deg, angle = degrees()
        marks: list[Mark] = [Path(role="guide", name="cos θ", at=line(deg, angle.cos()))]
        past: list[Mark] = []
        at_90 = []
        for i, (loss, name) in enumerate(zip(self.losses, self.names, strict=True)):
            factor = self.factor(loss, angle)
            positive, negative = curves(loss, angle, self.length)
            marks.append(Path(role="curve", of=i, name=name, at=line(deg, factor * positive)))
            if loss.pointwise and not torch.allclose(negative, angle.cos(), atol=1e-9):
                marks.append(Path(role="other", of=i, name=f"{name}, other classes", at=line(deg, factor * negative)))
            past += passes(loss, i, deg, factor * positive, self.length, first=not past)
            at_90.append(f"{name} gives {signed(float((factor * positive)[len(deg) // 2]))}")
        return Scene(
            title="What the own class gets",
            says=f"At 90°, where the plain cosine is 0, {listed(at_90)}.",
            space=CHART,
            marks=(*marks, *past),
            x=ANGLE,
            y=Axis("Own-class curve times its scale" if self.scaled else "Own-class curve"),
            names=self.names,
            notes=self.notes,
        )


def curves(loss: Loss, angle: torch.Tensor, length: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """The positive and the negative curve at `angle` [t] radians, [t] each, for embeddings of this length and
    prototypes that stand at right angles."""
    positive, negative = right_angles(loss).curves(angle, length)
    return positive[0], negative


def passes(loss: Loss, of: int, deg: torch.Tensor, value: torch.Tensor, length: float, first: bool) -> list[Mark]:
    """A mark on a curve [t] where the angle with its margin passes 180°, if it does; the first one is named."""
    at = beyond_from(loss, length)
    if at is None:
        return []
    place = np.array([[at, np.interp(at, deg.numpy(), value.numpy())]])
    return [Points(role="past", of=of, name=PAST if first else "", at=place)]


@lru_cache(maxsize=64)
def beyond_from(loss: Loss, length: float) -> float | None:
    """Degrees from which on `beyond` decides, or None: where two of its answers begin to differ."""
    knob = next((name for name in family.knobs(loss) if name.split("_")[-1] == "beyond"), None)
    if knob is None:
        return None
    deg, angle = degrees(1801)
    raw, clip = (curves(family.turned(loss, {knob: choice}), angle, length)[0] for choice in ("raw", "clip"))
    differ = ((raw - clip).abs() > 1e-9).nonzero()
    return float(deg[max(int(differ[0]) - 1, 0)]) if len(differ) else None


def line(x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    return torch.stack([x, y], 1).numpy()

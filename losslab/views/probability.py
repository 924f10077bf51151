"""What the loss makes of an angle: the probability of the own class among many others, or the loss itself."""

from functools import lru_cache

import torch

from losslab.catalogue import knob
from losslab.losses import Loss, SoftmaxLoss, Term
from losslab.scene import CHART, Axis, Mark, Path, Scene

from .base import View, degrees, listed, right_angles, signed
from .curves import ANGLE, length_knob, line
from .given import core

COUNTS = (2, 10, 100, 1_000, 10_572, 85_742)  # the last two: CASIA-WebFace, MS1M-V2
ROOM = 2**21  # cosines in a picture: with many classes fewer angles
FEWEST, MOST = 46, 361  # angles
CHUNK = 2**20  # cosines at once


class Probability(View):
    """The own class's probability as the loss trains with it (margin and all) over the angle to the own prototype,
    while all other prototypes stay at one angle."""

    card = "How sure the softmax is of the own class at each angle, with the margin that training puts on it."
    classes: int = knob(
        10, choices=COUNTS, symbol="C", help="Own class and others. CASIA-WebFace has 10 572, MS1M-V2 85 742."
    )
    others: float = knob(90.0, 0, 180, step=1, unit="°", help="Angle from the sample to every other prototype.")
    loss: bool = knob(False, help="The loss itself, −log p, in place of the probability p.")
    length: float = length_knob()

    def scene(self) -> Scene:
        count = max(FEWEST, min(MOST, ROOM // (self.classes * len(self.losses))))
        deg, _ = degrees(count)
        marks: list[Mark] = []
        found, missing = [], []
        for i, (loss, name) in enumerate(zip(self.losses, self.names, strict=True)):
            if not isinstance(core(loss), SoftmaxLoss):
                missing.append(name)
                continue
            value = values(core(loss), count, self.classes, self.others, self.length)
            drawn = value if self.loss else torch.exp(-value)
            marks.append(Path(role="curve", of=i, name=name, at=line(deg, drawn)))
            found.append(f"{name} {said(float(drawn[0]), self.loss)}")
        return Scene(
            title="Loss over the angle" if self.loss else "Probability of the own class",
            says=self._says(found),
            space=CHART,
            marks=tuple(marks) or (Path(role="guide", at=line(deg, 0 * deg)),),
            x=ANGLE,
            y=Axis("Loss −log p") if self.loss else Axis("Probability p of the own class", "", 0, 1),
            names=self.names,
            notes=self._notes(missing),
        )

    def _says(self, found: list[str]) -> str:
        if not found:
            return "None of these losses is a softmax over classes, so there is no probability to draw."
        what = "costs" if self.loss else "is given a probability of"
        crowd = f"{self.classes - 1:,} others".replace(",", " ") if self.classes > 2 else "the other"
        return f"A sample exactly on its prototype, {self.others:g}° from {crowd}, {what}: {', '.join(found)}."

    def _notes(self, missing: list[str]) -> tuple[str, ...]:
        said = []
        if missing:
            said.append(f"{listed(missing)}: no softmax over classes, so there is no probability to draw.")
        terms = [name for loss, name in zip(self.losses, self.names, strict=True) if isinstance(loss, Term)]
        if terms := [name for name in terms if name not in missing]:
            said.append(f"{listed(terms)}: without the term, which looks at more than these angles.")
        return tuple(said)


@lru_cache(maxsize=64)  # while one loss is turned, the others stay
@torch.no_grad()
def values(loss: Loss, count: int, classes: int, others_deg: float, length: float) -> torch.Tensor:
    """The loss [count] of samples from 0 to 180° from their own prototype, and at `others_deg` from all others."""
    head = right_angles(loss, classes)
    now, found = head.loss.at(head.step), []
    far = torch.tensor(others_deg).double().deg2rad().cos()
    for part in degrees(count)[1].split(max(1, CHUNK // classes)):
        cosine = far.repeat(len(part), classes)
        cosine[:, 0] = part.cos()
        found.append(now(head.seen(cosine, torch.zeros(len(part), dtype=torch.long), length)))
    return torch.cat(found)


def said(value: float, loss: bool) -> str:
    if loss:
        return f"{value:.3g}"
    if value > 0.9999:
        return "over 99.99 %"
    if value < 0.01 or value > 0.99:
        return f"{100 * value:.{4 if value > 0.5 else 3}g} %"
    return f"{signed(100 * value, 0)} %"

"""Own angle against nearest other angle: whatever the dimension, the margin is a line there, and it is exact."""

import numpy as np
import torch

from losslab import losses as family
from losslab.geometry import unit
from losslab.scene import CHART, Axis, Mark, Path, Points, Scene

from .ball import class_margins, lengths
from .regions import Duel, strip
from .true_angles import TrueAngles

GROUPS = ("beyond the margin", "inside it", "wrong")
QUANTILES = (0.05, 0.5, 0.95)
ROOM = 10  # degrees that axes end on


class Rivals(TrueAngles):
    """Every sample at its angle to the own prototype and to the nearest other one, and where the loss's own gap is 0.

    What a sample is, beyond the margin or inside it or wrong, is by its own gap. The line is the loss's too, worked out
    for a sample of that class (or that length) whose other prototypes but one are farther away.
    """

    card = (
        "Each sample's angle to its own prototype against that to the nearest other, with the loss's exact margin line."
    )

    def scene(self) -> Scene:
        moment = self.moment
        lines, note = self.lines()
        at = np.stack([self.own_deg, self.other_deg], 1)
        wrong = ~moment.correct
        clear = ~wrong & (moment.gap > 0)
        marks: list[Mark] = [
            Points(role="sample", of=i, name=name, at=at[group])
            for i, (name, group) in enumerate(zip(GROUPS, (clear, ~wrong & ~clear, wrong), strict=True))
            if group.any()
        ]
        high = min(ROOM * np.ceil((at.max() + 1) / ROOM), 180.0)
        marks.append(Path(role="guide", name="as near to another", at=np.array([[0, 0], [high, high]])))
        marks += [Path(role="boundary", name=name, at=line) for name, line in lines]
        title = family.title(self.head.loss)
        return Scene(
            title=f"{title}: own angle and nearest other at step {moment.step}",
            says=f"{clear.mean():.1%} of the samples are beyond the margin, {np.mean(~wrong & ~clear):.1%} inside it "
            f"and {wrong.mean():.1%} wrong; the median sample is {np.median(self.own_deg):.1f}° from its own "
            f"prototype and {np.median(self.other_deg):.1f}° from the nearest other.",
            space=CHART,
            marks=tuple(marks),
            x=Axis("Angle to the own prototype θ", "°", 0, high),
            y=Axis("Angle to the nearest other", "°", 0, high),
            names=GROUPS,
            square=True,
            notes=(note,) if note else (),
        )

    # -- the margin line -------------------------------------------------------------------------------------

    def lines(self) -> tuple[list[tuple[str, np.ndarray]], str]:
        """Where the gap is 0, [m 2] in degrees each, by name; and what must be said of them. One where it is the same
        for all samples; else that of some classes or of some lengths, the least, the middle one and the largest."""
        norms = self.seen.norm.numpy()
        length = float(np.median(norms)) or 1.0
        margins = class_margins(self.head, length)
        order = np.argsort(margins, kind="stable") if margins is not None else [0]
        median = int(order[len(order) // 2])
        if lengths(self.head):
            each = {f"gap 0 at length {at:.3g}": (median, at) for at in np.quantile(norms, QUANTILES).tolist()}
            note = "The margin of this loss depends on how long an embedding is: the lines are of three lengths."
        elif margins is not None:
            each = {f"gap 0 of {self.classes[k]}": (int(k), length) for k in (order[0], median, order[-1])}
            note = "This loss gives each class a margin of its own: the lines are of the least, a middle and the most."
        else:
            each, note = {"gap 0: the margin": (median, length)}, ""
        found = [(name, self.line(*of)) for name, of in each.items()]
        if not self.head.loss.pointwise and not note:
            note = "This loss looks at more than these two angles: the line is of a sample with two near prototypes."
        return [(name, line) for name, line in found if len(line)], note

    def line(self, k: int, length: float) -> np.ndarray:
        """Where a sample of class k and this length, with all other classes but the nearest to it out of the way, has
        gap 0: angles [m 2] in degrees."""
        rival = int(np.nanargmin(self.between_deg[k]))
        rows = unit(self.head.prototypes)[0].unflatten(0, (self.head.classes, -1))
        cosine = (rows[k] @ rows[rival].T).max().clamp(-1, 1)
        names = (self.classes[k], self.classes[rival])
        theta, width = strip(Duel(self.head, k, rival, names, torch.acos(cosine), length))
        return np.stack([theta, theta + width], 1)

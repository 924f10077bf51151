"""Where losses send a sample: a field for each, and below it the pull along one great circle."""

import dataclasses
import math

import numpy as np
import torch

from losslab import losses as family
from losslab.catalogue import knob
from losslab.geometry import around, unit
from losslab.losses import Loss
from losslab.scene import Axis, Mark, Path, Plate, Scene
from losslab.training import Run
from losslab.views.base import listed
from losslab.views.field import Field
from losslab.views.profile import Profile, signed
from losslab.views.pushes import BESIDE

from .base import Figure
from .layout import by_loss
from .margin_geometry import MIDDLE, deg, standing
from .von_mises_fisher import around_it

FAINT = "Faint below: the pulls of the other losses; even between −0.1 and 0.1, logarithmic beyond."
NEAR = 40  # degrees from class 0 to class 1
AHEAD = unit(torch.tensor(MIDDLE).double())[0]
PAIR = around_it(AHEAD, deg(90, -90), deg(NEAR / 2)[0])  # to the left and to the right of what the reader sees
STANDING = {
    "circle": standing(around(deg(90, 90 - NEAR, 270))),
    "sphere": standing(torch.cat([PAIR, -PAIR[:1]])),
}
KNEE = 0.1  # pulls between −KNEE and KNEE are on an even scale, others on a logarithmic one


class PushFields(Figure):
    """The push −∂L/∂x on a sample of class 0, all over the sphere or the circle, with class 1 40° away and class 2
    opposite; and along the great circle through both, the pull ∂L/∂θ to its own prototype, the other losses' faintly
    with it."""

    card = "Where each loss would send a sample, wherever it may be, and how hard it is pulled in on one great circle."
    after = "NormFace, Figure 6; the inward pull of IntraLoss (the formula is a reconstruction)"
    losses: tuple[Loss, ...] = tuple(map(family.starting, ("NormFace", "ArcFace", "IntraLoss", "InterFace")))
    surface: str = knob("sphere", choices=("circle", "sphere"), help="Embeddings of two or three dimensions.")
    draw: str = knob("arrows", choices=("arrows", "streamlines"), help="Pushes everywhere, or lines that follow them.")
    label: int = knob(0, 0, 2, step=1, symbol="y", help="The class that a sample is taken to be of.")
    length: float = knob(
        5.0, 0.1, 120, step=0.1, symbol="‖x‖", help="Length of an embedding, where a loss looks at it."
    )
    density: int = knob(250, 100, 1200, step=50, help="Arrows on the sphere; on the circle a sixth of them.")
    reach: float = knob(90.0, 20, 180, step=10, unit="°", help="How far the pull is followed to both sides.")

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        asked = {name: getattr(self, name) for name in ("surface", "label", "length")}
        asked["prototypes"] = STANDING[self.surface]
        profile = Profile(losses=self.losses, **asked).scene()
        shown = {"density": self.density, "draw": self.draw, "drops": (), "prototype_pushes": False}
        each = [
            (Field(losses=(loss,), **shown, **asked).scene(), alone(profile, i, self))
            for i, loss in enumerate(self.losses)
        ]
        return Plate(
            title="Where losses push",
            says=two_sides(profile, self.label),
            notes=(self.arranged(), FAINT, *self.assumed()),
            **by_loss(each, self.names),
        )

    def arranged(self) -> str:
        """Where the classes are, and what is drawn."""
        dotted = "; dotted: the great circle of the curves" if self.surface == "sphere" else ""
        return (
            f"Class 1 stands {NEAR}° from class 0, class 2 opposite to class 0; the sample is of class {self.label}. "
            f"Ink and arrows: how hard and where it is pushed{dotted}."
        )

    def assumed(self) -> tuple[str, ...]:
        """Of losses that look at lengths."""
        found = [name for name, loss in zip(self.names, self.losses, strict=True) if loss.weighs_norm]
        what = f"shown is what the push does to the direction of an embedding of length {self.length:g}."
        return (f"{listed(found)}: lengths count, too; {what}",) if found else ()


def two_sides(profile: Scene, label: int) -> str:
    """A sentence: the pull beside the own prototype, on the side of the nearest other class and on the far one."""
    said = []
    for name, mark in zip(profile.names, profile.of_role("curve"), strict=True):
        far, facing = (float(np.interp(deg, *mark.at.T)) for deg in (-BESIDE, BESIDE))
        said.append(f"{signed(far)} and {signed(facing)} with {name}")
    return (
        f"{BESIDE}° beside the prototype of class {label}, on the far side and on that of its neighbour, the pull "
        f"inwards is {listed(said)}; below zero a sample is pushed out."
    )


def alone(profile: Scene, chosen: int, figure: PushFields) -> Scene:
    """The profile with one loss in full ink and the others faint, to where the figure follows it, over the range of
    all."""
    reach = figure.reach
    curves = [within(mark, reach) for mark in profile.of_role("curve")]
    values = np.concatenate([mark.at[:, 1] for mark in curves])
    low, high = min(float(values.min()), -KNEE), max(float(values.max()), KNEE)
    marks: list[Mark] = [Path(role="guide", at=np.array([[-reach, 0.0], [reach, 0.0]]))]
    for place in profile.of_role("place"):
        if abs(x := float(place.at[0, 0])) <= reach:
            marks.append(Path(role="guide", at=np.array([[x, low], [x, 1.5 * high]])))
            marks.append(dataclasses.replace(place, at=np.array([[x, 1.5 * high]])))
    # Its name stands over the panel; drawn over the others.
    marks += [Path(role="faint", of=mark.of, at=mark.at) for mark in curves if mark.of != chosen]
    marks.append(dataclasses.replace(curves[chosen], name=""))
    tens = [10.0**power for power in range(-1, math.ceil(math.log10(high)))]
    ticks = tuple(sorted({0.0, *tens, *(-ten for ten in tens if -ten >= low)}))
    return dataclasses.replace(
        profile,
        marks=tuple(marks),
        x=dataclasses.replace(
            profile.x, title=f"Angle from class {figure.label}", low=-reach, high=reach, ticks=halves(reach)
        ),
        y=Axis(profile.y.title, "", 1.5 * low, 2.5 * high, ticks, tuple(map(worded, ticks)), knee=KNEE),
    )


def within(mark: Mark, reach: float) -> Mark:
    return dataclasses.replace(mark, at=mark.at[np.abs(mark.at[:, 0]) <= reach])


def halves(reach: float) -> tuple[float, ...]:
    return -reach, -reach / 2, 0.0, reach / 2, reach


def worded(tick: float) -> str:
    return f"{tick:g}".replace("-", "−")

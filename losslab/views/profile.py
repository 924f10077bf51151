"""The push along one great circle: out from the own prototype past another class, and round the far side."""

import math

import numpy as np
import torch

from losslab import losses
from losslab.catalogue import knob
from losslab.fields import profile
from losslab.head import Head
from losslab.scene import CHART, Axis, Path, Points, Scene

from .pushes import BESIDE, Pushes, gradient_knob, with_gradient

STEPS = 721
NEAR = math.radians(12)  # of the circle: then a third prototype is marked on it
KNEE = 1e-3  # with a logarithmic axis: below this it is even
ANGLE = Axis("Angle from the own prototype", "°", -180, 180, (-180, -120, -60, 0, 60, 120, 180))


class Profile(Pushes):
    """The inward pull ∂L/∂θ of every loss: above zero a sample moves to its prototype, below it moves away."""

    card = "How hard a sample is pulled to its own prototype, towards another class and on the far side."
    logarithmic: bool = knob(False, help="So that pulls of 0.001 and of 100 can both be read.")
    both_gradients: bool = knob(False, help="Each loss with its exact and its detached gradient.")

    def scene(self) -> Scene:
        heads = [self.head(loss) for loss in self.losses]
        first = heads[0]
        marks: list = [Path(role="guide", at=np.array([[-180.0, 0], [180, 0]]))]
        beside = []
        for i, (loss, head, name) in enumerate(zip(self.losses, heads, self.names, strict=True)):
            deg, pull = self.pulls(head)
            marks.append(Path(role="curve", of=i, name=name, at=np.stack([deg, pull], 1)))
            beside.append(f"{name}: {signed(np.interp(-BESIDE, deg, pull))}")
            if self.both_gradients and (switch := gradient_knob(loss)):
                word = "exact" if losses.settings(loss)[switch] == "detached" else "detached"
                deg, pull = self.pulls(with_gradient(head, word))
                marks.append(Path(role="other", of=i, name=f"{name}, {word}", at=np.stack([deg, pull], 1)))
                beside[-1] += f" ({word}: {signed(np.interp(-BESIDE, deg, pull))})"
        goal = self.classes[self.other(first)]
        return Scene(
            title=f"Pull on {self.sample} along the circle through {goal}",
            says=f"{BESIDE}° beside its prototype, away from {goal}, the pull inwards is {', '.join(beside)}.",
            space=CHART,
            marks=(*marks, *self.places(first, marks)),
            x=ANGLE,
            y=Axis("Inward pull ∂L/∂θ", knee=KNEE if self.logarithmic else None),
            names=self.names,
        )

    def pulls(self, head: Head) -> tuple[np.ndarray, np.ndarray]:
        """Degrees and pulls along the circle, [n] each."""
        found = profile(head, self.own, self.rows(head)[self.other(head)], n=STEPS, norm=self.at_length)
        return found.angle.rad2deg().numpy(), found.pull.double().numpy()

    def places(self, head: Head, drawn: list) -> list:
        """The prototypes that the circle runs through, or by: lines down to the axis, with names on top."""
        rows = self.rows(head).double()
        start, goal = rows[self.own], rows[self.other(head)]
        way = goal - start * (goal @ start)
        way = way / way.norm().clamp(min=1e-9)
        along, ahead = rows @ way, rows @ start
        passed = torch.hypot(along, ahead) > math.cos(NEAR)
        turn = torch.atan2(along, ahead).rad2deg()
        values = np.concatenate([mark.at[:, 1] for mark in drawn])
        low, high = min(values.min(), 0), max(values.max(), 0)
        marks: list = []
        for k in range(head.classes):
            if passed[k]:
                x = float(turn[k])
                words = f"own {self.classes[k]}" if k == self.own else self.classes[k]
                marks.append(Path(role="guide", at=np.array([[x, low], [x, high]])))
                marks.append(Points(role="place", at=np.array([[x, high]]), words=(words,)))
        return marks


def signed(pull: float) -> str:
    if 0 < abs(pull) < 1e-4:
        return "nearly 0"
    return f"{pull:.3g}".replace("-", "−")

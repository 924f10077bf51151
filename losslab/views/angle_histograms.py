"""How the true angles are spread: to the own prototype, to the nearest other one, and between prototypes."""

import numpy as np

from losslab.scene import CHART, Axis, Path, Scene

from .elastic import steps
from .true_angles import TrueAngles

WIDTH = 3  # degrees in a bar
NAMES = ("to the own prototype", "to the nearest other", "between prototypes")
TICKS = (0, 30, 60, 90, 120, 150, 180)


class AngleHistograms(TrueAngles):
    """Three histograms over one axis: how far the first two overlap is how hard the classes are to tell apart."""

    card = "The true angles of the samples to their own prototype and to the nearest other, and between prototypes."

    def scene(self) -> Scene:
        moment = self.moment
        pairs = self.between_deg[np.triu_indices(len(self.between_deg), 1)]
        sets = (self.own_deg, self.other_deg, pairs)
        edges = np.arange(0, 180 + WIDTH, WIDTH, dtype=float)
        marks = [
            Path(role="bars", of=i, name=name, at=steps(edges, 100 * np.histogram(deg, edges)[0] / len(deg)))
            for i, (name, deg) in enumerate(zip(NAMES, sets, strict=True))
        ]
        said = [f"{np.median(deg):.1f}° {name}" for name, deg in zip(NAMES, sets, strict=True)]
        nearer = np.mean(self.other_deg < self.own_deg)
        return Scene(
            title=f"True angles at step {moment.step}",
            says=f"Medians: {', '.join(said)}; {nearer:.1%} of the samples are nearer to another prototype than to "
            "their own.",
            space=CHART,
            marks=tuple(marks),
            x=Axis("Angle", "°", 0, 180, TICKS),
            y=Axis("Share", "%"),
            names=NAMES,
            notes=(f"All angles are measured in all {self.head.dim} dimensions; nothing is projected.",),
        )

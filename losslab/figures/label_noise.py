"""Where samples with wrong labels end: far from the prototype that they are told, or at a sub-centre of their own."""

from dataclasses import dataclass

import numpy as np

from losslab import losses as family
from losslab.losses import Loss
from losslab.scene import Plate
from losslab.training import Recipe, Run
from losslab.views.true_angles import TrueAngles, degrees_of

from .angle_history import histograms, level, unfinished
from .base import EIGHT, Trained
from .layout import ACROSS, short

KINDS = "right label", "wrong label"
ARCFACE = family.starting("ArcFace")
ALIKE = {name: getattr(ARCFACE, name) for name in ("scale", "margin")}


class LabelNoise(Trained):
    """For each loss the angles in degrees of the samples trained on to the prototype of the class that they are told,
    for right and for wrong labels. A loss with sub-centres has two panels: to the nearest one of the class, and to the
    dominant one, where most of its samples are. As it begins, the two losses differ in the number of sub-centres only.
    """

    card = "The angles of samples with right and with wrong labels to the prototype that they are told."
    after = "ArcFace, Figures 6 and 7"
    losses: tuple[Loss, ...] = (ARCFACE, family.turned(family.starting("SubCenterArcFace"), ALIKE))
    # In fewer dimensions there is no room for as many prototypes.
    recipe: Recipe = Recipe(dim=16, classes=EIGHT, epochs=10, noise=0.2)

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        panels, heads, said = [], [], []
        for name, head, run in zip(self.names, short(self.names), runs, strict=True):
            found = told(run)
            for which, deg in found.deg.items():
                sets = {kind: deg[found.wrong == i] for i, kind in enumerate(KINDS)}
                panels.append(histograms(sets, "Angle to the own prototype θ"))
                heads.append(f"{head}{which and ', '}{which}")
                right, wrong = (np.median(each) for each in sets.values())
                said.append(f"{right:.1f}° and {wrong:.1f}° with {name}{which and f' (to the {which} sub-centre)'}")
            if (share := found.shares) is not None:
                said.append(
                    f"there {100 * share[1]:.0f} % of the wrong labels and {100 * share[0]:.0f} % of the right ones "
                    "are at a sub-centre that is not the dominant one"
                )
        return Plate(
            title="Right and wrong labels",
            says=f"Median angle to the told class, of right and of wrong labels: {'; '.join(said)}.",
            panels=level(panels),
            heads=tuple(heads),
            columns=min(len(panels), ACROSS),
            notes=unfinished(self.names, runs),
        )


@dataclass(frozen=True, eq=False)
class Told:
    """The n samples that a run was trained on, as it stands."""

    wrong: np.ndarray  # bool [n], the label told is not the true one
    deg: dict[str, np.ndarray]  # [n] to the told class's prototype; of several "nearest" and "dominant"
    aside: np.ndarray | None  # bool [n], the nearest sub-centre is not the dominant one; None without sub-centres

    @property
    def shares(self) -> tuple[float, float] | None:
        """How many of the right and of the wrong labels are aside, 0 to 1."""
        if self.aside is None:
            return None
        return float(self.aside[~self.wrong].mean()), float(self.aside[self.wrong].mean())


def told(run: Run) -> Told:
    """ValueError for a run without snapshots, or without wrong (or right) labels among the samples it shows."""
    look, trained = TrueAngles(run=run), run.probe.split == 0
    label = run.probe.labels[trained]
    wrong = label != run.probe.truth[trained]
    if not 0 < wrong.sum() < len(wrong):
        raise ValueError(
            "This picture compares right labels with wrong ones, and the run shows only one kind: train with noise "
            "between 0 and 1."
        )
    nearest = look.seen.nearest.numpy()[trained]
    each = look.head.loss.subcentres
    own = look.own_deg[trained]
    if each == 1:
        return Told(wrong, {"": own}, None)
    counts = np.bincount(nearest, minlength=look.head.classes * each).reshape(-1, each)
    dominant = (np.arange(look.head.classes) * each + counts.argmax(1))[label]
    cosine = (look.seen.direction[trained] * look.seen.prototype[dominant]).sum(1)
    return Told(wrong, {"nearest": own, "dominant": degrees_of(cosine)}, nearest != dominant)

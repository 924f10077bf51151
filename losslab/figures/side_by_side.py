"""Trainings beside one another at one step, as on the page Compare."""

import numpy as np

from losslab.catalogue import knob
from losslab.scene import Plate
from losslab.training import Recipe, Run
from losslab.views.embeddings import SPLITS, Embeddings

from .base import SPACE, Trained
from .layout import by_loss, noted
from .sphere_scatter import NOBODY

MANY = 1_000_000  # more steps than any training has


class SideBySide(Trained):
    """A panel for each loss, all at the same step, with the same samples in the same inks."""

    card = "Trainings side by side at one step: where the samples of each class are, and the zone each must reach."
    after = "the pictures of embeddings that papers of losses begin with"
    recipe: Recipe = SPACE
    step: int = knob(-1, -1, MANY, step=1, help="The step that is shown; −1 is the last.")
    split: str = knob("all", choices=tuple(SPLITS), help="Samples that were trained on, or that were held out.")
    colour: str = knob("class", choices=("class", "gap", "loss"), help="What the ink of a sample says.")
    zones: bool = knob(True, help="The zone in which each class clears its margin.")
    plane: bool = knob(False, help="Embeddings of two dimensions as they are, not on the circle.")
    hidden: tuple[float, ...] = ()  # classes that are left out, by their numbers

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        values = {name: getattr(self, name) for name in ("split", "colour", "zones", "plane", "hidden")}
        seen = [Embeddings(run=run, snapshot=nearest(run, self.step), **values) for run in runs or self.runs]
        each = [(view.scene(),) for view in seen]
        found = (f"{name}: {view.counted()}" for name, view in zip(self.names, seen, strict=True))
        strips = (NOBODY,) if any(scene.of_role("narrowest") for (scene,) in each) else ()
        return Plate(
            title=f"Side by side at step {seen[0].moment.step}",
            says=f"At step {seen[0].moment.step}. {'; '.join(found)}.",
            notes=(*strips, *noted(each, self.names)),
            **by_loss(each, self.names),
        )


def nearest(run: Run, step: int) -> int:
    """The snapshot of a run that is nearest to a step; −1 for its last."""
    return -1 if step < 0 else int(np.abs(run.metrics()["step"] - step).argmin())

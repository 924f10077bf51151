"""The angles of pairs of strangers: samples of one class, and of two, that training has never seen."""

import dataclasses
import math

import numpy as np

from losslab.metrics import strangers
from losslab.scene import Path, Plate, Scene
from losslab.training import Recipe, Run, restore
from losslab.verification import Roc, all_pairs, embed, equal_error_rate, roc
from losslab.views.base import listed

from .angle_history import histograms, level
from .base import Trained
from .layout import ACROSS, short

KINDS = "one class", "two classes"
LEAST = 120  # degrees shown, as in the original; more where pairs are further apart
# Half of the digits are strangers, and there are dimensions enough to tell apart what was never trained on.
STRANGERS = Recipe(dim=16, classes=(0, 1, 2, 3, 4), epochs=10)


class PairAngles(Trained):
    """For each loss the angles in degrees of all pairs of strangers, of one class and of two, and the angle at which as
    large a share of the first is refused as of the second is accepted (the equal error rate). Strangers are classes
    that the recipe leaves out, or people that it holds out."""

    card = "The angles of pairs of one class and of two, among classes that training has never seen."
    after = "ArcFace, Figure 10"
    recipe: Recipe = STRANGERS

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        pairs = [all_pairs(*stranger_embeddings(run)) for run in runs]
        angles = [{name: deg(part) for name, part in zip(KINDS, (p.genuine, p.impostor), strict=True)} for p in pairs]
        rates = [equal_error_rate(p.genuine, p.impostor) for p in pairs]
        places = [float(deg(at_equal_errors(roc(p.genuine, p.impostor)))) for p in pairs]
        widest = max(each.max() for sets in angles for each in sets.values())
        high = max(LEAST, 30 * math.ceil(widest / 30))
        panels = level([histograms(sets, "Angle of the pair", high=high) for sets in angles])
        said = [
            f"{100 * rate:.1f} % with {name} (at {place:.0f}°)"
            for name, rate, place in zip(self.names, rates, places, strict=True)
        ]
        return Plate(
            title="Angles of pairs of strangers",
            says=f"Between classes that were never trained on, the equal error rate is {listed(said)}.",
            panels=tuple(ruled(scene, place) for scene, place in zip(panels, places, strict=True)),
            heads=tuple(f"{name}, {100 * rate:.1f} %" for name, rate in zip(short(self.names), rates, strict=True)),
            columns=min(len(runs), ACROSS),
        )


def stranger_embeddings(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings [n d] and labels [n] of those whom a run has never seen. ValueError where there are none, RunError
    for a run that was not trained to its end."""
    found = strangers(run.recipe)
    model, _ = restore(run)
    return embed(model, found.images, flip=False), found.labels.numpy()


def at_equal_errors(curve: Roc) -> float:
    """The first threshold, from the highest down, at which as large a share of the impostors is accepted as of the
    genuine pairs is refused."""
    return float(curve.threshold[np.argmax(curve.false_match + curve.true_match >= 1)])


def deg(cosine: np.ndarray | float) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def ruled(scene: Scene, place: float) -> Scene:
    """The histograms with a line where the errors are equal."""
    line = Path(
        role="boundary", name="equal error rate (over each panel)", at=np.array([[place, 0], [place, scene.y.high]])
    )
    return dataclasses.replace(scene, marks=(*scene.marks, line))

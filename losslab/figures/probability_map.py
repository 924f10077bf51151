"""The probability of one class all over the plane: what length does to it, and what it does not."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from losslab import losses as family
from losslab.catalogue import knob
from losslab.losses import Loss, SoftmaxLoss
from losslab.scene import Area, Mark, Path, Plate, Points, Scene
from losslab.training import Run
from losslab.views.base import listed
from losslab.views.given import core
from losslab.views.planefield import grid
from losslab.views.true_angles import TrueAngles

from .base import Trained
from .toy_scatter import of_dimension, raw

CELLS = 120  # of the map across; even, so that none is the origin, which has no direction
KINDS = ("long", "short", "between")
BESIDE, WIDER = 0.12, 0.14  # of the reach: how far from its sample a probability is written, and sideways more


@dataclass(frozen=True, eq=False)
class Examples:
    """Three samples: on the lobe of a class a long one and a short one, and one between lobes."""

    at: np.ndarray  # [3 2]
    probability: np.ndarray  # [3], of that class


class ProbabilityMap(Trained):
    """Two panels for each loss: the samples, and under them the probability that the head gives one class there."""

    card = "Two-dimensional embeddings over the probability of one class, and three examples with theirs."
    after = "NormFace, Figure 2"
    losses: tuple[Loss, ...] = tuple(map(family.starting, ("Softmax", "NormFace")))
    label: int = knob(3, 0, 999, step=1, help="The class whose probability is drawn.")

    def __post_init__(self) -> None:
        super().__post_init__()
        of_dimension(self, 2)
        asked = [run.recipe.loss_at(run.total_steps) for run in self.runs] or self.losses
        if missing := [family.title(loss) for loss in asked if not isinstance(core(loss), SoftmaxLoss)]:
            raise ValueError(
                f"{listed(missing)}: no softmax over classes, so there is no probability to draw; choose other losses."
            )
        count = min(len(recipe.classes) for recipe in [run.recipe for run in self.runs] or [self.recipe])
        if self.label >= count:
            raise ValueError(f"label is {self.label}, but the classes of this figure run from 0 to {count - 1}.")

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        looks = [TrueAngles(run=run) for run in runs or self.runs]
        found = [examples(look, self.label) for look in looks]
        panels: list[Scene] = []
        for look, each in zip(looks, found, strict=True):
            scene = raw(look, np.full(len(look.run.probe.truth), True))
            panels += [scene, self.over(scene, look, each)]
        name = looks[0].classes[self.label]
        says = "; ".join(f"{loss}: {said(each)}" for loss, each in zip(self.names, found, strict=True))
        return Plate(
            title=f"Probability of class {name}",
            says=f"Probability of class {name} at three samples. {says}.",
            panels=tuple(panels),
            columns=2 * min(len(looks), 2),
            heads=tuple(head for each in self.names for head in (each, f"Probability of {name}")),
            notes=(
                "The probability is that of inference: the softmax of the head's logits, without a margin.",
                "Stars: a long and a short sample on the lobe of the class, and one between lobes.",
                *panels[0].notes,
            ),
        )

    def over(self, scene: Scene, look: TrueAngles, found: Examples) -> Scene:
        """The same scene over the map, with the three examples."""
        ground = level(look, self.label, scene.x.high)
        return dataclasses.replace(
            scene,
            title=ground.name,
            says=f"At the examples: {said(found)}.",
            marks=(ground, *scene.marks, *pointed_out(found, scene.x.high)),
        )


def probability(look: TrueAngles, place: np.ndarray, label: int) -> np.ndarray:
    """Of a class at places [n 2], [n]: the softmax of the head's own logits."""
    with torch.no_grad():
        return look.head.logits(torch.from_numpy(place).double()).softmax(1)[:, label].numpy()


def level(look: TrueAngles, label: int, reach: float) -> Area:
    line = np.linspace(-reach, reach, CELLS)
    place = grid(torch.from_numpy(line), torch.from_numpy(line)).numpy()
    value = probability(look, place, label).reshape(CELLS, CELLS)
    return Area(
        role="level", name=f"Probability of class {look.classes[label]}", x=line, y=line, value=value, span=(0, 1)
    )


def examples(look: TrueAngles, label: int) -> Examples:
    """Of the samples of a class the one that goes farthest along its prototype; of the half of them that is nearest
    to it in direction the shortest; and of all samples but the shortest tenth the one that the class is given with a
    probability nearest to a half."""
    mine = look.run.probe.truth == label
    place, length = look.moment.embedding.astype(np.float64), look.seen.norm.numpy()
    long = np.argmax(np.where(mine, length * look.seen.target.numpy(), -np.inf))
    along = look.seen.direction.numpy() @ look.seen.direction.numpy()[long]
    short = np.argmin(np.where(mine & (along >= np.median(along[mine])), length, np.inf))
    doubt = np.abs(probability(look, place, label) - 0.5)
    between = np.argmin(np.where(length >= np.quantile(length, 0.1), doubt, np.inf))
    at = place[[long, short, between]]
    return Examples(at, probability(look, at, label))


def pointed_out(found: Examples, reach: float) -> list[Mark]:
    """A line from the origin to each example, and its probability beside it: of the one between lobes on the side where
    it stands, of the others on the other side."""
    lines = np.concatenate([np.stack([0 * at, at, at * np.nan]) for at in found.at])
    way = found.at / np.maximum(np.linalg.norm(found.at, axis=1, keepdims=True), 1e-12)
    left = np.stack([-way[:, 1], way[:, 0]], 1)
    side = 1 if left[0] @ way[2] >= 0 else -1
    aside = left * np.array([[-side], [-side], [side]])
    at = found.at + aside * (BESIDE + WIDER * np.abs(aside[:, :1])) * reach
    return [
        Path(role="stream", at=lines),
        Points(role="drawn", at=found.at),
        Points(role="word", at=at, words=tuple(map(written, found.probability))),
    ]


def written(probability: float) -> str:
    """A probability with two digits, never rounded to none or to certainty."""
    if 0.995 <= probability:
        return "> 0.99"
    return f"{probability:.2f}" if probability >= 0.005 else "< 0.01"


def said(found: Examples) -> str:
    return ", ".join(f"{kind} {written(p)}" for kind, p in zip(KINDS, found.probability, strict=True))

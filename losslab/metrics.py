"""How good a trained run is, in numbers: how tight its classes are, how far apart, how round, and how well it tells
people apart whom it has never seen.

All angles are of held-out samples at the run's last snapshot. `COLUMNS` says what each number is, for the head of a
table.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from losslab import data
from losslab.data import DataError, Images, faces
from losslab.geometry import angle, log_map, unit
from losslab.head import Head
from losslab.losses import Angles
from losslab.training import Recipe, Run, RunError, head_at, restore
from losslab.verification import all_pairs, embed, equal_error_rate

PER_CLASS = 100  # images of a class that are compared with one another


@dataclass(frozen=True)
class Numbers:
    """Of one run. Shares are from 0 to 1, angles in degrees."""

    test_accuracy: float  # of all held-out images of the recipe's classes; NaN before it was measured
    intra_deg: float  # median angle of a sample to its own prototype
    inter_deg: float  # mean over classes of `nearest_deg`
    nearest_deg: tuple[float, ...]  # angle of each class's prototype to the nearest one of another class
    clear: float  # share of the samples beyond the margin
    anisotropy: float | None  # 1 is round; None where no class has samples enough
    eer: float | None  # equal error rate between classes that were never trained on
    eer_reason: str = ""  # why there is none


@dataclass(frozen=True)
class Column:
    """One number of `Numbers` in a table."""

    name: str  # the field
    label: str
    unit: str
    says: str  # one sentence

    def text(self, numbers: Numbers) -> str:
        """The number with its unit; a dash where there is none."""
        value = getattr(numbers, self.name)
        if value is None or math.isnan(value):
            return "–"
        if self.unit == "%":
            return f"{100 * value:.1f} %"
        return f"{value:.1f}{self.unit}" if self.unit else f"{value:.2f}"


COLUMNS = (
    Column("test_accuracy", "Test accuracy", "%", "Share of the held-out images that are given their own class."),
    Column(
        "intra_deg", "Within classes", "°", "Half of the held-out samples are within this angle of their prototype."
    ),
    Column("inter_deg", "Between classes", "°", "Angle from a prototype to the nearest other one, mean over classes."),
    Column(
        "clear", "Beyond the margin", "%", "Share of the held-out samples that clear the margin of this run's loss."
    ),
    Column(
        "anisotropy",
        "Stretch",
        "",
        "How far classes are from round: spread along their longest direction over the mean of all; 1 is round.",
    ),
    Column(
        "eer",
        "Equal error rate",
        "%",
        "Where as many pairs of one unseen class are taken for two as pairs of two are taken for one.",
    ),
)


@torch.no_grad()
def numbers(run: Run) -> Numbers:
    """The numbers of a run as it stands. RunError for a run without snapshots."""
    if not len(run):
        raise RunError(f"The run in {run.path} has not begun, so there is nothing to measure: train it first.")
    snapshot, held_out = run[-1], run.probe.split == 1
    head = head_at(run.recipe, snapshot).double()
    label = torch.from_numpy(run.probe.labels[held_out])
    a = head.angles(torch.from_numpy(snapshot.embedding[held_out]).double(), label)
    nearest = nearest_other(head, a)
    tested = run.metrics().get("test_accuracy", np.array([]))
    tested = tested[~np.isnan(tested)]
    eer, reason = unseen_eer(run)
    return Numbers(
        test_accuracy=float(tested[-1]) if len(tested) else math.nan,
        intra_deg=angle(a.target).rad2deg().quantile(0.5).item() if len(label) else math.nan,
        inter_deg=nearest.mean().item(),
        nearest_deg=tuple(nearest.tolist()),
        clear=float((snapshot.gap[held_out] > 0).mean()) if len(label) else math.nan,
        anisotropy=anisotropy(a.direction, label),
        eer=eer,
        eer_reason=reason,
    )


def nearest_other(head: Head, a: Angles) -> Tensor:
    """Degrees [C] from each class's prototype to the nearest of another class; of all pairs, with K of each."""
    classes = torch.arange(head.classes).repeat_interleave(len(a.prototype) // head.classes)
    cosine = (a.prototype @ a.prototype.T).masked_fill(classes[:, None] == classes, -math.inf)
    return angle(cosine.view(head.classes, -1).amax(1).clamp(-1, 1)).rad2deg()


# -- how round classes are -------------------------------------------------------------------------------


def anisotropy(direction: Tensor, label: Tensor) -> float | None:
    """How stretched classes are, from directions [n d] and labels [n]: the mean of `stretch` over the classes that have
    any, None where none has. 1 is round.

    Of few samples in many dimensions it says little: even of a round class, fewer samples than dimensions span only a
    part of them.
    """
    found = [stretch(direction[label == each]) for each in label.unique()]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known else None


def stretch(direction: Tensor) -> float | None:
    """Of one class [n d], around its mean direction μ: the largest variance along the sphere over the mean of all
    d − 1, λ_max/mean(λ) of log_μ(u). On a circle, where there is but one way to go, the larger root mean square
    deviation to one side over that to the other. None where no two samples differ.
    """
    mean = unit(direction.mean(0))[0]
    step = log_map(direction, mean.expand_as(direction))
    if direction.shape[1] == 2:
        sideways = step @ torch.stack([-mean[1], mean[0]])
        left, right = (spread(sideways[sideways * side > 0]) for side in (1, -1))
        return max(left, right) / min(left, right) if min(left, right) > 0 else None
    away = step - step.mean(0)
    variance = torch.linalg.svdvals(away).square()
    total = variance.sum().item()
    # A mean of d − 1, though there are d: away from the sphere nothing varies.
    return variance[0].item() * (direction.shape[1] - 1) / total if total > 1e-12 else None


def spread(deviation: Tensor) -> float:
    return deviation.square().mean().sqrt().item() if len(deviation) else 0.0


# -- telling apart classes that were never trained on ----------------------------------------------------


class NoStrangers(ValueError):
    """A run has nobody to verify with; one sentence with the reason."""


def strangers(recipe: Recipe) -> Images:
    """Images of the classes that the recipe leaves out, or of the people that it holds out: up to 100 of each.
    NoStrangers where those are fewer than two, DataError where their data is missing."""
    if recipe.faces is not None:
        found = faces.load(recipe.faces).unseen
        few = f"The run holds out {len(found.names)} people"
        left_out = range(len(found.names))
    else:
        names = data.catalogue()[recipe.data].names
        left_out = [each for each in range(len(names)) if each not in recipe.classes]
        few = "The run was trained on all classes" + (" but one" if left_out else "")
    if len(left_out) < 2:
        raise NoStrangers(f"{few}: leave out two or more to compare what it has never seen.")
    return data.subset(found if recipe.faces else data.load(recipe.data, "test"), left_out, PER_CLASS, recipe.seed)


def unseen_eer(run: Run) -> tuple[float | None, str]:
    """The equal error rate between the `strangers` of a run, by the cosines of all pairs; or None and why there is
    none."""
    try:
        found = strangers(run.recipe)
        model, _ = restore(run)
    except RunError:  # which names a folder, where a reader of a table wants the reason
        return None, "The run has no trained network (recordings and unfinished runs have none): train it again."
    except (NoStrangers, DataError) as error:
        return None, str(error)
    pairs = all_pairs(embed(model, found.images, flip=False), found.labels.numpy())
    return equal_error_rate(pairs.genuine, pairs.impostor), ""

"""How round classes are: their samples in the tangent plane at their mean direction, with ellipses of deviation."""

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from losslab import losses as family
from losslab.geometry import log_map, tangent, unit
from losslab.losses import Angles, Loss
from losslab.scene import PLANE, Axis, Mark, Path, Plate, Points, Scene
from losslab.training import Recipe, Run
from losslab.views.base import listed
from losslab.views.true_angles import TrueAngles

from .base import SPACE, Trained
from .layout import short

SIGMAS = (1, 2)
FEWEST = 3  # samples that have an ellipse
SCALES = 1, 2, 5, 10, 20, 30  # degrees
SQUARE = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
CORNERS = np.array([[-0.47, 0.42], [-0.47, -0.42]])  # of a square of side 1: where words begin
ROUND = np.stack([np.cos(turn := np.linspace(0, 2 * np.pi, 121)), np.sin(turn)], 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Patch:
    """One class as it is seen from above its mean direction, the nearest other class to the right. Degrees."""

    number: int  # of the class
    neighbour: int  # of the nearest other one
    at: np.ndarray  # [n 2] its samples
    middle: np.ndarray  # [2] their mean
    axes: np.ndarray  # [2 2] rows: half the long and the short axis of the ellipse of one standard deviation

    @property
    def ratio(self) -> float:
        """The long axis over the short one."""
        long, wide = np.linalg.norm(self.axes, axis=1)
        return float(long / wide)

    def ellipse(self, sigma: float) -> np.ndarray:
        """[121 2] the line at so many standard deviations."""
        return self.middle + sigma * ROUND @ self.axes


class TangentEllipses(Trained):
    """For each loss every class's held-out samples in the tangent plane at their mean direction (the logarithmic map),
    with the ellipses of one and two standard deviations. Samples that are given another class are left out: one of
    them, far away, would decide the shape. Every patch is turned so that the prototype of the nearest other class lies
    to the right; all have one scale. In more than three dimensions the plane is that of this direction and of the
    largest variance at right angles to it.

    A substitute: the figures of the IntraLoss paper were not to be had, and IntraLoss here is a reconstruction."""

    card = "How round each class is: its samples around their mean direction, and the ellipses of their deviation."
    after = "none that was to be had: a substitute for the figures of IntraLoss, which is itself a reconstruction"
    losses: tuple[Loss, ...] = tuple(map(family.starting, ("ArcFace", "IntraLoss")))
    recipe: Recipe = SPACE

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        found = [patches(run) for run in runs]
        cell = 2.15 * max(np.abs(patch.ellipse(SIGMAS[-1])).max() for mine in found for patch in mine)
        heads, said = short(self.names), []
        for mine, name in zip(found, self.names, strict=True):
            long, wide = np.mean([np.linalg.norm(patch.axes, axis=1) for patch in mine], 0)
            said.append(f"{mean_ratio(mine):.2f} with {name} ({long:.1f}° and {wide:.1f}°)")
        beyond = sum(int(outside(patch, cell).sum()) for mine in found for patch in mine)
        return Plate(
            title="Classes in their tangent planes",
            says=f"How many times longer than wide a class is, mean over classes: {listed(said)}; in brackets the mean "
            "standard deviations along and across.",
            panels=tuple(laid_out(mine, cell, run.probe.names) for mine, run in zip(found, runs, strict=True)),
            heads=tuple(f"{head}, {mean_ratio(mine):.2f} : 1" for head, mine in zip(heads, found, strict=True)),
            columns=min(len(runs), 2),
            notes=(
                "Held-out samples that are given their own class; ellipses at one and two standard deviations; beside "
                "each class how many times longer than wide it is; → the nearest other class lies to the right.",
                *((f"{beyond} samples lie outside the squares.",) if beyond else ()),
            ),
        )


def mean_ratio(found: list[Patch]) -> float:
    return float(np.mean([patch.ratio for patch in found]))


def patches(run: Run) -> list[Patch]:
    """The classes of a run's last snapshot that have an ellipse. ValueError for two dimensions, and where there is
    none."""
    if run.recipe.dim < 3:
        raise ValueError("On a circle a class has one direction to spread in and no ellipse: train in 3 dimensions.")
    look = TrueAngles(run=run)
    seen, shown = look.seen, torch.from_numpy((run.probe.split == 1) & look.moment.correct)
    found = []
    for number in range(look.head.classes):
        mine = shown & (seen.label == number)
        if mine.sum() >= FEWEST and (patch := flattened(seen, number, seen.direction[mine])) is not None:
            found.append(patch)
    if not found:
        raise ValueError(f"No class of this run has {FEWEST} held-out samples that differ and are right: train longer.")
    return found


def flattened(seen: Angles, number: int, direction: Tensor) -> Patch | None:
    """A class of directions [n d]; None where they do not spread both ways."""
    mean = unit(direction.mean(0))[0]
    step = log_map(direction, mean.expand_as(direction))
    each = len(seen.prototype) // seen.cosine.shape[1]  # prototypes of a class
    cosine = seen.prototype @ mean
    cosine[number * each : (number + 1) * each] = -math.inf
    nearest = int(cosine.argmax())
    right = unit(tangent(seen.prototype[nearest], mean))[0]
    rest = step - (step @ right)[:, None] * right
    up = torch.linalg.svd(rest - rest.mean(0), full_matrices=False).Vh[0]
    up = up * torch.sign(up[up.abs().argmax()])  # either of both ways: always the same
    at = torch.rad2deg(step @ torch.stack([right, up], 1)).numpy()
    middle = at.mean(0)
    variance, along = np.linalg.eigh(np.cov(at.T, bias=True))
    if variance[0] <= 1e-9 * max(variance[1], 1e-9):
        return None
    return Patch(number, nearest // each, at, middle, (np.sqrt(variance) * along).T[::-1])


def outside(patch: Patch, cell: float) -> np.ndarray:
    """Which samples [n] are not in the class's square."""
    return (np.abs(patch.at) > cell / 2).any(1)


def laid_out(found: list[Patch], cell: float, names: tuple[str, ...]) -> Scene:
    """The classes of one loss side by side, each in a square of `cell` degrees, and a scale below. The square of a
    class without an ellipse is empty."""
    across = math.ceil(math.sqrt(2 * len(names)))
    down = math.ceil(len(names) / across)
    place = cell * np.array([(k % across, -(k // across)) for k in range(len(names))])
    marks: list[Mark] = [Path(role="graticule", at=shift + cell / 2 * SQUARE) for shift in place]
    for patch in found:
        shift = place[patch.number]
        shown = shift + patch.at[~outside(patch, cell)]
        words = f"{names[patch.number]}: {patch.ratio:.1f}", f"→ {names[patch.neighbour]}"
        marks += [
            Points(role="sample", at=shown, of=patch.number),
            *(Path(role="rule", at=shift + patch.ellipse(sigma)) for sigma in SIGMAS),
            Points(role="remark", at=shift + cell * CORNERS, words=words),
        ]
    left, bottom = -cell / 2, (0.5 - down) * cell
    long = max((each for each in SCALES if each <= cell / 2), default=SCALES[0])
    marks += [
        Path(role="rule", at=np.array([[left, bottom - 0.1 * cell], [left + long, bottom - 0.1 * cell]])),
        Points(role="remark", at=np.array([[left + long + 0.05 * cell, bottom - 0.1 * cell]]), words=(f"{long}°",)),
    ]
    return Scene(
        title="Classes in their tangent planes",
        says=f"Mean over classes: {mean_ratio(found):.2f} times longer than wide.",
        space=PLANE,
        marks=tuple(marks),
        x=Axis("x", "°", left, (across - 0.5) * cell),
        y=Axis("y", "°", bottom - 0.2 * cell, cell / 2),
        names=names,
        by_class=True,
    )

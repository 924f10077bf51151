"""Margins over the time of a training: what the loss gave at every snapshot, and how many samples cleared it."""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as Folder

import numpy as np
import torch

from losslab.head import Head
from losslab.losses import AdaFace, DynArcFace, ElasticFace, InterFace, KappaFace, MagFace
from losslab.scene import CHART, Axis, Mark, Path, Scene
from losslab.training import Run, head_at

from .ball import Cloud
from .given import Given, core, seen, trained_on

ADAPTIVE = (ElasticFace, KappaFace, InterFace, MagFace, AdaFace, DynArcFace)
OF_CLASS = (KappaFace, DynArcFace)  # one margin for all samples of a class
SAID = ("smallest", "median", "largest")
SHARES = ("beyond the margin", "inside it", "wrong")
KEPT = 32  # histories in memory, a few kB each


@dataclass(frozen=True, eq=False)
class History:
    """Numbers of a run's snapshots, [s] each; NaN where a snapshot has none."""

    step: np.ndarray
    margin: dict[str, np.ndarray]  # by loss and what it is: "KappaFace/3", "AdaFace/to the angle, median"
    share: np.ndarray  # [s 2 3] of the samples trained on and held out: beyond the margin, inside it, wrong


class OverTime(Given):
    def history(self) -> History:
        if self.run is None:
            raise ValueError("This picture follows a training: open a run.")
        return history(self.run.path, self.run.recipe.key, len(self.run))

    def chart(self, marks: list[Mark], y: Axis, step: int, **more) -> Scene:
        ends = [mark.at[:, 1] for mark in marks]
        low, high = (np.nanmin(np.concatenate(ends)), np.nanmax(np.concatenate(ends))) if ends else (0, 1)
        if y.low is not None:
            low, high = y.low, y.high
        now = Path(role="guide", at=np.array([[step, low], [step, high]], dtype=float))
        return Scene(space=CHART, marks=(*marks, now), x=Axis("Training step"), y=y, **more)


class MarginsOverTime(OverTime):
    """The margins of the samples at every snapshot: the smallest, the median and the largest, or that of each class."""

    card = "The margins that the loss gave, from the first step of the training to the last."
    about = ADAPTIVE

    def scene(self) -> Scene:
        past, loss = self.history(), core(self.losses[0])
        kind, by_class = type(loss).__name__, isinstance(loss, OF_CLASS)
        mine = {name.split("/", 1)[1]: each for name, each in past.margin.items() if name.startswith(f"{kind}/")}
        if by_class:
            mine = {name: mine[str(k)] for k, name in enumerate(self.classes)}
        parts = list(dict.fromkeys(part_of(name) for name in mine))
        marks = [
            Path(
                role="curve" if by_class or "median" in name else "other",
                of=i if by_class else parts.index(part_of(name)),
                name=name,
                at=np.stack([past.step, values], 1),
            )
            for i, (name, values) in enumerate(mine.items())
        ]
        unit = "rad, or cosine" if isinstance(loss, AdaFace) else "cosine" if cosine(loss) else "rad"
        return self.chart(
            marks,
            Axis("Margin to the other classes m̂" if isinstance(loss, InterFace) else "Margin", unit),
            self.moment.step,
            title="Margins over the training",
            says=f"At step {past.step[-1]:.0f}, {said(mine, by_class, unit)}",
            names=self.classes if by_class else tuple(parts),
            by_class=by_class,
        )


class GroupsOverTime(OverTime):
    """How many samples are wrong, right but inside the margin, and beyond it, at every snapshot."""

    card = "How many images cleared the margin, stood inside it, or were wrong, from the first step to the last."

    def scene(self) -> Scene:
        past, step = self.history(), self.moment.step
        marks = [
            Path(
                role=role,
                of=k,
                name=f"{name}{more}",
                at=np.stack([past.step, 100 * past.share[:, part, k]], 1),
            )
            for part, (role, more) in enumerate((("curve", ""), ("other", ", held out")))
            for k, name in enumerate(SHARES)
            if not np.isnan(past.share[:, part, k]).all()
        ]
        (beyond, inside, wrong), most = past.share[-1, 0], int(np.nanargmax(past.share[:, 0, 0]))
        return self.chart(
            marks,
            Axis("Share of the images", "%", 0, 100),
            step,
            title="Beyond the margin, inside it, wrong",
            says=f"At step {past.step[-1]:.0f}, {beyond:.0%} of the images trained on clear the margin, {inside:.0%} "
            f"are right but inside it, {wrong:.0%} are wrong; most cleared it at step {past.step[most]:.0f} "
            f"({past.share[most, 0, 0]:.0%}).",
            names=SHARES,
        )


def part_of(name: str) -> str:
    return name.rpartition(", ")[0]


def cosine(loss: object) -> bool:
    return isinstance(loss, ElasticFace) and loss.variant == "cos"


def said(mine: dict[str, np.ndarray], by_class: bool, unit: str) -> str:
    """How far apart the margins have gone by the newest snapshot."""
    last = {name: values[~np.isnan(values)][-1] for name, values in mine.items() if not np.isnan(values).all()}
    if by_class:
        low, high = min(last, key=last.get), max(last, key=last.get)
        degrees = [math.degrees(last[name]) for name in (low, high)]
        return (
            f"margins run from {last[low]:.2f} rad ({degrees[0]:.1f}°, class {low}) to {last[high]:.2f} rad "
            f"({degrees[1]:.1f}°, class {high})."
        )
    sentences = []
    for part in dict.fromkeys(map(part_of, last)):
        values = [value for name, value in last.items() if part_of(name) == part]
        sentences.append(f"{values[1]:.3f} {part}{' ' if part else ''}({values[0]:.3f} to {values[2]:.3f})")
    return f"the median margin ({unit}) is {'; '.join(sentences)}."


# -- what a run says of its past --------------------------------------------------------------------------


@lru_cache(maxsize=KEPT)
def history(path: Folder, key: str, count: int) -> History:
    """The first `count` snapshots of the run in `path`, whose recipe has this key."""
    run = Run(path)
    trained = run.probe.split == 0
    step, margins, shares = [], [], []
    for index in range(count):
        snapshot = run[index]
        step.append(snapshot.step)
        wrong = ~snapshot.correct
        clear = ~wrong & (snapshot.gap > 0)
        groups = np.stack([clear, ~wrong & ~clear, wrong], 1)
        shares.append([groups[part].mean(0) if part.any() else np.full(3, np.nan) for part in (trained, ~trained)])
        head = head_at(run.recipe, snapshot).requires_grad_(False)
        margins.append(told(head, trained_on(run, snapshot)) if isinstance(core(head.loss), ADAPTIVE) else {})
    names = dict.fromkeys(name for row in margins for name in row)
    margin = {name: np.array([row.get(name, np.nan) for row in margins]) for name in names}
    return History(np.array(step, dtype=float), margin, np.array(shares))


def told(head: Head, cloud: Cloud) -> dict[str, float]:
    """The margins of these samples in a few numbers, by loss and name."""
    kind = type(core(head.loss)).__name__
    if isinstance(core(head.loss), OF_CLASS):
        number = torch.arange(head.classes)
        loss, a = seen(head, head.prototypes[:: head.loss.subcentres], number)
        return {f"{kind}/{k}": value for k, value in enumerate(loss.margins(a).tolist())}
    loss, a = seen(head.train(isinstance(core(head.loss), ElasticFace)), cloud.embedding, cloud.label)
    given = loss.margins(a)
    if isinstance(loss, InterFace):
        given = given[~a.own]
    if isinstance(loss, AdaFace):
        return summed(f"{kind}/to the angle, ", given[0]) | summed(f"{kind}/from the cosine, ", given[1])
    if isinstance(loss, ElasticFace):  # the ends of what is drawn are chance
        return summed(f"{kind}/", given, (0.05, 0.5, 0.95), ("5 % are below", "median", "5 % are above"))
    return summed(f"{kind}/", given)


def summed(before: str, values: torch.Tensor, at: tuple = (0, 0.5, 1), names: tuple = SAID) -> dict[str, float]:
    found = np.quantile(values.numpy(), at).tolist()
    return {f"{before}{name}": value for name, value in zip(names, found, strict=True)}

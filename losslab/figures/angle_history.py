"""The angles between samples and their own prototypes as training goes on."""

import dataclasses

import numpy as np
import torch

from losslab.geometry import angle, unit
from losslab.scene import CHART, Axis, Mark, Path, Plate, Scene
from losslab.training import Recipe, Run
from losslab.views.base import begun, listed
from losslab.views.elastic import steps
from losslab.views.true_angles import TrueAngles

from .base import SPACE, Trained
from .layout import ACROSS, short

MOMENTS = {"start": 0.0, "middle": 0.5, "end": 1.0}  # as shares of all steps
WIDTH = 3  # degrees in a bar
NEAR = 20  # degrees: samples are in one place


class AngleHistory(Trained):
    """For each loss three histograms of the samples trained on, in degrees: before the first step, half way through,
    and after the last step."""

    card = "The angles of the samples to their own prototypes at the start, in the middle and at the end of training."
    after = "ArcFace, Figure 4 (a)"
    recipe: Recipe = SPACE

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        runs = self.runs or runs
        angles = [{name: own_deg(run, index) for name, index in moments(run).items()} for run in runs]
        said = [
            f"{' → '.join(f'{np.median(deg):.1f}°' for deg in each.values())} with {name}"
            for name, each in zip(self.names, angles, strict=True)
        ]
        return Plate(
            title="Angles to the own prototype over the training",
            says="Median angle of the samples trained on to their own prototype, at the start, in the middle and at "
            f"the end of training: {listed(said)}.",
            panels=level([histograms(each, "Angle to the own prototype θ") for each in angles]),
            heads=short(self.names),
            columns=min(len(runs), ACROSS),
            notes=(*gathered(runs), *unfinished(self.names, runs)),
        )


def moments(run: Run) -> dict[str, int]:
    """The snapshots nearest to `MOMENTS`, by name. ValueError for a run without any."""
    step = begun(run).metrics()["step"]
    return {name: int(np.abs(step - share * run.total_steps).argmin()) for name, share in MOMENTS.items()}


def own_deg(run: Run, snapshot: int = -1, split: int = 0) -> np.ndarray:
    """Degrees [n] from the samples trained on (split 0) or held out (1) to their own prototypes; of several
    sub-centres the nearest."""
    return TrueAngles(run=run, snapshot=snapshot).own_deg[run.probe.split == split]


def apart(names: tuple[str, ...]) -> list[str]:
    """The names, those that were there before with a number: one loss in several runs."""
    before = [names[:i].count(name) for i, name in enumerate(names)]
    return [f"{name} ({count + 1})" if count else name for name, count in zip(names, before, strict=True)]


def gathered(runs: tuple[Run, ...]) -> tuple[str, ...]:
    """A sentence where untrained networks put all samples in nearly one place, so that the first histograms show the
    prototypes and not the samples."""
    spread = []
    for run in runs:
        direction = unit(torch.from_numpy(run[0].embedding).double())[0]
        cosine = direction @ unit(direction.mean(0))[0]
        spread.append(angle(cosine).rad2deg().median().item())
    if max(spread) > NEAR:
        return ()
    return (
        f"Before the first step half of the samples lie within {max(spread):.0f}° of one direction, so the angles at "
        "the start are those of the prototypes to it.",
    )


def unfinished(names: tuple[str, ...], runs: tuple[Run, ...]) -> tuple[str, ...]:
    """A sentence for each run that has not come to its end."""
    ends = [int(run.metrics()["step"][-1]) for run in runs]
    return tuple(
        f"The training with {name} stands at step {end} of {run.total_steps}."
        for name, run, end in zip(names, runs, ends, strict=True)
        if end < run.total_steps
    )


def histograms(sets: dict[str, np.ndarray], title: str, more: tuple[Mark, ...] = (), high: float = 180) -> Scene:
    """Histograms of angles in degrees by name, one over the other, each as shares of its set, from 0 to `high`."""
    edges = np.arange(0, high + WIDTH, WIDTH)
    marks = [
        Path(role="bars", of=i, name=name, at=steps(edges, 100 * np.histogram(deg, edges)[0] / len(deg)))
        for i, (name, deg) in enumerate(sets.items())
        if len(deg)
    ]
    return Scene(
        title=title,
        says="Medians: " + listed([f"{np.median(deg):.1f}° {name}" for name, deg in sets.items() if len(deg)]) + ".",
        space=CHART,
        marks=(*marks, *more),
        x=Axis(title, "°", 0, high, tuple(float(tick) for tick in range(0, int(high) + 1, 30))),
        y=Axis("Share", "%"),
        names=tuple(sets),
    )


def level(panels: list[Scene]) -> tuple[Scene, ...]:
    """The histograms with one height for all."""
    top = 1.05 * max(mark.at[:, 1].max() for scene in panels for mark in scene.of_role("bars"))
    return tuple(dataclasses.replace(scene, y=dataclasses.replace(scene.y, low=0, high=top)) for scene in panels)

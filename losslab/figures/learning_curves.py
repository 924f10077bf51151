"""Learning curves: accuracy, angle and margin over the steps of training."""

import numpy as np

from losslab.scene import CHART, Axis, Path, Plate, Scene
from losslab.training import Run
from losslab.views.base import begun, listed
from losslab.views.history import history

from .angle_history import apart, own_deg, unfinished
from .base import Trained


class LearningCurves(Trained):
    """Over the steps of training, for the held-out samples that every snapshot shows: the share that is given its own
    class, the mean angle to the own prototype, and the share that clears the margin of its loss. Losses themselves are
    not drawn: they differ in scale, so that two of them cannot be compared."""

    card = "Held-out accuracy, angle to the own prototype and share beyond the margin over the steps of training."
    after = "the learning curves of many papers"

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        found = {name: measured(run) for name, run in zip(apart(self.names), runs, strict=True)}
        panels = tuple(curves(found, of, axis) for of, axis in AXES.items())
        said = [
            f"{each['right'][-1]:.1f} % right, {each['deg'][-1]:.1f}° from their prototype, {each['clear'][-1]:.1f} % "
            f"beyond the margin with {name}"
            for name, each in found.items()
        ]
        counts = sorted({int((run.probe.split == 1).sum()) for run in runs})
        return Plate(
            title="Learning curves",
            says=f"At the end, of the samples held out: {'; '.join(said)}.",
            panels=panels,
            heads=("Accuracy", "Angle", "Margin"),
            columns=3,
            notes=(
                f"Of the {listed(list(map(str, counts)))} held-out samples that every snapshot shows.",
                *unfinished(self.names, runs),
            ),
        )


AXES = {
    "right": Axis("Held-out accuracy", "%", 0, 101),
    "deg": Axis("Mean angle to the own prototype θ", "°"),
    "clear": Axis("Share beyond the margin", "%", 0, 101),
}


def measured(run: Run) -> dict[str, np.ndarray]:
    """Of the held-out samples at every snapshot [s]: the per cent given their own class, the mean degrees to their
    prototype, the per cent beyond the margin; and the steps. ValueError for a run without snapshots."""
    past = history(run.path, run.recipe.key, len(begun(run)))
    clear, _, wrong = 100 * past.share[:, 1].T
    deg = np.array([own_deg(run, index, split=1).mean() for index in range(len(run))])
    return {"step": past.step, "right": 100 - wrong, "deg": deg, "clear": clear}


def curves(found: dict[str, dict[str, np.ndarray]], of: str, y: Axis) -> Scene:
    """One number over the steps, a curve for each loss."""
    marks = tuple(
        Path(role="curve", of=i, name=name, at=np.stack([each["step"], each[of]], 1))
        for i, (name, each) in enumerate(found.items())
    )
    top = 30 * np.ceil(max(mark.at[:, 1].max() for mark in marks) / 30)
    return Scene(
        title=y.title,
        says="",
        space=CHART,
        marks=marks,
        x=Axis("Training step", "", 0, max(mark.at[-1, 0] for mark in marks)),
        y=y if y.high else Axis(y.title, y.unit, 0, top),
        names=tuple(found),
    )

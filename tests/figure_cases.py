"""A figure that trains almost nothing, for tests of what is done with figures."""

from pathlib import Path

import numpy as np

from losslab.building import Work
from losslab.catalogue import knob
from losslab.figures import Figure, Trained, base, catalogue
from losslab.losses import CosFace, Loss, Softmax
from losslab.scene import CHART, Axis, Plate, Scene
from losslab.scene import Path as Line
from losslab.training import Recipe, Run

TINY = Recipe(dim=2, classes=(0, 1, 2), per_class=30, epochs=1, batch=16, probe=30, model="mlp")
TWO = (Softmax(), CosFace(scale=16, margin=0.2))
FLAGS = ["--classes", "0,1,2", "--per-class", "30", "--epochs", "1", "--batch", "16", "--probe", "30", "--model", "mlp"]


class Tiny(Trained):
    """The loss of each training over its steps."""

    card = "The loss over the steps."
    after = "none"
    width = "cvpr-1"
    losses: tuple[Loss, ...] = TWO
    recipe: Recipe = TINY
    times: float = knob(1.0, 0, 10, step=0.1, help="What the loss is multiplied by.")
    epochs: int = knob(1, 1, 5, step=1, help="A name that a recipe has too.")
    marks: tuple[int, ...] = (1, 2)

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        runs = runs or self.runs
        lines = [np.stack([run.metrics()["step"], self.times * run.metrics()["loss"]], 1) for run in runs]
        panels = [
            Scene(title=name, says="s.", space=CHART, x=Axis("Step"), y=Axis("Loss", "nat"), marks=(line_of(at, name),))
            for at, name in zip(lines, self.names, strict=True)
        ]
        says = f"It ends at {lines[-1][-1, 1]:.3f}."
        return Plate(title="Loss", says=says, panels=tuple(panels), heads=self.names, columns=2, notes=("A note.",))


class Broken(Figure):
    """A figure with a mistake in its code."""

    card = "Nothing."
    after = "none"

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        raise IndexError("list index out of range")


def runs_for(figure: Figure, folder: Path) -> tuple[Run, ...]:
    """The runs of a figure, from `folder` or trained into it."""
    return Work([figure], folder).of(figure, lambda *_: None)


def line_of(at: np.ndarray, name: str) -> Line:
    return Line(role="curve", of=0, name=name, at=at)


def known(monkeypatch, *figures: type[Figure]) -> None:
    """Have the catalogue be LogitCurves and these figures."""
    found = {"LogitCurves": catalogue()["LogitCurves"], **{figure.__name__: figure for figure in figures}}
    monkeypatch.setattr(base, "catalogue", lambda: found)
    monkeypatch.setattr("losslab.figures.catalogue", lambda: found)
    monkeypatch.setattr("losslab.figure_command.catalogue", lambda: found)
